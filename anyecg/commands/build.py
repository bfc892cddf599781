"""Build a dataset: corpora in, stores, questions, Parquet manifest and card out.

    python -m anyecg.data build --to data/anyecg --root mimic=/data/mimic --root ptbxl=/data/ptbxl
    python -m anyecg.data build --to data/small experiments/anyecg_chat.yaml corpora.mimic.patients=500

With --root only the corpora named are built, from where they lie; without, those of the experiment (simulated where it
gives no root). Interrupted, the same command goes on where it stopped. Train on it with: python -m anyecg.run ... dataset=DIR
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import time
from pathlib import Path

from rich.console import Console
from rich.markdown import Markdown

from anyecg import config
from anyecg.data.card import card
from anyecg.data.folder import build_dataset, facts
from anyecg.terminal import logging_to, roots

RECIPE = Path(__file__).parents[2] / "experiments" / "anyecg_chat.yaml"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("settings", nargs="*", metavar="EXPERIMENT.yaml | key=value", help="an experiment file (default: anyecg_chat), and changes to it")
    parser.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder of the dataset")
    parser.add_argument("--root", action="append", default=[], metavar="NAME=DIR", help="a corpus and where it was downloaded; may be repeated")
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="processes (default: one a core)")


def run(options: argparse.Namespace) -> None:
    began = time.monotonic()
    files = [one for one in options.settings if "=" not in one]
    overrides = [one for one in options.settings if "=" in one]
    given = roots(options.root)
    experiment = config.load(files[0] if files else RECIPE, [*overrides, *(f"corpora.{name}.root={root}" for name, root in given.items())])
    corpora = {name: slot.config for name, slot in experiment.corpora.items() if not given or name in given}
    options.to.mkdir(parents=True, exist_ok=True)
    with logging_to(options.to / "build.log"):
        build_dataset(corpora, experiment.questions, options.to, seed=experiment.seed, workers=options.workers)
    known = facts(options.to)
    Console().print(Markdown(card(known).partition("## Rules")[0]))
    measured(options.to, known, options.workers, time.monotonic() - began)
    print(f"{known['questions']:,} questions in {options.to}")


def measured(folder: Path, known: dict, workers: int, seconds: float) -> None:
    """Keep what the build took, for `stats --project`; only a build from nothing says it, and only the first does."""
    path = folder / "measured.json"
    if path.exists():
        return
    usage = [resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    path.write_text(json.dumps({
        "records": sum(source["records"] for source in known["sources"].values()), "seconds": round(seconds, 1), "workers": workers,
        "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and "corpora" not in file.relative_to(folder).parts[0]),
        "peak_bytes": 1024 * usage[0], "peak_bytes_worker": 1024 * usage[1],
    }, indent=1))
