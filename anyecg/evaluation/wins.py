"""On how many questions each of several models, or of a model's views, has the highest score (Table 6's count of the
highest).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from anyecg.evaluation.controls import SIGNAL
from anyecg.evaluation.differences import Setting
from anyecg.evaluation.tables import Grid

COLUMNS = {"score": "findings judge", "judge": "LLM judge"}


def best(rows: Mapping[str, pd.DataFrame], columns: Sequence[str]) -> dict[str, dict[str, int]]:
    """name -> column -> the questions on which no other of the rows scores higher, ties counted for each (Table 6's
    count of the highest).

    rows: name -> rows of `Task.score` over the same questions; a column that they lack is left out, and so are the
    questions to which one of them has no score.
    """
    found: dict[str, dict[str, int]] = {name: {} for name in rows}
    for column in columns:
        if all(column in part for part in rows.values()):
            scores = _side_by_side(rows, column)
            for name, held in scores.eq(scores.max(axis=1), axis=0).items():
                found[name][column] = int(held.sum())
    return found


def highest_grids(settings: Sequence[Setting], task: str) -> list[Grid]:
    """A table for a task that ranks: each setting's count, with the ECG, over the seeds that all have; none for another
    task.

    The settings' rows of a seed are those of the same questions (`require_same_ids`).
    """
    seeds = sorted(set.intersection(*(set(setting.rows) for setting in settings)))
    asked = [{setting.name: setting.rows[seed][task][SIGNAL] for setting in settings} for seed in seeds]
    columns = [
        column
        for column in settings[0].scorer(task).ranked
        if all(column in part for rows in asked for part in rows.values())
    ]
    if not columns or not seeds:
        return []
    counted = [best(rows, columns) for rows in asked]
    totals = {column: sum(len(_side_by_side(rows, column)) for rows in asked) for column in columns}
    rows = [
        [
            setting.name,
            *(f"{sum(counts[setting.name][column] for counts in counted)} of {totals[column]}" for column in columns),
        ]
        for setting in settings
    ]
    notes = [
        "questions, with the ECG, on which no other run scores higher; where several have the highest score it counts "
        "for each"
    ]
    if len(settings[0].rows) > 1:
        notes.append(f"over seeds {', '.join(map(str, seeds))}")
    return [
        Grid(
            f"{task}: count of the highest score",
            ["run", *(COLUMNS.get(column, column) for column in columns)],
            rows,
            notes,
        )
    ]


def _side_by_side(rows: Mapping[str, pd.DataFrame], column: str) -> pd.DataFrame:
    """A column of each, a row a question to which all have a score."""
    return pd.DataFrame({name: part.set_index("id")[column] for name, part in rows.items()}).dropna()
