"""Tables: the metrics of a run beside its controls and the paper, in markdown and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group
from rich.table import Table

from anyecg.evaluation.controls import BLIND, SHUFFLED, SIGNAL, SINGLE_LEAD
from anyecg.evaluation.published import PublishedTable

MISSING = "–"
LABELS = {
    SIGNAL: "with the ECG", BLIND: "blind (no ECG)", SHUFFLED: "shuffled (another patient's ECG)",
    **{view: view.replace("_", " ") for view in SINGLE_LEAD},
}
PAPER = "paper (other data and weights)"


@dataclass(frozen=True)
class Grid:
    """A titled table of words, with the sentences that belong under it."""

    title: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = field(default=())

    def markdown(self) -> str:
        def line(cells: Sequence[str]) -> str:
            return "| " + " | ".join(str(cell).replace("|", "\\|") for cell in cells) + " |"

        body = [line(self.header), line(["---"] * len(self.header)), *map(line, self.rows)]
        notes = ["", *(f"- {note}" for note in self.notes)] if self.notes else []
        return "\n".join([f"### {self.title}", "", *body, *notes]) + "\n"

    def rich(self) -> Table:
        grid = Table(title=self.title, title_justify="left", caption="\n".join(self.notes) or None, caption_justify="left")
        for i, name in enumerate(self.header):
            grid.add_column(name, justify="left" if i == 0 else "right", no_wrap=i == 0)
        for row in self.rows:
            grid.add_row(*row)
        return grid


def table(metrics: Mapping[str, Any], published: Mapping[str, float | None] | None = None, others: Sequence[PublishedTable] = ()) -> str:
    """Markdown of `metrics.json`: each task's headline in every view, then its other metrics and breakdowns.

    published: task -> the paper's figure, None where it is not known; shown as the paper's own row. others: published tables
    of single tasks, shown with ours above them.
    """
    grids = []
    for name, task in metrics["tasks"].items():
        beside = [beside_published(task, table) for table in others if table.task == name]
        grids += [_headline(name, task, published), *beside, _all_metrics(name, task), *_breakdowns(name, task)]
    return "\n".join(grid.markdown() for grid in grids)


def terminal(metrics: Mapping[str, Any], published: Mapping[str, float | None] | None = None) -> Group:
    """The headlines of `table`, for `rich.console.Console.print`."""
    return Group(*(_headline(name, task, published).rich() for name, task in metrics["tasks"].items()))


def number(value: float | None) -> str:
    if value is None:
        return MISSING
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def with_interval(value: float | None, ends: Sequence[float] | None, sign: bool = False) -> str:
    """"0.512 [0.430, 0.601]", the value alone without an interval, a dash without a value."""
    if value is None:
        return MISSING
    form = "+.3f" if sign else ".3f"
    return f"{value:{form}}" + (f" [{ends[0]:{form}}, {ends[1]:{form}}]" if ends else "")


def _headline(name: str, task: Mapping[str, Any], published: Mapping[str, float | None] | None) -> Grid:
    primary, rows = task["primary"], []
    for view, found in task["views"].items():
        value, *ends = task["differences"].get(view, {}).get(primary, [None])
        rows.append([
            LABELS[view],
            with_interval(found["metrics"].get(primary), found["intervals"].get(primary)),
            with_interval(value, ends, sign=True),
            str(task["n"]),
            str(task["n_patients"]),
            str(found["unparsed"]),
        ])
    if published is not None:
        rows.append([PAPER, number(published.get(name)), *[MISSING] * 4])
    header = ["", f"{primary} [95 %]", "ECG − this [95 %]", "questions", "patients", "unparsed"]
    return Grid(f"{name}: {task['meanings'].get(primary, primary)}", header, rows)


def beside_published(task: Mapping[str, Any], published: PublishedTable) -> Grid:
    """A published table with ours in every view above it; of several ECGs a row a judge, since the published one is an LLM's."""
    judges = {"findings judge": "", "LLM judge": "judge_"} if any(column.startswith("judge_") for column in published.columns) else {"": None}
    rows = []
    for judge, prefix in judges.items():
        for view, found in task["views"].items():
            columns = [column if prefix is None else prefix + column.removeprefix("judge_") for column in published.columns]
            cells = [_figure(found, column) for column in columns]
            if any(cell is not None for cell in cells):
                rows.append([LABELS[view] + (f", {judge}" if judge else ""), *map(number, cells)])
    rows += [[f"{name} (published)", *(number(figures.get(column)) for column in published.columns)] for name, figures in published.rows.items()]
    notes = ["published rows: on other data and weights, so no like for like"]
    if published.task == "multi_ecg":
        notes.append("the highest: questions on which no other row of ours with the same judge scores higher, and none of the published models")
    return Grid(f"{published.task}: {published.caption}", ["", *published.columns.values()], rows, notes)


def _figure(found: Mapping[str, Any], column: str) -> float | None:
    """A view's figure by the name of its metric, as BREAKDOWN/GROUP/METRIC, or as the count of the highest ("best", "judge_best")."""
    if column in ("best", "judge_best"):
        return found.get("best", {}).get("judge" if column.startswith("judge") else "score")
    if "/" not in column:
        return found["metrics"].get(column)
    title, group, metric = column.split("/")
    return found["blocks"].get(title, {}).get(group, {}).get(metric)


def _all_metrics(name: str, task: Mapping[str, Any]) -> Grid:
    views = task["views"]
    metrics = list(dict.fromkeys(metric for found in views.values() for metric in found["metrics"]))
    rows = [
        [metric, *(with_interval(found["metrics"].get(metric), found["intervals"].get(metric)) for found in views.values())]
        for metric in metrics
    ]
    notes = dict.fromkeys(note for found in views.values() for note in found["notes"])
    return Grid(f"{name}: all metrics [95 %]", ["", *(LABELS[view] for view in views)], rows, list(notes))


def _breakdowns(name: str, task: Mapping[str, Any]) -> list[Grid]:
    """Of each breakdown the primary metric in every view, and the metrics that the task shows beside it in the first view."""
    primary, views, grids = task["primary"], task["views"], []
    titles = dict.fromkeys(title for found in views.values() for title in found["blocks"])
    for title in titles:
        first = next(iter(views))
        groups = views[first]["blocks"][title]
        rows = [
            [group, *(number(found["blocks"][title][group].get(primary)) for found in views.values()), str(values["n"])]
            for group, values in groups.items()
        ]
        if any(primary in values for values in groups.values()):
            grids.append(Grid(f"{name}: {primary} by {title}", ["", *(LABELS[view] for view in views), "questions"], rows))
        beside = [metric for metric in task.get("shown", []) if any(metric in values for values in groups.values())]
        rows = [[group, *(number(values.get(metric)) for metric in beside), str(values["n"])] for group, values in groups.items()]
        if beside:
            grids.append(Grid(f"{name} {LABELS[first]}, by {title}", ["", *beside, "questions"], rows))
    return grids
