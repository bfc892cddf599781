"""Build a dataset: corpora in, stores, questions, Parquet manifest and card out.

    python -m anyecg.data build --to data/anyecg --root mimic=/data/mimic --root ptbxl=/data/ptbxl
    python -m anyecg.data build --to data/small experiments/anyecg_chat.yaml corpora.mimic.patients=500

With --root only the corpora named are built, from where they lie; without, those of the experiment (simulated where it
gives no root). Interrupted, the same command goes on where it stopped. Train on it with: python -m anyecg.run ...
dataset=DIR
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.markdown import Markdown

from anyecg import config
from anyecg.cli.terminal import logging_to, place, roots, whole
from anyecg.config.schema import Experiment
from anyecg.config.shipped import experiments
from anyecg.data.dataset.built import LOG, facts, ready
from anyecg.data.dataset.card import tallies
from anyecg.tasks.dataset import build_dataset
from anyecg.types import ConfigError

WIDE = 120  # columns of a table that goes to a file
RECIPE = experiments() / "anyecg_chat.yaml"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="EXPERIMENT.yaml | key=value",
        help="an experiment file (default: anyecg_chat), and changes to it",
    )
    parser.add_argument("--to", type=place, required=True, metavar="DIR", help="the folder of the dataset")
    parser.add_argument(
        "--root",
        action="append",
        default=[],
        metavar="NAME=DIR",
        help="a corpus and where it was downloaded; may be repeated",
    )
    parser.add_argument(
        "--workers",
        type=whole(0),
        default=len(os.sched_getaffinity(0)),
        metavar="N",
        help="processes (default: one a core; 0: none beside this one)",
    )


def run(options: argparse.Namespace) -> None:
    given = roots(options.root)
    settings = [f"corpora.{name}.root={json.dumps(str(root.expanduser()))}" for name, root in given.items()]
    experiment = loaded(options.settings, settings)
    corpora = {key: slot for key, slot in experiment.corpora.items() if not given or key in given}
    ready(options.to)
    with logging_to(options.to / LOG):
        build_dataset(
            corpora,
            experiment.tasks,
            options.to,
            seed=experiment.tasks_seed,
            fs=experiment.input_spec.fs,
            workers=options.workers,
        )
    known = facts(options.to)
    screen().print(Markdown("\n".join(tallies(known))))
    print(f"{known['questions']:,} questions in {options.to}; its card: {options.to / 'README.md'}")


def loaded(settings: Sequence[str], more: Sequence[str] = (), default: Sequence[str] = ()) -> Experiment:
    """The experiment of a command line: one file (without one the recipe, with `default` changes), changes to it,
    then `more`.
    """
    files = [one for one in settings if "=" not in one]
    if len(files) > 1:
        raise ConfigError(f"{' '.join(files)}: give one experiment file, and changes to it as key=value")
    overrides = [one for one in settings if "=" in one]
    return config.load(files[0] if files else RECIPE, [*([] if files else default), *overrides, *more], trained=False)


def screen() -> Console:
    """Where tables are printed: as wide as the terminal, or wide enough where it is a file."""
    return Console() if sys.stdout.isatty() else Console(width=WIDE)
