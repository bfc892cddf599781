"""What `anyecg figures` does: the figures of finished runs from their metrics.json, and the differences between
them.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from anyecg.evaluation import bars, figures
from anyecg.evaluation.controls import SIGNAL
from anyecg.evaluation.figure_data import read_metrics
from anyecg.evaluation.published import PublishedTable
from anyecg.evaluation.published import load as load_published
from anyecg.types import DataError


def draw(options: argparse.Namespace) -> None:
    """Draw everything that the runs have, and say what was drawn and what not."""
    if len({run.name for run in options.runs}) < len(options.runs):
        raise DataError("two of the runs have the same name; give each once")
    read = {run: read_metrics(run) for run in options.runs}
    for run, metrics in read.items():
        folder = options.to / run.name if options.to and len(read) > 1 else options.to or run / "figures"
        if "figures" not in metrics:
            print(
                f"{run}: loss curves and localizations are left out: its metrics.json has none; give the command of "
                f"the run again",
                file=sys.stderr,
            )
        for path in bars.run_figures(metrics, folder):
            print(path)
    if len(read) > 1:
        folder = options.to or options.runs[0] / "figures"
        for path in figures.ablation_differences(
            differences({run.name: metrics for run, metrics in read.items()}, load_published()), folder / "differences"
        ):
            print(path)


def differences(runs: Mapping[str, Mapping[str, Any]], published: PublishedTable) -> list[figures.Difference]:
    """What each run changes in each task, compared with the first, and what the paper says of its setting.

    runs: name -> `metrics.json`. DataError where runs were not asked the same questions, or were resampled otherwise.
    """
    (first, reference), *others = runs.items()
    rows = []
    for name, metrics in others:
        for task in (task for task in reference["tasks"] if task in metrics["tasks"]):
            ours, theirs = (found["tasks"][task] for found in (metrics, reference))
            if ours.get("questions") != theirs.get("questions"):
                raise DataError(
                    f"{name} and {first} were not asked the same questions of {task}; python -m anyecg.compare says "
                    f"which"
                )
            known, others_known = (found["views"].get(SIGNAL, {"metrics": {}})["metrics"] for found in (ours, theirs))
            metric = published.metric(task, known.keys() & others_known.keys(), ours["primary"])
            if metric in known and metric in others_known:
                drawn = [found.get("replicates", {}).get(metric, []) for found in (ours, theirs)]
                ends = _ends(drawn[0], drawn[1], f"{name} and {first}")
                rows.append(
                    (
                        name,
                        figures.panel(task, metric),
                        known[metric] - others_known[metric],
                        *ends,
                        _paper(published, metrics, reference, task),
                    )
                )
    return rows


def _ends(
    ours: Sequence[float | None], theirs: Sequence[float | None], names: str
) -> tuple[float | None, float | None]:
    """The 95 % interval of the difference of resamples drawn alike; None without resamples that define it."""
    if len(ours) != len(theirs):
        raise DataError(f"{names} were not resampled alike; evaluate both with the same evaluation.bootstrap")
    change = np.array(ours, float) - np.array(theirs, float)
    if not len(change) or np.isnan(change).all():
        return None, None
    low, high = np.nanquantile(change, [0.025, 0.975])
    return float(low), float(high)


def _paper(
    published: PublishedTable, metrics: Mapping[str, Any], reference: Mapping[str, Any], task: str
) -> float | None:
    """The difference of the paper's two settings; None where it has no figure of one."""
    there = [
        published[row].get(task) if row else None for row in (metrics.get("paper_row"), reference.get("paper_row"))
    ]
    ours, theirs = there
    return None if ours is None or theirs is None else ours - theirs
