"""What a run leaves for a reader: `table.md`, the terminal's table, and the figures with what they are drawn from."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from anyecg.config.schema import Experiment
from anyecg.data.store.store import Stores
from anyecg.evaluation import bars, published
from anyecg.evaluation.benchmark_table import benchmark_grid
from anyecg.evaluation.bootstrap import FEWEST
from anyecg.evaluation.controls import SIGNAL
from anyecg.evaluation.figure_data import loss_curve
from anyecg.evaluation.predictions import Key
from anyecg.evaluation.tables import Grid, table, terminal
from anyecg.files import atomic_write
from anyecg.tasks.base import Task
from anyecg.training.planning import PlannedStage
from anyecg.types import ECGSample, Prediction

log = logging.getLogger(__name__)

WIDTH = 136  # columns the headline table needs


def figure_data(
    experiment: Experiment,
    stages: Sequence[PlannedStage],
    samples: Mapping[str, Sequence[ECGSample]],
    tasks: Mapping[str, Task],
    stores: Stores,
    predictions: Mapping[Key, Prediction],
) -> dict[str, Any]:
    """What of a run's `metrics.json` its figures need beside the metrics."""
    drawn: dict[str, Any] = {
        "loss": [{"stage": stage.name, **loss_curve(stage.folder / "loss.csv")} for stage in stages]
    }
    for name, task in tasks.items() if SIGNAL in experiment.evaluation.views else ():
        texts = {
            id: prediction.text for (of, view, id), prediction in predictions.items() if (of, view) == (name, SIGNAL)
        }
        if examples := task.drawn(samples[name], texts, stores, experiment.evaluation.seed):
            drawn[name] = examples
    return {"paper_row": experiment.paper_row, "figures": drawn, "reused_despite_code": reused_despite(stages)}


def write_report(folder: Path, experiment: Experiment, metrics: Mapping[str, Any], more: Sequence[Grid] = ()) -> None:
    """Write `table.md`, at its end the tables of `more`, and `figures/` into the run's folder, and print the
    headline table; metrics: `metrics.json`.
    """
    paper = published.load().beside(experiment.paper_row, metrics["tasks"]) if experiment.paper_row else None
    figures = published.file_of(experiment.published)
    across = [grid for one in published.of_benchmarks(figures) if (grid := benchmark_grid(metrics, one))]
    with atomic_write(folder / "table.md") as part:
        part.write_text(
            head(folder, experiment, metrics)
            + "\n".join(
                [
                    table(metrics, paper, published.of_tasks(figures)),
                    *(grid.markdown() for grid in [*across, *more]),
                ]
            )
        )
    if few := too_few(metrics):
        log.warning("too few patients to say anything of %s: no intervals below %d", ", ".join(few), FEWEST)
    list(bars.run_figures(json.loads(json.dumps(metrics, sort_keys=True)), folder / "figures"))
    console = Console()
    Console(width=max(console.width, WIDTH)).print(terminal(metrics, paper))


def head(folder: Path, experiment: Experiment, metrics: Mapping[str, Any]) -> str:
    """What `table.md` begins with: which run this is, who answered, and what was reused although its code has
    changed since.
    """
    who = metrics.get("answerer", {"name": experiment.answerer.name, "knows": experiment.answerer.component.knows})
    lines = [
        f"# {folder.name}",
        experiment.description,
        f"scale {experiment.scale}, seed {experiment.seed}; test split by patient; "
        f"answered by {who['name']}, which knows {who['knows']} beforehand",
    ]
    if few := too_few(metrics):
        lines.append(
            f"**Too few patients to say anything of {', '.join(few)}.** Under {FEWEST} there are no intervals, and a "
            f"difference of any size may be chance."
        )
    if despite := metrics.get("reused_despite_code"):
        lines.append(
            "Reused although the code has changed since (reuse_despite): "
            + "; ".join(f"{name} ({', '.join(parts)})" for name, parts in despite.items())
        )
    return "\n\n".join(lines) + "\n\n"


def too_few(metrics: Mapping[str, Any]) -> list[str]:
    """The tasks asked of fewer patients than an interval needs, each with their number."""
    counts = {name: task.get("n_patients", FEWEST) for name, task in metrics["tasks"].items()}
    return [f"{name} ({count})" for name, count in counts.items() if count < FEWEST]


def reused_despite(stages: Sequence[PlannedStage]) -> dict[str, list[str]]:
    """Stage -> the modules whose code has changed since it was trained, of those that were reused all the same."""
    return {stage.name: list(stage.despite) for stage in stages if stage.despite}
