"""What a run leaves for a reader: `table.md`, the terminal's table, and the figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from anyecg.experiment import Experiment
from anyecg.data.store import Stores
from anyecg.evaluation import bars, figures, published
from anyecg.evaluation.answers import read_predictions
from anyecg.evaluation.controls import SIGNAL
from anyecg.evaluation.tables import Grid, table, terminal
from anyecg.tasks.base import Task
from anyecg.training.planning import PlannedStage
from anyecg.training.resume import whole
from anyecg.types import ECGSample

WIDTH = 110  # columns the headline table needs
EXAMPLES = 4  # localizations drawn, chosen by seed, not by outcome


def write_report(folder: Path, experiment: Experiment, metrics: Mapping[str, Any], stages: Sequence[PlannedStage],
                 samples: Mapping[str, Sequence[ECGSample]], tasks: Mapping[str, Task], stores: Stores, more: Sequence[Grid] = ()) -> None:
    """Write `table.md`, at its end the tables of `more`, and `figures/` into the run's folder and print the headline table."""
    paper = published.load()[experiment.paper_row] if experiment.paper_row else None
    head = f"# {folder.name}\n\n{experiment.description}\n\nscale {experiment.scale}, seed {experiment.seed}; test split by patient; greedy decoding\n\n"
    with whole(folder / "table.md") as part:
        part.write_text(head + "\n".join([table(metrics, paper, published.of_tasks()), *(grid.markdown() for grid in more)]))
    curves = {stage.name: stage.folder / "loss.csv" for stage in stages}
    if curves:
        figures.loss_curves(curves, folder / "figures" / "loss")
    list(bars.metric_figures(metrics, folder / "figures"))
    if "localization" in samples:
        given = read_predictions(folder / "predictions.jsonl")
        for number, sample in enumerate(_examples(samples["localization"], experiment.seed)):
            text = given["localization", SIGNAL, sample.id]
            said = tasks["localization"].parse(text, sample)
            signal, mask = stores.read(sample.records[0])
            figures.localization_example(signal, mask, sample.meta["intervals"], said, f"{sample.subset}: {sample.meta['name']}",
                                         folder / "figures" / f"localization_{number + 1}")
    console = Console()
    Console(width=max(console.width, WIDTH)).print(terminal(metrics, paper))


def _examples(samples: Sequence[ECGSample], seed: int) -> list[ECGSample]:
    positive = sorted((s for s in samples if s.meta["intervals"] and s.meta["seconds"] <= 20), key=lambda s: s.id)
    order = np.random.default_rng(seed).permutation(len(positive))
    return [positive[index] for index in order[:EXAMPLES]]
