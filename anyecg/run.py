"""The main job: data, curriculum, evaluation and tables of one experiment.

    python -m anyecg.run experiments/anyecg_chat.yaml                 everything at scale=cpu
    python -m anyecg.run experiments/ablation_no_lead_emb.yaml seed=1  overrides are key=value
    python -m anyecg.run experiments/anyecg_chat.yaml llm=smollm2
    python -m anyecg.run experiments/table8.yaml seeds=[0,1,2]         a suite: the recipe and its ablations in one table
    python -m anyecg.run experiments/anyecg_chat.yaml scale=paper --plan   what every stage would take; trains nothing
    python -m anyecg.run --list                                        every registered component
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import resource
import sys
import time
from pathlib import Path

from anyecg import config
from anyecg.cli import suite
from anyecg.cli.plan import MFU, PEAK, show_plan
from anyecg.cli.terminal import guarded, logging_to, quieten
from anyecg.config.fingerprint import folder_name
from anyecg.config.schema import Experiment
from anyecg.evaluation.run import Run
from anyecg.registry import KINDS, registry
from anyecg.training.distributed import is_first

log = logging.getLogger("anyecg")


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m anyecg.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", nargs="?", help="an experiment file, e.g. experiments/anyecg_chat.yaml, or a suite of them, experiments/table8.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="changes to it, e.g. scale=gpu seed=1 encoder.size=small llm=smollm2")
    parser.add_argument("--list", action="store_true", help="name every registered component and leave")
    parser.add_argument("--show", action="store_true", help="print the resolved configuration and leave")
    parser.add_argument("--plan", action="store_true", help="say what an experiment's stages would take (parameters, tokens, FLOPs, memory, hours), or what "
                        "a suite would train and what it would reuse, and leave")
    parser.add_argument("--mfu", type=float, default=MFU, help="with --plan: share of the peak that goes into the model (default: %(default)s)")
    parser.add_argument("--peak", type=float, default=PEAK, metavar="FLOPS", help="with --plan: FLOP/s of one GPU (default: %(default)s, an H100 in bfloat16)")
    options = parser.parse_intermixed_args(arguments)
    return guarded(lambda: dispatch(parser, options))


def dispatch(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """What the command line asks for."""
    if options.list:
        list_components()
    elif not options.experiment:
        parser.error("which experiment? e.g. experiments/anyecg_chat.yaml")
    elif suite.is_suite(options.experiment):
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
        log.info("%s (scale %s, seed %d) -> %s", experiment.name, experiment.scale, experiment.seed, one.folder)
        one.train()
        if is_first():  # one process evaluates
            one.evaluate()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # the kernel counts KiB
            log.info("done in %.1f minutes, peak memory %.1f GiB; see %s", (time.monotonic() - began) / 60, peak, one.folder / "table.md")
    return one.folder


def is_finished(experiment: Experiment, name: str) -> bool:
    """Whether a run has left all that it leaves, with this configuration, this data and these stages."""
    return Run.named(experiment, name).is_finished()


def list_components() -> None:
    """Print the registered components of every kind, one line each."""
    for kind in KINDS:
        print(f"{kind}:")
        for name, line in registry(kind).describe().items():
            print(f"  {name:20} {line}")


if __name__ == "__main__":
    sys.exit(main())
