"""All figures of a run, from its `metrics.json` alone: what its tasks draw, and each task's headline beside its
controls.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from anyecg.evaluation.figures import loss_curves
from anyecg.plots.charts import STYLE, colour, save
from anyecg.plots.views import in_order, short
from anyecg.tasks import tasks
from anyecg.tasks.base import Task
from anyecg.types import DataError

log = logging.getLogger(__name__)


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


def _component(key: str, task: Mapping[str, Any]) -> type[Task]:
    """The task that scored an entry of `metrics.json`."""
    return tasks[task.get("component", key)]
