"""Figures of one task over several runs: side by side beside their controls, or along a size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from anyecg.evaluation.controls import BLIND, SHUFFLED, SIGNAL
from anyecg.plots.charts import STYLE, colour, grouped, save
from anyecg.plots.views import is_view, short
from anyecg.types import DataError

PANELS = 4  # metrics drawn at most where none are named
Value = tuple[float, Sequence[float] | None]  # and the ends of its interval
Tasks = Mapping[str, Mapping[str, Any]]  # run -> a task of its metrics.json


def side_by_side(runs: Tasks, metrics: Sequence[str], group: str, target: str | Path) -> list[Path]:
    """A panel a metric, a group of bars a run: with the ECG, blind, shuffled, and the references that a run has.

    metrics: empty for the primary and those that tables show; group: of a breakdown, empty for all questions. Returns
    the PNG and the PDF; DataError where no metric is there.
    """
    shown = _shown(runs, metrics, group)
    rows = [view for view in (SIGNAL, BLIND, SHUFFLED) if any(view in task["views"] for task in runs.values())]
    rows += sorted({row for task in runs.values() for row in task["views"] if not is_view(row)})
    with rc_context(STYLE):
        tall = 0.16 * len(rows) * len(runs) + 0.35 * len(runs) + 0.8
        figure = Figure(figsize=(2.6 * len(shown) + 1.6, tall), layout="constrained")
        panels = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
        for axis, metric in zip(panels, shown, strict=True):
            found = {row: [_value(task, row, metric, group) for task in runs.values()] for row in rows}
            grouped(
                axis,
                list(runs),
                {row: [value[0] if value else None for value in values] for row, values in found.items()},
                {row: [value[1] if value else None for value in values] for row, values in found.items()},
                [_count(task, group) for task in runs.values()],
            )
            axis.set(title=metric, xlabel=group)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), fontsize=7.5)
        return save(figure, target)


def along(
    runs: Tasks, sizes: Mapping[str, int], name: str, metrics: Sequence[str], group: str, target: str | Path
) -> list[Path]:
    """A panel a metric over a size of the runs, logarithmic: with the ECG, and its controls, with 95 % intervals.

    sizes: run -> its size, called `name`. Otherwise as `side_by_side`.
    """
    shown, ordered = _shown(runs, metrics, group), sorted(runs, key=lambda run: sizes[run])
    with rc_context(STYLE):
        figure = Figure(figsize=(2.6 * len(shown) + 0.5, 2.9), layout="constrained")
        for axis, metric in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
            for view, style in ((SIGNAL, "o-"), (SHUFFLED, "o--"), (BLIND, "o:")):
                found = {run: _value(runs[run], view, metric, group) for run in ordered}
                values = {run: value for run, value in found.items() if value}
                if not values:
                    continue
                ends = [interval or (value, value) for value, interval in values.values()]
                spread = [
                    [max(0.0, value - low) for (value, _), (low, _) in zip(values.values(), ends, strict=True)],
                    [max(0.0, high - value) for (value, _), (_, high) in zip(values.values(), ends, strict=True)],
                ]
                axis.errorbar(
                    [sizes[run] for run in values], [value for value, _ in values.values()], spread, fmt=style,
                    color=colour(view), markersize=3.5, capsize=2.5, label=short(view),
                )  # fmt: skip
            axis.set(title=metric, xlabel=name, xscale="log")
            axis.set_xticks([sizes[run] for run in ordered], [f"{run}\n{_told(sizes[run])}" for run in ordered])
            axis.set_xticks([], minor=True)
            axis.tick_params(axis="x", labelsize=6.5)
            axis.margins(x=0.15)
            axis.grid(axis="y", alpha=0.25, linewidth=0.5)
        handles, labels = axis.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=7.5)
        return save(figure, target)


def _told(size: int) -> str:
    power, letter = next(((10**k, name) for k, name in ((9, "B"), (6, "M"), (3, "k")) if size >= 10**k), (1, ""))
    return f"{size / power:.3g} {letter}".strip()


def _shown(runs: Tasks, metrics: Sequence[str], group: str) -> list[str]:
    """The metrics that any of the runs has with the ECG."""
    wanted = list(metrics) or [name for task in runs.values() for name in (task["primary"], *task.get("shown", ()))]
    found = [
        name
        for name in dict.fromkeys(wanted)
        if any(_value(task, SIGNAL, name, group) is not None for task in runs.values())
    ]
    if not found:
        what = ", ".join(dict.fromkeys(wanted)) + (f" of {group}" if group else "")
        raise DataError(f"none of {', '.join(runs)} has {what}")
    return found if metrics else found[:PANELS]


def _value(task: Mapping[str, Any], row: str, metric: str, group: str) -> Value | None:
    """A metric of a view or reference, over all questions or those of a group; None where it is not there."""
    view = task["views"].get(row)
    if view is None:
        return None
    if not group:
        value = view["metrics"].get(metric)
        return None if value is None else (value, view.get("intervals", {}).get(metric))
    for title, groups in view.get("blocks", {}).items():
        if group in groups and groups[group].get(metric) is not None:
            ends = view.get("block_intervals", {}).get(title, {}).get(group, {})
            return groups[group][metric], ends.get(metric)
    return None


def _count(task: Mapping[str, Any], group: str) -> int:
    if not group:
        return task["n"]
    blocks = task["views"].get(SIGNAL, {}).get("blocks", {})
    return next((groups[group]["n"] for groups in blocks.values() if group in groups), 0)
