"""Tables: the metrics of a run beside its controls and the paper, in markdown and for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group
from rich.table import Table

from anyecg.evaluation.controls import BLIND, SHUFFLED, SIGNAL

MISSING = "–"
LABELS = {SIGNAL: "with the ECG", BLIND: "blind (no ECG)", SHUFFLED: "shuffled (another patient's ECG)"}
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


def table(metrics: Mapping[str, Any], published: Mapping[str, float | None] | None = None) -> str:
    """Markdown of `metrics.json`: each task's headline in every view, then its other metrics and breakdowns.

    published: task -> the paper's figure, None where it is not known; shown as the paper's own row.
    """
    grids = []
    for name, task in metrics["tasks"].items():
        grids += [_headline(name, task, published), _all_metrics(name, task), *_breakdowns(name, task)]
    return "\n".join(grid.markdown() for grid in grids)


def terminal(metrics: Mapping[str, Any], published: Mapping[str, float | None] | None = None) -> Group:
    """The headlines of `table`, for `rich.console.Console.print`."""
    return Group(*(_headline(name, task, published).rich() for name, task in metrics["tasks"].items()))


def number(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3f}"


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
    primary, views, grids = task["primary"], task["views"], []
    titles = dict.fromkeys(title for found in views.values() for title in found["blocks"])
    for title in titles:
        groups = next(iter(views.values()))["blocks"][title]
        rows = [
            [group, *(number(found["blocks"][title][group].get(primary)) for found in views.values()), str(values["n"])]
            for group, values in groups.items()
        ]
        grids.append(Grid(f"{name}: {primary} by {title}", ["", *(LABELS[view] for view in views), "questions"], rows))
    return grids
