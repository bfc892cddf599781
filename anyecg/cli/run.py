"""What `anyecg run` does: an experiment to its table, a suite to its tables, or a look at what either would be."""

from __future__ import annotations

import argparse
import contextlib
import logging
import resource
import time
from pathlib import Path

from anyecg import config
from anyecg.cli import suite
from anyecg.cli.plan import show_plan
from anyecg.cli.terminal import logging_to, quieten
from anyecg.config.fingerprint import folder_name
from anyecg.config.schema import Experiment
from anyecg.evaluation.run import Run
from anyecg.training.distributed import is_first
from anyecg.training.machine import busy, on_cpu

log = logging.getLogger("anyecg")


def dispatch(options: argparse.Namespace) -> None:
    """What the command line asks for."""
    if suite.is_suite(options.experiment):
        dispatch_suite(suite.load(options.experiment, options.overrides), options)
    else:
        experiment = config.load(options.experiment, options.overrides)
        if options.show:
            print(config.dump(experiment))
        elif options.plan:
            quieten()
            show_plan(experiment, options.mfu, options.peak)
        else:
            run(experiment, folder_name(experiment.name, options.overrides))


def dispatch_suite(loaded: suite.Suite, options: argparse.Namespace) -> None:
    """What the command line asks for of a suite."""
    if options.show:
        print(loaded.dump())
    elif options.plan:
        suite.show_plan(loaded)
    else:
        suite.run_suite(loaded, run, is_finished)


def run(experiment: Experiment, name: str) -> Path:
    """Run an experiment to its table; returns the run's folder. Interrupted, the same call goes on where it stopped."""
    began = time.monotonic()
    one = Run.named(experiment, name)
    one.claim()
    quieten()
    with logging_to(one.folder / "run.log") if is_first() else contextlib.nullcontext():
        if is_first() and on_cpu(experiment.trainer) and (word := busy()):
            log.warning(word)
        log.info("%s (scale %s, seed %d) -> %s", experiment.name, experiment.scale, experiment.seed, one.folder)
        one.train()
        one.share()
        if is_first():  # one process scores and writes
            one.evaluate()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # the kernel counts KiB
            log.info(
                "done in %.1f minutes, peak memory %.1f GiB; see %s",
                (time.monotonic() - began) / 60,
                peak,
                one.folder / "table.md",
            )
    return one.folder


def is_finished(experiment: Experiment, name: str) -> bool:
    """Whether a run has left all that it leaves, with this configuration, this data and these stages."""
    return Run.named(experiment, name).is_finished()
