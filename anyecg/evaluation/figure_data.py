"""What figures are drawn from, as `metrics.json` keeps it: loss curves, resamples to compare runs by."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anyecg.evaluation import published
from anyecg.tasks.base import Task
from anyecg.types import DataError

POINTS = 200  # of a loss curve at most


def loss_curve(path: Path) -> dict[str, list[float]]:
    """{"step": [...], "loss": [...]} of a stage's `loss.csv`, and of other columns whose name holds "loss"; means over
    stretches where there are more than `POINTS`.

    Losses that are missing are None. DataError for a file without such columns.
    """
    try:
        table = pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no loss curve can be read ({error})") from error
    columns = [name for name in table if "loss" in name]
    if "step" not in table or not columns:
        raise DataError(
            f"{path}: a loss curve needs a column 'step' and a column with 'loss' in its name, found {list(table)}"
        )
    stretch = np.arange(len(table)) * min(POINTS, len(table)) // max(len(table), 1)
    thinned = table[["step", *columns]].groupby(stretch).mean()
    return {name: [None if np.isnan(value) else round(float(value), 5) for value in thinned[name]] for name in thinned}


def compared(task: Task, headline: str, drawn: pd.DataFrame) -> dict[str, list[float | None]]:
    """Resamples of the metrics that runs are compared by: the task's headline, and the one that the paper's ablations
    have; None where undefined.

    drawn: `bootstrap.replicates` of the answers with the ECG. Another run over the same questions is resampled alike,
    so the differences of two such lists are those of the paired bootstrap.
    """
    metrics = dict.fromkeys([headline, *published.load().metrics.get(task.name, ())])
    return {
        metric: [None if np.isnan(value) else float(value) for value in drawn[metric]]
        for metric in metrics
        if metric in drawn
    }


def read_metrics(run: Path) -> Mapping[str, Any]:
    """A run's `metrics.json`; DataError where there is none to be read."""
    path = run / "metrics.json"
    try:
        metrics = json.loads(path.read_text(encoding="utf-8"))
        if not all({"primary", "views", "n"} <= task.keys() for task in metrics["tasks"].values()):
            raise ValueError("its tasks lack primary, views or n")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path} cannot be drawn ({error}); give the folder of a finished run") from error
    return metrics
