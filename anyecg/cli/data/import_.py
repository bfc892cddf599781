"""Make a dataset of the questions of released JSON files, about the recordings of a dataset that is built already.

    python -m anyecg.data import stage1.json stage2.json --data data/anyecg --to data/released

Split, patient and evidence come from the recordings. A row about an ECG that the dataset does not have is left out and
told.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from rich.console import Console
from rich.progress import track

from anyecg.cli.terminal import place
from anyecg.data.dataset.built import open_dataset, write_dataset
from anyecg.tasks.classification.build import label_statements, label_universe
from anyecg.tasks.questions import answer_kind, scoring_tasks
from anyecg.tasks.release.exchange import to_samples
from anyecg.tasks.release.rows import read_released
from anyecg.types import DataError, ECGSample

LISTED = 20  # reasons that are told


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files", nargs="+", type=Path, metavar="FILE.json", help="a released JSON file, or one that `export` wrote"
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="DATASET",
        help="the folder of the dataset whose recordings are asked about",
    )
    parser.add_argument("--to", type=place, required=True, metavar="DIR", help="the folder of the new dataset")


def run(options: argparse.Namespace) -> None:
    data = open_dataset(options.data)
    left_out: Counter = Counter()
    tasks = scoring_tasks(data.questions.info)
    info = {
        "imported": [path.name for path in options.files],
        "data": data.stores.fingerprint,
        "labels": label_universe(data.stores),
        "label_statements": label_statements(data.stores),
        "ecg_qa_answers": data.questions.info.get("ecg_qa_answers", {}),
        **({"tasks": data.questions.info["tasks"]} if "tasks" in data.questions.info else {}),
    }
    console = Console(stderr=True)
    rows = track(
        chain.from_iterable(map(read_released, options.files)),
        "import",
        total=None,
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    made = write_dataset(
        options.to,
        data.stores,
        some(to_samples(rows, data.stores, left_out), left_out),
        info,
        left_out,
        answer_kind(tasks),
    )
    print(f"{len(made.questions):,} questions in {options.to}")
    if left_out:
        print(f"{left_out.total():,} rows left out:\n{told(left_out)}")


def some(samples: Iterator[tuple[str, ECGSample]], left_out: Counter) -> Iterator[tuple[str, ECGSample]]:
    """The samples; DataError at their end if there was none."""
    first = next(samples, None)
    if first is None:
        raise DataError(
            f"none of {left_out.total():,} rows can be imported:\n{told(left_out)}\nbuild a dataset with those "
            f"recordings first"
        )
    return chain([first], samples)


def told(left_out: Counter) -> str:
    """The commonest reasons, a line each."""
    lines = [f"  {why} ({count:,} rows)" for why, count in left_out.most_common(LISTED)]
    return "\n".join(lines + [f"  and {len(left_out) - LISTED:,} reasons more"] * (len(left_out) > LISTED))
