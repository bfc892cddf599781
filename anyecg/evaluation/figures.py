"""Figures: loss curves, and what ablations change; `bars` draws the metrics, and all that a run has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from anyecg.plots.charts import STYLE, save
from anyecg.types import DataError

Difference = tuple[str, str, float, float | None, float | None, float | None]

VALIDATION = "validation_loss"  # the column of a loss curve
SAID = "#d95f02"
OURS = "#2b5c8a"
ACROSS = 3  # stages in a row


def loss_curves(curves: Mapping[str, Mapping[str, Sequence[float]]], target: str | Path) -> list[Path]:
    """One panel a stage: training loss over optimizer steps, as logged and smoothed, and the validation loss at its
    points.

    curves: stage -> "step" and columns whose name holds "loss", as `drawn.loss_curve` gives them.
    target: the picture's path without suffix. Returns the PNG and the PDF. DataError without curves.
    """
    tables = {stage: pd.DataFrame(curve).astype(float) for stage, curve in curves.items()}
    if not tables:
        raise DataError("there are no loss curves to draw")
    with rc_context(STYLE):
        lines, across = math.ceil(len(tables) / ACROSS), min(ACROSS, len(tables))
        figure = Figure(figsize=(2.3 * across + 0.4, 2.1 * lines + 0.2), layout="constrained")
        panels = figure.subplots(lines, across, squeeze=False)
        for axis in panels.flat[len(tables) :]:
            axis.remove()
        for axis, (stage, table) in zip(panels.flat, tables.items()):
            for column in [name for name in table.columns if "loss" in name]:
                points = table[["step", column]].dropna()
                if points.empty:
                    continue
                if column == VALIDATION:
                    axis.plot(
                        points["step"], points[column], "o-", color=SAID, markersize=3, label="validation", zorder=3
                    )
                    continue
                (line,) = axis.plot(points["step"], points[column], alpha=0.3, color=OURS if column == "loss" else None)
                smooth = points[column].rolling(max(3, len(points) // 12), center=True, min_periods=1).mean()
                axis.plot(
                    points["step"],
                    smooth,
                    color=line.get_color(),
                    linewidth=1.5,
                    label="training" if column == "loss" else column,
                )
            axis.set(title=stage, xlabel="optimizer step")
            axis.margins(x=0.02)
            axis.grid(alpha=0.25, linewidth=0.5)
            if len(axis.get_legend_handles_labels()[1]) > 1:
                axis.legend()
        for line in panels:
            line[0].set_ylabel("loss")
        return save(figure, target)


def ablation_differences(rows: Sequence[Difference], target: str | Path) -> list[Path]:
    """What each ablation changes: a panel a task, a line an ablation, the difference with its interval, the paper's
    beside it.

    rows: `(label, panel, value, low, high, paper)`: the metric of the ablation minus the default's, the ends of its
    interval (None: there is none), and the difference that the paper publishes (None: not known), all in the task's own
    unit. Labels and tasks are drawn in the order in which they come first. Returns the PNG and the PDF; DataError
    without rows.
    """
    if not rows:
        raise DataError("there are no differences to draw; give at least two runs")
    labels, tasks = (list(dict.fromkeys(row[place] for row in rows)) for place in (0, 1))
    published = any(row[5] is not None for row in rows)
    with rc_context(STYLE):
        wide = 0.075 * max(map(len, labels)) + 0.4
        figure = Figure(
            figsize=(2.1 * len(tasks) + wide, 0.32 * len(labels) + 1.0 + 0.25 * published), layout="constrained"
        )
        panels = figure.subplots(1, len(tasks), squeeze=False, sharey=True)[0]
        for axis, task in zip(panels, tasks):
            axis.axvline(0, color="black", linewidth=0.8, zorder=1)
            for label, of, value, low, high, paper in rows:
                if of != task:
                    continue
                place = labels.index(label)
                if low is not None and high is not None:
                    axis.plot([low, high], [place, place], color=OURS, linewidth=1.6, solid_capstyle="butt", zorder=2)
                axis.plot(value, place, "o", color=OURS, markersize=4.5, zorder=3)
                if paper is not None:
                    axis.plot(
                        paper, place + 0.28, "D", markerfacecolor="white", markeredgecolor=SAID, markersize=4, zorder=3
                    )
            axis.set(title=task, xlabel="ablation − default", ylim=(len(labels) - 0.4, -0.6))
            axis.set_yticks(range(len(labels)), labels)
            axis.tick_params(left=False)
            axis.xaxis.set_major_locator(MaxNLocator(4))
            axis.grid(axis="x", alpha=0.25, linewidth=0.5)
            axis.margins(x=0.12)
        if published:
            ours = Line2D(
                [], [], color=OURS, marker="o", markersize=4.5, linewidth=1.6, label="here, with its 95 % interval"
            )
            paper = Line2D(
                [],
                [],
                color=SAID,
                marker="D",
                markersize=4,
                linewidth=0,
                markerfacecolor="white",
                label="published, on other data and weights",
            )
            figure.legend(handles=[ours, paper], loc="outside lower center", ncols=2)
        return save(figure, target)


def panel(task: str, metric: str) -> str:
    """The title of a panel of differences."""
    return f"{task}\n{metric}"
