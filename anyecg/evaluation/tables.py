"""Tables: the metrics of a run beside its controls and the paper, in markdown and for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group
from rich.table import Table

from anyecg.evaluation.bootstrap import ALPHA, FEWEST, POWER
from anyecg.evaluation.breakdowns import COUNTS, MOST
from anyecg.evaluation.controls import SIGNAL
from anyecg.evaluation.published import PublishedTable
from anyecg.plots.views import is_view, label, short

MISSING = "–"
UNDEFINED = "undefined"  # by the rows at hand
DONORS = {"same": "the donor's true answer the same", "other": "the donor's true answer another"}
TRAINED_BLIND = "trained blind"  # a row of another run: blind answers of a model whose stages saw no ECG
BLIND_STAGES = f"{TRAINED_BLIND} (stages without ECG, asked without)"
DETECTABLE = (
    f"detectable: the smallest true difference that these questions show with {POWER:.0%} power (two-sided "
    f"{ALPHA:.0%}, paired by patient); a smaller one is mostly undecided"
)
CELLS = 100  # groups times metrics that a breakdown's table has room for
PAPER = "paper (other data and weights)"

Beside = Mapping[str, tuple[str, float | None]]  # task -> a metric, and the figure that a paper has of it


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
        grid = Table(
            title=self.title, title_justify="left", caption="\n".join(self.notes) or None, caption_justify="left"
        )
        for i, name in enumerate(self.header):
            grid.add_column(name, justify="left" if i == 0 else "right", no_wrap=i == 0)
        for row in self.rows:
            grid.add_row(*row)
        return grid


def table(metrics: Mapping[str, Any], published: Beside | None = None, others: Sequence[PublishedTable] = ()) -> str:
    """Markdown of `metrics.json`: each task's headline in every view, then its other metrics and breakdowns.

    published: task -> the metric that the paper's figure is of and the figure, None where it is not known; shown as the
    paper's own row. others: published tables of single tasks, shown with ours above them.
    """
    grids = []
    for name, task in metrics["tasks"].items():
        beside = [beside_published(task, table) for table in others if table.task == name]
        grids += [
            _headline(name, task, published),
            *beside,
            _all_metrics(name, task, published),
            *_breakdowns(name, task),
        ]
    return "\n".join(grid.markdown() for grid in grids)


def terminal(metrics: Mapping[str, Any], published: Beside | None = None) -> Group:
    """The headlines of `table`, for `rich.console.Console.print`."""
    return Group(*(_headline(name, task, published).rich() for name, task in metrics["tasks"].items()))


def number(value: float | None, without: str = MISSING) -> str:
    if value is None:
        return without
    return str(value) if isinstance(value, int) else f"{value:.3f}"


def with_interval(
    value: float | None, ends: Sequence[float] | None, sign: bool = False, patients: int | None = None
) -> str:
    """ "0.512 [0.430, 0.601]", the value alone without an interval or as a count, a dash without a value.

    patients: over whom the value is, where a missing interval is to be explained.
    """
    if value is None:
        return MISSING
    if isinstance(value, int):
        return str(value)
    form = "+.3f" if sign else ".3f"
    if ends:
        return f"{value:{form}} [{ends[0]:{form}}, {ends[1]:{form}}]"
    return f"{value:{form}}" + (
        f" [too few patients ({patients})]" if patients is not None and patients < FEWEST else ""
    )


def _headline(name: str, task: Mapping[str, Any], published: Beside | None) -> Grid:
    """A row a view and reference, those of the shuffled view split by the donor's true answer, and the paper's."""
    primary, notes, rows = task["primary"], [], []
    for view, found in task["views"].items():
        counts = [str(found["n"]), str(found["n_patients"]), str(found["unparsed"])]
        rows.append(
            [
                row_label(view, found),
                _value(task, found, primary),
                _difference(task, view, primary),
                number(task.get("detectable", {}).get(view, {}).get(primary)),
                _percent(found.get("measures", {}).get("unchanged")),
                *counts,
            ]
        )
        for same, words in DONORS.items():
            if part := found.get("donors", {}).get(same):
                difference, *ends = part.get("difference", [None])
                change = with_interval(difference, ends, sign=True, patients=part["n_patients"])
                of = f" ({part['metric']})" if part.get("metric", primary) != primary else ""
                rows.append(
                    [
                        f"… {words}{of}",
                        number(part.get("value"), UNDEFINED),
                        change,
                        *[MISSING] * 2,
                        str(part["n"]),
                        str(part["n_patients"]),
                        MISSING,
                    ]
                )
        for measure, spread in found.get("measures", {}).items():
            if spread is not None and measure != "unchanged":
                rows.append([f"… {measure}", with_interval(spread[0], spread[1:]), *[MISSING] * 6])
                notes.append(f"{label(view)}, {measure}: {task['meanings'].get(measure, measure)}")
        if (against := found.get("against")) and against["difference"] is not None:
            value, *ends = against["difference"]
            difference = with_interval(value, ends, sign=True)
            rows.append([f"… {label(against['view'])} − this", MISSING, difference, *[MISSING] * 5])
        if "signal" in found:
            notes.append(
                f"{label(view)}: of {found['n']} questions, on which the answers with the ECG have "
                f"{number(found['signal'].get(primary), UNDEFINED)}"
            )
    if published is not None:
        metric, figure = published.get(name, (primary, None))
        rows.append([PAPER, number(figure if metric == primary else None), *[MISSING] * 6])
        if metric != primary and figure is not None:
            notes.append(f"the paper's {number(figure)} is of {metric}, beside ours in the table of all metrics")
    if any("unchanged" in found for found in task["views"].values()):
        notes.append("unchanged: share of the answers that are word by word those given with the ECG")
    if task.get("detectable"):
        notes.append(DETECTABLE)
    if task["n_patients"] < FEWEST:
        notes.append(f"no interval is taken from fewer than {FEWEST} patients")
    header = [
        "",
        f"{primary} [95 %]",
        "ECG − this [95 %]",
        "detectable",
        "unchanged",
        "questions",
        "patients",
        "unparsed",
    ]
    return Grid(f"{name}: {task['meanings'].get(primary, primary)}", header, rows, notes)


def row_label(row: str, found: Mapping[str, Any]) -> str:
    """What a row of a view or of a reference is called."""
    return found.get("label") or (label(row) if is_view(row) else row)


def _percent(spread: Sequence[float] | None) -> str:
    """ "50 % [41, 59]" of a share and its interval."""
    if spread is None:
        return MISSING
    value, *ends = (100 * one for one in spread)
    return f"{value:.0f} %" + (f" [{ends[0]:.0f}, {ends[1]:.0f}]" if ends else "")


def _value(task: Mapping[str, Any], found: Mapping[str, Any], metric: str) -> str:
    """A view's metric with its interval; "undefined" where its rows do not define a metric that other views have."""
    value = found["metrics"].get(metric)
    return (
        UNDEFINED
        if value is None
        else with_interval(value, found["intervals"].get(metric), patients=task["n_patients"])
    )


