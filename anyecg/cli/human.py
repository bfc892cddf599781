"""What `anyecg human` does: a sheet of answers over several ECGs for people to score, and how far they and the
judges agree.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from anyecg.evaluation.comparison import Results, read_run
from anyecg.evaluation.controls import SIGNAL
from anyecg.evaluation.predictions import read_predictions
from anyecg.evaluation.sheet import agreement_table, draw, join, read_sheet, write_sheet
from anyecg.types import DataError, ECGSample


def export(options: argparse.Namespace) -> None:
    """Write the sheet."""
    if options.to.exists():
        raise DataError(f"{options.to} is there already, perhaps with scores in it; move it away or name another file")
    task = judged_task(read_run(options.run))
    said, samples = answers(options.run, task), questions(options.run, task)
    missing = [sample.id for sample in samples if sample.id not in said]
    if missing:
        raise DataError(
            f"{options.run}: {len(missing)} questions such as {missing[0]} have no answer there; the run is not "
            f"finished, or its data have changed"
        )
    drawn = draw(samples, options.n, options.seed)
    write_sheet(options.to, drawn, said)
    counts = ", ".join(
        f"{sum(len(s.records) == n for s in drawn)} over {n} ECGs" for n in sorted({len(s.records) for s in drawn})
    )
    print(
        f"{options.to}: {len(drawn)} answers of {len(samples)} ({counts}). Fill in the column 'score' (0 completely "
        f"wrong, 5 completely right), then"
    )
    print(f"python -m anyecg.human read {options.to} {options.run}")


def read(options: argparse.Namespace) -> None:
    """Print how far people and the judges agree."""
    scored, run = read_sheet(options.sheet), read_run(options.run)
    task = judged_task(run)
    grid = agreement_table(
        join(options.sheet, scored, run.rows[task][SIGNAL], answers(options.run, task)), options.bootstrap
    )
    if options.out:
        options.out.write_text(grid.markdown(), encoding="utf-8")
    Console().print(grid.rich())


def judged_task(run: Results) -> str:
    """The task whose answers get one score each from judges; DataError where the run evaluated none with its ECGs."""
    found = [
        name
        for name, task in run.metrics["tasks"].items()
        if task.get("judged") and SIGNAL in run.rows[name] and "score" in run.rows[name][SIGNAL]
    ]
    if not found:
        raise DataError(
            f"run {run.name} evaluated no task that is judged, such as multi_ecg, with its ECGs; add one to "
            f"evaluation.tasks"
        )
    return found[0]


def answers(run: Path, wanted: str) -> dict[str, str]:
    """Question's id -> the prediction with its ECGs, of one task."""
    found = {
        id: text
        for (task, view, id), text in read_predictions(run / "predictions.jsonl").items()
        if (task, view) == (wanted, SIGNAL)
    }
    if not found:
        raise DataError(
            f"{run} holds no answers to {wanted}: it is no finished run, or its evaluation.tasks leave {wanted} out"
        )
    return found


def questions(run: Path, task: str) -> list[ECGSample]:
    """The questions of a task that the run was asked."""
    from anyecg.evaluation.run import Run  # reading scores back needs neither data nor torch

    return Run.open(run).questions(task)
