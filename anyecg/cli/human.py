"""Answers over several ECGs for people to score, and how far people and the judges agree.

    python -m anyecg.human export runs/anyecg_chat --n 120 --to sheet.csv   a sheet to fill in: the column 'score', 0 to 5
    python -m anyecg.human read sheet.csv runs/anyecg_chat                   Pearson, Spearman and agreement with each judge

The sheet names no model: a row has the question, each ECG's report and date, the reference and the answer. Give the command where
the run was given: its configuration names the data.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from anyecg.evaluation.comparison import read_run
from anyecg.evaluation.predictions import read_predictions
from anyecg.evaluation.controls import SIGNAL
from anyecg.evaluation.sheet import agreement_table, draw, join, read_sheet, write_sheet
from anyecg.cli.terminal import guarded
from anyecg.types import DataError, ECGSample

TASK = "multi_ecg"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m anyecg.human", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("export", help="write a sheet of answers to score")
    command.add_argument("run", type=Path, metavar="RUN", help="folder of a finished run")
    command.add_argument("--to", type=Path, required=True, metavar="SHEET.csv", help="where to; an existing file is not overwritten")
    command.add_argument("--n", type=int, default=120, help="how many answers, evenly over the number of ECGs (default: 120, as the paper's)")
    command.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    command.set_defaults(action=export)
    command = commands.add_parser("read", help="read the scores back and compare them with the judges'")
    command.add_argument("sheet", type=Path, metavar="SHEET.csv", help="the sheet, its column 'score' filled in")
    command.add_argument("run", type=Path, metavar="RUN", help="the run it was exported from")
    command.add_argument("--out", type=Path, metavar="FILE.md", help="write the table there as well, as markdown")
    command.add_argument("--bootstrap", type=int, default=1000, metavar="N", help="resamples of patients (default: 1000)")
    command.set_defaults(action=read)
    options = parser.parse_args(arguments)
    return guarded(lambda: options.action(options))


def export(options: argparse.Namespace) -> None:
    """Write the sheet."""
    if options.to.exists():
        raise DataError(f"{options.to} is there already, perhaps with scores in it; move it away or name another file")
    said, samples = answers(options.run), questions(options.run)
    missing = [sample.id for sample in samples if sample.id not in said]
    if missing:
        raise DataError(f"{options.run}: {len(missing)} questions such as {missing[0]} have no answer there; the run is not finished, or its data have changed")
    drawn = draw(samples, options.n, options.seed)
    write_sheet(options.to, drawn, said)
    counts = ", ".join(f"{sum(len(s.records) == n for s in drawn)} over {n} ECGs" for n in sorted({len(s.records) for s in drawn}))
    print(f"{options.to}: {len(drawn)} answers of {len(samples)} ({counts}). Fill in the column 'score' (0 completely wrong, 5 completely right), then")
    print(f"python -m anyecg.human read {options.to} {options.run}")


def read(options: argparse.Namespace) -> None:
    """Print how far people and the judges agree."""
    scored, run = read_sheet(options.sheet), read_run(options.run)
    if SIGNAL not in run.rows.get(TASK, {}):
        raise DataError(f"{options.run} did not evaluate {TASK} with its ECGs")
    grid = agreement_table(join(options.sheet, scored, run.rows[TASK][SIGNAL], answers(options.run)), options.bootstrap)
    if options.out:
        options.out.write_text(grid.markdown(), encoding="utf-8")
    Console().print(grid.rich())


def answers(run: Path) -> dict[str, str]:
    """Question's id -> what the model said with its ECGs."""
    found = {id: text for (task, view, id), text in read_predictions(run / "predictions.jsonl").items() if (task, view) == (TASK, SIGNAL)}
    if not found:
        raise DataError(f"{run} holds no answers to {TASK}: it is no finished run, or its evaluation.tasks leave {TASK} out")
    return found


def questions(run: Path) -> list[ECGSample]:
    """The questions over several ECGs that the run was asked."""
    from anyecg.evaluation.run import Run  # reading scores back needs neither data nor torch

    return Run.open(run).questions(TASK)


if __name__ == "__main__":
    sys.exit(main())