def _difference(task: Mapping[str, Any], view: str, metric: str) -> str:
    values = task["differences"].get(view, {}).get(metric)
    if (
        values is None
    ):  # without a bootstrap or with too few patients there are no intervals, and the difference is the values' own
        found = task["views"].get(view, {"metrics": {}})
        signal = found.get("signal", task["views"].get(SIGNAL, {"metrics": {}})["metrics"])
        pair = [signal.get(metric), found["metrics"].get(metric)]
        if view == SIGNAL or None in pair:
            return MISSING
        return with_interval(pair[0] - pair[1], None, sign=True, patients=task["n_patients"])
    value, *ends = values
    return with_interval(value, ends, sign=True)


def beside_published(task: Mapping[str, Any], published: PublishedTable) -> Grid:
    """A published table with ours in every view above it; of several ECGs a row a judge, since the published one is
    an LLM's.
    """
    judges = (
        {"findings judge": "", "LLM judge": "judge_"}
        if any(column.startswith("judge_") for column in published.columns)
        else {"": None}
    )
    rows, asked = [], [str(task["n"]), str(task["n_patients"])]
    for judge, prefix in judges.items():
        columns = [column if prefix is None else prefix + column.removeprefix("judge_") for column in published.columns]
        told = f", {judge}" if judge else ""
        for view, found in task["views"].items():
            cells = [figure_of(task, found, column) for column in columns]
            if any(cell != MISSING for cell in cells):
                rows.append([row_label(view, found) + told, *cells, *asked, str(found["unparsed"])])
        for view in task["differences"]:
            cells = [_figure_difference(task, view, column) for column in columns]
            if any(cell != MISSING for cell in cells):
                rows.append([f"ECG − {short(view)}{told}", *cells, *asked, MISSING])
    rows += [
        [f"{name} (published)", *(number(figures.get(column)) for column in published.columns), *[MISSING] * 3]
        for name, figures in published.rows.items()
    ]
    notes = ["published rows: on other data and weights, so no like for like"]
    if any(column.endswith("best") for column in published.columns):
        notes.append(
            "the highest: questions on which no other row of ours with the same judge scores higher, and none of the "
            "published models"
        )
    header = ["", *published.columns.values(), "questions", "patients", "unparsed"]
    return Grid(f"{published.task}: {published.caption} [95 %]", header, rows, notes)


