"""All figures of a run, from its `metrics.json` alone: what its tasks draw, and each task's headline beside its
controls.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from anyecg.evaluation.controls import SIGNAL
from anyecg.evaluation.figures import loss_curves
from anyecg.evaluation.sweeps import axes_of, sweep_figure
from anyecg.plots.charts import STYLE, colour, save
from anyecg.plots.views import in_order, short
from anyecg.tasks import tasks
from anyecg.tasks.base import Task
from anyecg.types import DataError

log = logging.getLogger(__name__)

UPRIGHT = 7  # views at most that a panel has as upright bars


def run_figures(metrics: Mapping[str, Any], folder: str | Path) -> Iterator[Path]:
    """Every figure that `metrics.json` has the numbers for, each as it is drawn: `loss`, `controls`, `iou`,
    `scores`, `localization_1` ... in a folder.
    """
    drawn, folder = metrics.get("figures", {}), Path(folder)
    wanted: dict[str, Callable[[Path], list[Path]]] = {"controls": lambda target: controls_figure(metrics, target)}
    if drawn.get("loss"):
        wanted["loss"] = lambda target: loss_curves(
            {curve["stage"]: {k: v for k, v in curve.items() if k != "stage"} for curve in drawn["loss"]}, target
        )
    for key, task in metrics["tasks"].items():
        for axis in axes_of(task):
            wanted[f"{key}_{axis.replace(' ', '_')}"] = partial(sweep_figure, task, axis, metrics.get("references", ()))
        for name, draw in _component(key, task).figures(task, drawn.get(key, ())).items():
            wanted[name if name not in wanted else f"{key}_{name}"] = draw
    for name, draw in wanted.items():
        try:
            yield from draw(folder / name)
        except DataError as error:
            log.warning("figure %s is left out: %s", folder / name, error)


def controls_figure(metrics: Mapping[str, Any], target: str | Path) -> list[Path]:
    """The primary metric of each task in every view, with 95 % intervals. Returns the PNG and the PDF; DataError
    without tasks.
    """
    panels = metrics["tasks"]
    if not panels:
        raise DataError("there are no metrics to draw")
    with rc_context(STYLE):
        shown = {
            name: [view for view in in_order(task["views"]) if task["primary"] in task["views"][view]["metrics"]]
            for name, task in panels.items()
        }
        if max(map(len, shown.values())) > UPRIGHT:
            return save(_strict_figure(panels, shown), target)
        widths = [max(3, len(views)) for views in shown.values()]
        figure = Figure(figsize=(0.62 * sum(widths) + 0.4 * len(widths), 2.7), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False, width_ratios=widths)[0]
        for axis, (name, task) in zip(axes, panels.items()):
            primary, views = task["primary"], shown[name]
            for place, view in enumerate(views):
                value = task["views"][view]["metrics"][primary]
                low, high = task["views"][view]["intervals"].get(primary, (value, value))
                # a percentile interval need not hold the value itself
                spread = [[max(0.0, value - low)], [max(0.0, high - value)]]
                axis.bar(place, value, width=0.7, color=colour(view))
                axis.errorbar(place, value, spread, color="black", linewidth=0.9, capsize=3)
                axis.annotate(
                    f"{value:.2f}",
                    (place, max(high, value)),
                    (0, 3),
                    textcoords="offset points",
                    ha="center",
                    fontsize=8,
                )
            axis.set_xticks(
                range(len(views)), [short(view) for view in views], rotation=25, ha="right", rotation_mode="anchor"
            )
            axis.set(title=f"{name} (n = {task['n']})", ylabel=primary)
            axis.tick_params(bottom=False)
            axis.margins(y=0.12)
            axis.set_ylim(bottom=0)
        return save(figure, target)


def _strict_figure(panels: Mapping[str, Any], shown: Mapping[str, Sequence[str]]) -> Figure:
    """Many views: a row a view, the same in all panels, a panel a task; beside each bar its value and the share of
    unchanged answers.
    """
    rows = in_order(dict.fromkeys(view for views in shown.values() for view in views))
    figure = Figure(figsize=(1.8 + 2.1 * len(panels), 0.9 + 0.23 * len(rows)), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
    for axis, (name, task) in zip(axes, panels.items()):
        primary = task["primary"]
        signal = task["views"].get(SIGNAL, {"metrics": {}})["metrics"].get(primary)
        for y, view in enumerate(rows):
            found = task["views"].get(view)
            if view not in shown[name] or found is None:
                axis.annotate(
                    "not asked", (0, y), (2, 0), textcoords="offset points", va="center", fontsize=6, color="0.6"
                )
                continue
            value = found["metrics"][primary]
            low, high = found["intervals"].get(primary, (value, value))
            axis.barh(y, value, height=0.75, color=colour(view))
            axis.plot([low, high], [y, y], color="black", linewidth=0.9)
            unchanged = f"  ({found['unchanged']:.0%} unchanged)" if "unchanged" in found else ""
            axis.annotate(
                f"{value:.2f}{unchanged}",
                (max(high, value), y),
                (3, 0),
                textcoords="offset points",
                va="center",
                fontsize=6,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3},
            )
        if signal is not None:
            axis.axvline(signal, color=colour(SIGNAL), linewidth=0.7, linestyle=":")
        axis.set(title=f"{name} (n = {task['n']})", xlabel=primary, ylim=(len(rows) - 0.5, -0.5))
        axis.margins(x=0.45)
        axis.set_xlim(left=0)
        axis.tick_params(left=False)
    axes[0].set_yticks(range(len(rows)), [short(view) for view in rows], fontsize=7.5)
    return figure


def _component(key: str, task: Mapping[str, Any]) -> type[Task]:
    """The task that scored an entry of `metrics.json`."""
    return tasks[task.get("component", key)]
