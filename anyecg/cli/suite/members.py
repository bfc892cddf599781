"""The runs of a suite, one after the other in this process: finished ones are kept, failed ones reported at the end."""

from __future__ import annotations

import gc
import logging
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from anyecg.cli.suite.file import Member, Suite
from anyecg.cli.terminal import logging_to
from anyecg.config.schema import Experiment
from anyecg.files import FULL
from anyecg.types import AnyECGError, DiskFullError

log = logging.getLogger(__name__)

FAILURES = "failures"  # of the suite's folder: a traceback for each run that failed


class SuiteError(AnyECGError):
    """Runs of a suite that failed, each with its reason."""


def run_members(
    suite: Suite, run: Callable[[Experiment, str], Path], is_finished: Callable[[Experiment, str], bool]
) -> tuple[list[Member], dict[Member, str]]:
    """Run what is not finished yet, one after the other; returns the members that are, and why the others failed.

    A run that fails does not stop the others: its traceback goes to the suite's folder. Ctrl-C and a full disk do.
    """
    finished, failed = [], {}
    suite.folder.mkdir(parents=True, exist_ok=True)
    for number, member in enumerate(suite.members, start=1):
        told, trace = (
            f"{number} of {len(suite.members)}: {member.told}",
            suite.folder / FAILURES / f"{member.folder}.txt",
        )
        try:
            if is_finished(member.experiment, member.folder):
                tell(suite, f"{told}: finished earlier")
            else:
                tell(suite, told)
                run(member.experiment, member.folder)
            finished.append(member)
            trace.unlink(missing_ok=True)
        except Exception as error:
            if isinstance(error, DiskFullError) or (isinstance(error, OSError) and error.errno in FULL):
                raise
            failed[member] = str(error) if isinstance(error, AnyECGError) else f"{type(error).__name__}: {error}"
            trace.parent.mkdir(exist_ok=True)
            trace.write_text(traceback.format_exc(), encoding="utf-8")
            tell(suite, f"{told}: failed: {failed[member]}")
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
    return finished, failed


def tell(suite: Suite, *lines: str) -> None:
    """Lines to the terminal and to the suite's log, which the runs' own logs are no part of."""
    with logging_to(suite.folder / "suite.log"):
        for line in lines:
            log.info(line)


def complain(suite: Suite, failed: Mapping[Member, str]) -> None:
    """SuiteError if a run failed."""
    if failed:
        lines = [
            f"  {member.told}: {reason} (see {suite.folder / FAILURES / member.folder}.txt)"
            for member, reason in failed.items()
        ]
        raise SuiteError(
            "\n".join(
                [f"{len(failed)} of {len(suite.members)} runs failed; the same command tries them again:", *lines]
            )
        )