def figure_of(task: Mapping[str, Any], found: Mapping[str, Any], column: str) -> str:
    """A view's figure by the name of its metric, as BREAKDOWN/GROUP/METRIC, or as the count of the highest ("best",
    "judge_best").
    """
    if column in ("best", "judge_best"):
        return number(found.get("best", {}).get("judge" if column.startswith("judge") else "score"))
    return (
        _group_value(found, *column.split("/"))
        if "/" in column
        else _value(task, found, column)
        if column in found["metrics"]
        else MISSING
    )


def _figure_difference(task: Mapping[str, Any], view: str, column: str) -> str:
    """The signal's figure minus a view's, where the run has the difference."""
    if "/" not in column:
        return _difference(task, view, column)
    title, group, metric = column.split("/")
    return _group_difference(task, view, title, group) if metric == task["primary"] else MISSING


def _group_value(found: Mapping[str, Any], title: str, group: str, metric: str) -> str:
    ends = found["block_intervals"].get(title, {}).get(group, {}).get(metric)
    return with_interval(found["blocks"].get(title, {}).get(group, {}).get(metric), ends)


def _group_difference(task: Mapping[str, Any], view: str, title: str, group: str) -> str:
    value, *ends = task["block_differences"].get(view, {}).get(title, {}).get(group, [None])
    return with_interval(value, ends, sign=True)


def _all_metrics(name: str, task: Mapping[str, Any], published: Beside | None) -> Grid:
    """A row a metric and view, the paper's figure below the metric that it is of."""
    views, rows = task["views"], []
    of, figure = (published or {}).get(name, ("", None))
    for metric in dict.fromkeys(metric for found in views.values() for metric in found["metrics"]):
        for view, found in views.items():
            if "label" in found and metric not in found["metrics"]:
                continue  # of a judge, who reads no reference's answers
            rows.append(
                [
                    _once(metric, rows),
                    short(view),
                    _value(task, found, metric),
                    _difference(task, view, metric),
                    str(found["unparsed"]),
                ]
            )
        if metric == of and figure is not None:
            rows.append(["", PAPER, number(figure), MISSING, MISSING])
    asked = (
        f"asked: {task['n']} questions of {task['n_patients']} patients; a metric of some of them (a set of "
        f"labels, a number of ECGs) is over those counted below"
    )
    notes = dict.fromkeys(note for found in views.values() for note in found["notes"])
    return Grid(f"{name}: all metrics [95 %]", ["", "", "value", "ECG − this", "unparsed"], rows, [asked, *notes])


def _breakdowns(name: str, task: Mapping[str, Any]) -> Iterator[Grid]:
    """Of each breakdown a row a group and view: the primary metric with its difference, and where there is room
    those that the task shows beside it.
    """
    headline, views = task["primary"], task["views"]
    for title in dict.fromkeys(title for found in views.values() for title in found["blocks"]):
        primary = headline
        groups = next(found["blocks"][title] for found in views.values() if title in found["blocks"])
        shown = [
            metric
            for metric in (primary, *task.get("shown", []))
            if any(metric in values for values in groups.values())
        ] or [primary]
        primary, shown = shown[0], [metric for metric in shown[1:] if metric != shown[0]]
        room = len(groups) * len(shown) <= CELLS
        rows: list[list[str]] = []
        for group in groups:
            for view, found in views.items():
                values = found["blocks"].get(title, {}).get(group)
                if values is None:
                    continue
                cells = [_group_value(found, title, group, primary), _group_difference(task, view, title, group)]
                beside = [_group_value(found, title, group, metric) for metric in shown] if room else []
                rows.append(
                    [_once(group, rows), short(view), *cells, *beside, *(number(values.get(count)) for count in COUNTS)]
                )
        header = ["", "", primary, "ECG − this", *(shown if room else []), "questions", "patients", "unparsed"]
        notes = [
            f"intervals of groups: {MOST} resamples of their own patients at most; none where they are fewer than "
            f"{FEWEST}"
        ]
        if not room:
            notes.append(f"also in metrics.json: {', '.join(shown)}")
        yield Grid(f"{name}, by {title} [95 %]", header, rows, notes)


def _once(name: str, rows: Sequence[Sequence[str]]) -> str:
    """A name for the first of its rows, nothing for the others."""
    last = next((row[0] for row in reversed(rows) if row[0]), None)
    return "" if name == last else name
