"""Figures of views of the same in growing measure: what an answer is worth under more and more of it, and whether the
model still looks.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

from anyecg.evaluation.controls import BLIND
from anyecg.plots.charts import STYLE, colour, save
from anyecg.plots.views import component, in_order, is_view, label
from anyecg.types import DataError

PANELS = 3  # metrics drawn at most: the primary, then those that a table shows


def axes_of(task: Mapping[str, Any]) -> list[str]:
    """What grows in the views of a task of `metrics.json`, each once."""
    return list(dict.fromkeys(axis for view in in_order(task["views"]) if (axis := _axis(view))))


def sweep_figure(task: Mapping[str, Any], axis: str, references: Collection[str], target: str | Path) -> list[Path]:
    """A panel a metric: one line for each of `View.line` from none of `axis` to the most of it, with 95 % intervals,
    and flat lines of the answers that see no ECG (blind, references).

    Returns the PNG and the PDF; DataError where no metric is there in all views.
    """
    grown = [view for view in in_order(task["views"]) if _axis(view) == axis]
    lines: dict[str, list[str]] = {}
    for view in grown:
        lines.setdefault(component(view).line, []).append(view)
    lines = {line: views for line, views in lines.items() if line in task["views"]}
    every = [view for line, views in lines.items() for view in (line, *views)]
    metrics = [
        name
        for name in dict.fromkeys([task["primary"], *task.get("shown", ())])
        if every and all(name in task["views"][view]["metrics"] for view in every)
    ][:PANELS]
    if not metrics:
        raise DataError(f"no metric is there in every view of {axis}, and in those without it")
    flat = [row for row in (BLIND, *references) if row in task["views"]]
    with rc_context(STYLE):
        figure = Figure(figsize=(2.6 * len(metrics) + 0.4, 2.9), layout="constrained")
        for panel, metric in zip(figure.subplots(1, len(metrics), squeeze=False)[0], metrics, strict=True):
            for line, views in lines.items():
                _draw(panel, task, metric, line, views)
            for row, style in zip(flat, ("--", ":", "-."), strict=False):
                value = task["views"][row]["metrics"].get(metric)
                if value is not None:
                    panel.axhline(value, linestyle=style, color="#8a8a8a", linewidth=1.0, label=_named(task, row))
            longest = max(lines.values(), key=len)
            panel.set_xticks(range(len(longest) + 1), ["none", *(component(view).tick for view in longest)])
            panel.set(title=metric, xlabel=axis)
            panel.grid(axis="y", alpha=0.25, linewidth=0.5)
        handles, labels = panel.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(4, len(labels)), fontsize=7.5)
        return save(figure, target)


def _draw(panel: Any, task: Mapping[str, Any], metric: str, line: str, views: Sequence[str]) -> None:
    rows = [task["views"][view] for view in (line, *views)]
    values = [row["metrics"][metric] for row in rows]
    ends = [row.get("intervals", {}).get(metric, (value, value)) for row, value in zip(rows, values, strict=True)]
    # a percentile interval need not hold the value itself
    spread = [
        [max(0.0, value - low) for value, (low, _) in zip(values, ends, strict=True)],
        [max(0.0, high - value) for value, (_, high) in zip(values, ends, strict=True)],
    ]
    panel.errorbar(
        range(len(values)), values, spread, fmt="o-", color=colour(line), markersize=3.5, capsize=2.5, label=label(line)
    )


def _axis(view: str) -> str:
    return component(view).axis if is_view(view) else ""


def _named(task: Mapping[str, Any], row: str) -> str:
    return str(task["views"][row].get("label") or label(row))
