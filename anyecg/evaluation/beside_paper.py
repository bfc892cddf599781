"""The paper's tables over several runs: a row for each run and view of ours, then the published rows, marked apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from anyecg.evaluation import published
from anyecg.evaluation.comparison import Results
from anyecg.evaluation.published import PublishedTable
from anyecg.evaluation.tables import MISSING, Grid, figure_of, number, row_label

JUDGES = {"findings judge": "", "LLM judge": "judge_"}  # how a judge's columns begin; the published ones are an LLM's
NOTE = "rows of a paper: on other data and other weights, so no like for like"


def paper_grids(runs: Sequence[Results]) -> list[Grid]:
    """Tables 4 to 7 and Figure 2 (`experiments/published/`), each with the runs that answered its task; a dash is a
    figure that a row does not have.
    """
    return [_grid(table, runs) for table in published.of_tasks()]


def _grid(table: PublishedTable, runs: Sequence[Results]) -> Grid:
    rows = [row for run in runs for row in _own(table, run)]
    seen: dict[tuple[str, ...], list[str]] = {}
    for row in rows:  # a reference, such as the prior, is the same in every run that was asked the same
        seen.setdefault(tuple(row[2:]) if not row[0] else tuple(row), row)
    rows = list(seen.values())
    rows += [
        [f"paper: {name}", MISSING, MISSING, *(number(figures.get(column)) for column in table.columns), MISSING]
        for name, figures in table.rows.items()
    ]
    header = ["", "knows beforehand", "view", *table.columns.values(), "questions"]
    return Grid(f"{table.task}: {table.caption}", header, [[row[0] or "reference", *row[1:]] for row in rows], [NOTE])


def _own(table: PublishedTable, run: Results) -> Iterator[list[str]]:
    """A row for each view of a run, and one for each reference beside it (whose first cell is empty)."""
    task = run.metrics["tasks"].get(table.task)
    knows = str(run.metrics.get("answerer", {}).get("knows", MISSING))
    references: Mapping[str, Any] = run.metrics.get("references", {})
    if task is None:
        yield [f"ours: {run.name}", knows, MISSING, *[MISSING] * len(table.columns), MISSING]
        return
    judged = any(column.startswith("judge_") for column in table.columns)
    for judge, prefix in (JUDGES if judged else {"": ""}).items():
        columns = [prefix + column.removeprefix("judge_") if judged else column for column in table.columns]
        for view, found in task["views"].items():
            cells = [figure_of(task, found, column) for column in columns]
            if any(cell != MISSING for cell in cells):
                where = row_label(view, found) + (f", {judge}" if judge else "")
                known = str(references.get(view, knows))
                yield ["" if view in references else f"ours: {run.name}", known, where, *cells, str(task["n"])]
