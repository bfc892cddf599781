"""A benchmark's table over several tasks (ECGBench's Tables 3 and 4): ours in every view, then the published rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from anyecg.evaluation.published import PublishedTable
from anyecg.evaluation.tables import MISSING, Grid, number, row_label

PUBLISHED = "_published"  # how a metric by a benchmark's own parser ends
READINGS = {"": "", PUBLISHED: ", as its scorer reads"}
NOTE = "published rows: on other data, pages and weights, read by their own scorer, so no like for like"


def benchmark_grid(metrics: Mapping[str, Any], table: PublishedTable) -> Grid | None:
    """A table whose columns are TASK/METRIC or TASK/GROUP/METRIC; None where the run has no figure for it.

    A group is one of the task's breakdown that has it (a corpus). A figure that the run does not have is a dash, and a
    note says why.
    """
    tasks = metrics["tasks"]
    views = dict.fromkeys(view for task in tasks.values() for view in task["views"])
    rows = []
    for view in views:
        for reading, words in READINGS.items():
            cells = [_cell(tasks, view, column, reading) for column in table.columns]
            if any(cell != MISSING for cell in cells):
                found = next(task["views"][view] for task in tasks.values() if view in task["views"])
                rows.append([row_label(view, found) + words, *cells])
    if not rows:
        return None
    rows += [
        [f"{name} (published)", *(number(figures.get(column)) for column in table.columns)]
        for name, figures in table.rows.items()
    ]
    return Grid(table.caption, ["", *table.columns.values()], rows, [*_reasons(tasks, table), NOTE])


def _cell(tasks: Mapping[str, Any], view: str, column: str, reading: str) -> str:
    task, *group, metric = column.split("/")
    found = tasks.get(task, {}).get("views", {}).get(view)
    if found is None:
        return MISSING
    parts = [found["metrics"]] if not group else [groups.get(group[0], {}) for groups in found["blocks"].values()]
    return next((number(part[metric + reading]) for part in parts if part.get(metric + reading) is not None), MISSING)


def _reasons(tasks: Mapping[str, Any], table: PublishedTable) -> Iterator[str]:
    """Why columns have no figure of ours."""
    why: dict[str, list[str]] = {}
    for column, title in table.columns.items():
        task, *group, metric = column.split("/")
        if any(_cell(tasks, view, column, "") != MISSING for view in tasks.get(task, {}).get("views", {})):
            continue
        if task not in tasks:
            reason = f"the run asks no task '{task}'"
        elif group and not any(
            group[0] in groups for view in tasks[task]["views"].values() for groups in view["blocks"].values()
        ):
            reason = f"no question of '{task}' is about {group[0]}: its corpus or its file is not there"
        else:
            reason = f"'{task}' has no {metric} here"
        why.setdefault(reason, []).append(title)
    return (f"a dash under {', '.join(titles)}: {reason}" for reason, titles in why.items())
