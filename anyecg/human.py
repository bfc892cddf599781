"""Answers over several ECGs for people to score, and how far people and the judges agree.

    python -m anyecg.human export runs/anyecg_chat --n 120 --to sheet.csv   a sheet to fill in: the column 'score', 0 to
    5
    python -m anyecg.human read sheet.csv runs/anyecg_chat                   Pearson, Spearman and agreement with each
    judge

The sheet names no model: a row has the question, each ECG's report and date, the reference and the answer. Give the
command where the run was given: its configuration names the data.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from anyecg.cli.terminal import guarded


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m anyecg.human", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    one = commands.add_parser("export", help="write a sheet of answers to score")
    one.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    one.add_argument(
        "--to", type=Path, required=True, metavar="SHEET.csv", help="where to; an existing file is not overwritten"
    )
    one.add_argument(
        "--n",
        type=int,
        default=120,
        help="how many answers, evenly over the number of ECGs (default: 120, as the paper's)",
    )
    one.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    one.set_defaults(action="export")
    one = commands.add_parser("read", help="read the scores back and compare them with the judges'")
    one.add_argument("sheet", type=Path, metavar="SHEET.csv", help="the sheet, its column 'score' filled in")
    one.add_argument("run", type=Path, metavar="RUN", help="the run it was exported from")
    one.add_argument("--out", type=Path, metavar="FILE.md", help="write the table there as well, as markdown")
    one.add_argument("--bootstrap", type=int, default=1000, metavar="N", help="resamples of patients (default: 1000)")
    one.set_defaults(action="read")
    options = parser.parse_args(arguments)

    def command() -> None:
        from anyecg.cli import human  # pandas and scipy: not for --help

        {"export": human.export, "read": human.read}[options.action](options)

    return guarded(command)


if __name__ == "__main__":
    sys.exit(main())
