"""A suite: experiments run one after the other over the same seeds, and compared with the first of them (Table 8)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from anyecg.cli.suite.file import Suite, is_suite, load
from anyecg.cli.suite.members import complain, run_members, tell
from anyecg.cli.suite.plan import plan_grids, schedule
from anyecg.cli.suite.report import write_report
from anyecg.config.schema import Experiment

__all__ = ["Suite", "is_suite", "load", "run_suite", "show_plan"]


WIDTH = 130  # columns of the plan


def run_suite(
    suite: Suite, run: Callable[[Experiment, str], Path], is_finished: Callable[[Experiment, str], bool]
) -> None:
    """Run what is not finished, then write the table over all that is.

    run: an experiment, and the name of its folder -> the folder; is_finished: whether such a run has left all that it
    leaves. SuiteError at the end if a run failed; the table is over the others.
    """
    steps = schedule(suite)
    finished, failed = run_members(suite, run, is_finished)
    if finished:
        write_report(suite, finished, failed, steps)
        tell(suite, f"the table of {len(finished)} runs: {suite.folder / 'table.md'}")
    complain(suite, failed)


def show_plan(suite: Suite) -> None:
    """Print what `run_suite` would train, what it would reuse, and the share of training that this saves."""
    console = Console()
    for grid in plan_grids(suite, schedule(suite)):
        Console(width=max(console.width, WIDTH)).print(grid.rich())
