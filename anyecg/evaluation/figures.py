"""Figures of a run: loss curves, a localization on its trace, and the metrics beside their controls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure

from anyecg.data.tracing import TRUE, strips
from anyecg.evaluation.controls import BLIND, SHUFFLED, SIGNAL
from anyecg.types import CANONICAL_LEADS, DataError

STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 0.9,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # text stays text
    "savefig.dpi": 200,
    "savefig.bbox": "tight",
}
SAID = "#d95f02"
PRINT = 0.8  # of the size on paper
COLOURS = {SIGNAL: "#2b5c8a", BLIND: "#c9c9c9", SHUFFLED: "#8f9fb0"}
NAMES = {SIGNAL: "with the ECG", BLIND: "blind", SHUFFLED: "shuffled"}


def loss_curves(curves: Mapping[str, str | Path], target: str | Path) -> list[Path]:
    """One panel a stage: training loss over optimizer steps, as logged and smoothed.

    curves: stage -> a `.csv` or `.jsonl` file with a column `step` and columns whose name holds "loss".
    target: the picture's path without suffix. Returns the PNG and the PDF. DataError for a file without such columns.
    """
    tables = {stage: _read_curve(Path(path)) for stage, path in curves.items()}
    if not tables:
        raise DataError("there are no loss curves to draw")
    with rc_context(STYLE):
        figure = Figure(figsize=(2.3 * len(tables) + 0.4, 2.3), layout="constrained")
        axes = figure.subplots(1, len(tables), squeeze=False)[0]
        for axis, (stage, table) in zip(axes, tables.items()):
            for column in [name for name in table.columns if "loss" in name]:
                points = table[["step", column]].dropna()
                (line,) = axis.plot(points["step"], points[column], alpha=0.3)
                smooth = points[column].rolling(max(3, len(points) // 12), center=True, min_periods=1).mean()
                axis.plot(points["step"], smooth, color=line.get_color(), linewidth=1.5, label=column)
            axis.set(title=stage, xlabel="optimizer step")
            axis.margins(x=0.02)
            axis.grid(alpha=0.25, linewidth=0.5)
            if sum("loss" in name for name in table.columns) > 1:
                axis.legend()
        axes[0].set_ylabel("loss")
        return _save(figure, target)


def localization_example(
    signal: np.ndarray,
    lead_mask: np.ndarray,
    truth: Sequence[Sequence[float]],
    said: Sequence[Sequence[float]] | None,
    title: str,
    target: str | Path,
) -> list[Path]:
    """A localization on its trace: each lead that is there, shaded where the truth is, over bars of truth and answer.

    signal: `[12, T]` in mV at 100 Hz, canonical lead order; lead_mask: bool `[12]`; truth, said: `[start, end]` in
    seconds, `said=None` for an answer that could not be read; title: the question. Returns the PNG and the PDF.
    """
    leads = np.flatnonzero(lead_mask)
    if not len(leads):
        raise DataError("a localization cannot be drawn on an ECG without leads")
    lanes = {"truth": (truth, TRUE), "answer": (said, SAID)}
    panel = strips(signal[leads], [CANONICAL_LEADS[lead] for lead in leads], shaded=truth, lanes=lanes)
    with rc_context(STYLE):
        figure = Figure(figsize=(PRINT * panel.width / 25.4, PRINT * panel.height / 25.4))
        axes = figure.add_axes((0, 0, 1, 1))
        panel.draw(axes, panel.height, PRINT)
        axes.set_title(title, loc="left")
        return _save(figure, target)


def controls_figure(metrics: Mapping[str, Any], target: str | Path) -> list[Path]:
    """The primary metric of each task with the ECG, blind and shuffled, with 95 % intervals, from `metrics.json`."""
    panels = metrics["tasks"]
    if not panels:
        raise DataError("there are no metrics to draw")
    with rc_context(STYLE):
        figure = Figure(figsize=(2.1 * len(panels) + 0.4, 2.6), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for axis, (name, task) in zip(axes, panels.items()):
            primary = task["primary"]
            views = [view for view, found in task["views"].items() if primary in found["metrics"]]
            for place, view in enumerate(views):
                value = task["views"][view]["metrics"][primary]
                low, high = task["views"][view]["intervals"].get(primary, (value, value))
                # a percentile interval need not hold the value itself
                spread = [[max(0.0, value - low)], [max(0.0, high - value)]]
                axis.bar(place, value, width=0.7, color=COLOURS[view])
                axis.errorbar(place, value, spread, color="black", linewidth=0.9, capsize=3)
                axis.annotate(f"{value:.2f}", (place, max(high, value)), (0, 3), textcoords="offset points", ha="center", fontsize=8)
            axis.set_xticks(range(len(views)), [NAMES[view] for view in views], rotation=20, ha="right", rotation_mode="anchor")
            axis.set(title=f"{name} (n = {task['n']})", ylabel=primary)
            axis.tick_params(bottom=False)
            axis.margins(y=0.12)
            axis.set_ylim(bottom=0)
        return _save(figure, target)


def _read_curve(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(path) if path.suffix == ".csv" else pd.read_json(path, lines=True)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: no loss curve can be read ({error})") from error
    if "step" not in table or not any("loss" in name for name in table.columns):
        raise DataError(f"{path}: a loss curve needs a column 'step' and a column with 'loss' in its name, found {list(table.columns)}")
    return table


def _save(figure: Figure, target: str | Path) -> list[Path]:
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    paths = [target.with_name(f"{target.name}.{kind}") for kind in ("png", "pdf")]
    for path in paths:
        figure.savefig(path)
    return paths
