"""What a run leaves for a reader: `table.md`, the terminal's table, and the figures with what they are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from anyecg.config.schema import Experiment
from anyecg.data.store.store import Stores
from anyecg.evaluation import bars, published
from anyecg.evaluation.predictions import read_predictions
from anyecg.evaluation.controls import SIGNAL
from anyecg.evaluation.figure_data import examples, loss_curve, read_metrics
from anyecg.evaluation.evaluate import write_json
from anyecg.evaluation.tables import Grid, table, terminal
from anyecg.files import atomic_write
from anyecg.tasks.base import Task
from anyecg.training.planning import PlannedStage
from anyecg.types import ECGSample

WIDTH = 124  # columns the headline table needs


def write_report(folder: Path, experiment: Experiment, metrics: Mapping[str, Any], stages: Sequence[PlannedStage],
                 samples: Mapping[str, Sequence[ECGSample]], tasks: Mapping[str, Task], stores: Stores, more: Sequence[Grid] = ()) -> None:
    """Write `table.md`, at its end the tables of `more`, and `figures/` into the run's folder, what is drawn into its `metrics.json`, and print the headline table."""
    drawn: dict[str, Any] = {"loss": [{"stage": stage.name, **loss_curve(stage.folder / "loss.csv")} for stage in stages]}
    if SIGNAL in metrics["tasks"].get("localization", {"views": ()})["views"]:
        given = read_predictions(folder / "predictions.jsonl")
        drawn["localization"] = examples(samples["localization"], tasks["localization"], given, stores, experiment.seed)
    metrics = {**metrics, "paper_row": experiment.paper_row, "figures": drawn}
    write_json(folder / "metrics.json", metrics)
    paper = published.load().beside(experiment.paper_row, metrics["tasks"]) if experiment.paper_row else None
    head = f"# {folder.name}\n\n{experiment.description}\n\nscale {experiment.scale}, seed {experiment.seed}; test split by patient; greedy decoding\n\n"
    with atomic_write(folder / "table.md") as part:
        part.write_text(head + "\n".join([table(metrics, paper, published.of_tasks()), *(grid.markdown() for grid in more)]))
    list(bars.run_figures(read_metrics(folder), folder / "figures"))
    console = Console()
    Console(width=max(console.width, WIDTH)).print(terminal(metrics, paper))
