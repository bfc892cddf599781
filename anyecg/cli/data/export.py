"""Write the questions of a dataset as JSON, row by row as the anyECG release has them.

What a released row cannot say of a question (its id, the reference of its metric) is kept under the one key "anyecg",
and only where `import` could not find it again from the row and the recordings.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console
from rich.progress import track

from anyecg.cli.terminal import place
from anyecg.data.dataset.built import open_dataset
from anyecg.tasks.release.exchange import to_rows
from anyecg.tasks.release.rows import write_rows
from anyecg.types import SPLITS, DataError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="the folder of a dataset")
    parser.add_argument("--to", type=place, required=True, metavar="FILE.json", help="the file to write")
    parser.add_argument("--split", choices=SPLITS, help="only this split")
    parser.add_argument(
        "--task", action="append", metavar="TASK", help="only this task, such as localization; may be repeated"
    )


def run(options: argparse.Namespace) -> None:
    data = open_dataset(options.dataset)
    questions = data.questions
    wanted = {"split": options.split, "task": options.task}
    rows = questions.select(**{column: values for column, values in wanted.items() if values}).tolist()
    if not rows:
        tasks, known = (", ".join(sorted(set(questions.column(name)))) for name in ("task", "split"))
        raise DataError(f"{options.dataset} has no such question; its tasks are {tasks}, its splits {known}")
    splits = questions.column("split")
    console = Console(stderr=True)
    samples = track(
        ((splits[row], questions[row]) for row in rows),
        "export",
        total=len(rows),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    print(f"{write_rows(options.to, to_rows(samples, data.stores)):,} questions in {options.to}")
