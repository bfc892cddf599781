"""All figures of a run, from its `metrics.json` alone; of them the bars: metrics beside their controls, IoU by group and lead, distributions of scores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anyecg.evaluation.controls import BLIND, SHUFFLED, SIGNAL, SINGLE_LEAD, VIEWS
from anyecg.evaluation.figures import STYLE, localization_example, loss_curves, save
from anyecg.evaluation.tables import short
from anyecg.tasks.multi_ecg.task import BINS, ECGS, SCORES
from anyecg.types import DataError

log = logging.getLogger(__name__)

COLOURS = {SIGNAL: "#2b5c8a", BLIND: "#c9c9c9", SHUFFLED: "#8f9fb0", **dict(zip(SINGLE_LEAD, ("#e6a14c", "#d9792b", "#f2c99a")))}
JUDGES = {"histogram": ("findings judge", "score"), "judge_histogram": ("LLM judge", "judge_score")}
OTHER = "#7a6a9c"  # of a view that has no colour of its own
WRAP = 34  # characters of a group's name on a line


def run_figures(metrics: Mapping[str, Any], folder: str | Path) -> Iterator[Path]:
    """Every figure that `metrics.json` has the numbers for, each as it is drawn: `loss`, `controls`, `iou`, `scores`, `localization_1` ... in a folder."""
    tasks, drawn, folder = metrics["tasks"], metrics.get("figures", {}), Path(folder)
    wanted: dict[str, Callable[[Path], list[Path]]] = {"controls": lambda target: controls_figure(metrics, target)}
    if drawn.get("loss"):
        wanted["loss"] = lambda target: loss_curves({curve["stage"]: {k: v for k, v in curve.items() if k != "stage"} for curve in drawn["loss"]}, target)
    if "localization" in tasks:
        wanted["iou"] = lambda target: iou_bars(tasks["localization"], target)
    if "multi_ecg" in tasks:
        wanted["scores"] = lambda target: score_distributions(tasks["multi_ecg"], target)
    for number, example in enumerate(drawn.get("localization", ()), start=1):
        wanted[f"localization_{number}"] = partial(localization_example, example)
    for name, draw in wanted.items():
        try:
            yield from draw(folder / name)
        except DataError as error:
            log.warning("figure %s is left out: %s", folder / name, error)


def controls_figure(metrics: Mapping[str, Any], target: str | Path) -> list[Path]:
    """The primary metric of each task in every view, with 95 % intervals. Returns the PNG and the PDF; DataError without tasks."""
    panels = metrics["tasks"]
    if not panels:
        raise DataError("there are no metrics to draw")
    with rc_context(STYLE):
        shown = {name: [view for view in in_order(task["views"]) if task["primary"] in task["views"][view]["metrics"]] for name, task in panels.items()}
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
                axis.annotate(f"{value:.2f}", (place, max(high, value)), (0, 3), textcoords="offset points", ha="center", fontsize=8)
            axis.set_xticks(range(len(views)), [short(view) for view in views], rotation=25, ha="right", rotation_mode="anchor")
            axis.set(title=f"{name} (n = {task['n']})", ylabel=primary)
            axis.tick_params(bottom=False)
            axis.margins(y=0.12)
            axis.set_ylim(bottom=0)
        return save(figure, target)


def iou_bars(task: Mapping[str, Any], target: str | Path, metric: str = "iou_balanced", floor: float | None = 0.5) -> list[Path]:
    """Figure 2: localization by subset and by abnormality, a bar a view with its 95 % interval, those with one lead withheld among them.

    task: `metrics.json`'s entry of localization; floor: what the metric gives a model that never finds anything, drawn as
    a line. A panel a breakdown ("subset", "abnormality"). Returns the PNG and the PDF; DataError where no group has the metric.
    """
    views = in_order(task["views"])
    panels = {}
    for title in ("subset", "abnormality"):
        blocks = {view: task["views"][view]["blocks"].get(title, {}) for view in views}
        groups = [group for group in next(iter(blocks.values()), {}) if any(metric in found.get(group, {}) for found in blocks.values())]
        if groups:
            panels[title] = (groups, blocks)
    if not panels:
        raise DataError(f"localization has no breakdown with {metric} to draw")
    with rc_context(STYLE):
        heights = [len(groups) for groups, _ in panels.values()]
        row = 0.11 * len(views) + 0.13
        figure = Figure(figsize=(6.6, row * sum(heights) + 0.45 * len(heights) + 0.45), layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        for axis, (title, (groups, blocks)) in zip(axes, panels.items()):
            counts = [next(found[group]["n"] for found in blocks.values() if group in found) for group in groups]
            ends = {view: task["views"][view].get("block_intervals", {}).get(title, {}) for view in views}
            values, spreads = ({view: [found[view].get(group, {}).get(metric) for group in groups] for view in views} for found in (blocks, ends))
            _grouped(axis, groups, values, spreads, counts)
            if floor is not None:
                axis.axvline(floor, color="black", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.5)
            axis.set_title(f"by {title}", loc="left")
            axis.set_xlim(0, 1.08)
            axis.set_xticks(np.linspace(0, 1, 6))
        axes[-1].set_xlabel(metric + (f" (dashed: always \"No X Found\", {floor:g})" if floor is not None else ""))
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=min(3, len(names)))
        return save(figure, target)


def score_distributions(task: Mapping[str, Any], target: str | Path) -> list[Path]:
    """Figure 3: the distribution of scores over several ECGs, a column a number of ECGs, a row a judge, a bar a view.

    task: `metrics.json`'s entry of multi_ecg. Bars are shares of the answers that the judge scored; means are told in the
    panel. Returns the PNG and the PDF; DataError where there are no distributions.
    """
    views = in_order(task["views"])
    blocks = {view: task["views"][view]["blocks"].get(ECGS, {}) for view in views}
    numbers = sorted({number for found in blocks.values() for number in found}, key=int)
    judges = [name for name in SCORES.values() if any(name in group for found in blocks.values() for group in found.values())]
    if not judges:
        raise DataError("there are no distributions of scores to draw; evaluate multi_ecg again")
    with rc_context(STYLE):
        figure = Figure(figsize=(1.75 * len(numbers) + 0.5, 1.75 * len(judges) + 0.75), layout="constrained")
        panels = figure.subplots(len(judges), len(numbers), squeeze=False, sharex=True, sharey=True)
        for line, judge in zip(panels, judges):
            name, mean = JUDGES[judge]
            for axis, number in zip(line, numbers):
                _distribution(axis, {view: blocks[view].get(number, {}) for view in views}, judge, mean)
            line[0].set_ylabel(f"{name}\nshare of answers")
        for axis, number in zip(panels[0], numbers):
            axis.set_title(f"{number} ECGs (n = {next(found[number]['n'] for found in blocks.values() if number in found)})")
        for axis in panels[-1]:
            axis.set_xticks(range(len(BINS)), BINS, fontsize=7.5)
        figure.supxlabel("score (<2: from 1 up to 2)", fontsize=STYLE["font.size"])
        handles, names = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=len(names))
        return save(figure, target)


def in_order(views: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """The views as the evaluation asks them, any others after them; a file has them by name."""
    return sorted(views, key=lambda view: (VIEWS.index(view) if view in VIEWS else len(VIEWS), view))


def colour(view: str) -> str:
    return COLOURS.get(view, OTHER)


def _grouped(axis: Axes, groups: Sequence[str], values: Mapping[str, Sequence[float | None]], spreads: Mapping[str, Sequence[Sequence[float] | None]],
             counts: Sequence[int]) -> None:
    """Horizontal bars with their intervals where there are any, a group of them a name, the first view on top."""
    width = 0.8 / len(values)
    for place, (view, found) in enumerate(values.items()):
        at = np.arange(len(groups)) - 0.4 + width * (place + 0.5)
        axis.barh(at, [value or 0.0 for value in found], height=width * 0.92, color=colour(view), label=short(view))
        for y, value, ends in zip(at, found, spreads[view]):
            if ends:
                axis.plot(ends, [y, y], color="white", linewidth=2, alpha=0.8, solid_capstyle="butt", zorder=3)
                axis.plot(ends, [y, y], color="black", linewidth=0.8, solid_capstyle="butt", zorder=3)
            told = "–" if value is None else f"{value:.2f}"
            axis.annotate(told, (max([value or 0.0, *(ends or ())]), y), (2, 0), textcoords="offset points", va="center", fontsize=6.5, zorder=4,
                          bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3})
    axis.set_yticks(range(len(groups)), [f"{_wrapped(group)}\nn = {count}" for group, count in zip(groups, counts)], fontsize=7.5)
    axis.set_ylim(len(groups) - 0.5, -0.5)
    axis.tick_params(left=False)


def _distribution(axis: Axes, groups: Mapping[str, Mapping[str, Any]], judge: str, mean: str) -> None:
    width, told = 0.84 / len(groups), []
    for place, (view, group) in enumerate(groups.items()):
        counts = np.array(group.get(judge, [0] * len(BINS)))
        axis.bar(np.arange(len(BINS)) - 0.42 + width * (place + 0.5), counts / max(1, counts.sum()), width=width, color=colour(view), label=short(view))
        told.append(f"{group[mean]:.2f}" if mean in group else "–")
    axis.annotate("mean " + " / ".join(told), (0.5, 1), (0, -1), xycoords="axes fraction", textcoords="offset points", ha="center", va="top", fontsize=7)
    axis.tick_params(bottom=False)
    axis.margins(y=0.18)


def _wrapped(name: str) -> str:
    """A group's name on lines of at most `WRAP` characters where it has spaces."""
    lines = [""]
    for word in name.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > WRAP:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)
