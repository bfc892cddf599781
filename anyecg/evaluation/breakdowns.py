"""Intervals of a breakdown's groups: each group's own patients resampled, paired over the views."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from anyecg.evaluation.bootstrap import FEWEST, bounds, paired_bounds, replicates
from anyecg.evaluation.controls import SIGNAL
from anyecg.tasks.base import Task

MOST = 200  # resamples of a group: there are many groups
COUNTS = ("n", "n_patients", "n_unparsed")  # of a group, beside its metrics
APART = "\0"  # between the words of a column's name

Blocks = Mapping[str, Mapping[str, Mapping[str, Any]]]  # title -> group -> metric -> value


def block_bounds(
    task: Task, rows: Mapping[str, pd.DataFrame], blocks: Mapping[str, Blocks], *, n: int, seed: int, level: float
) -> tuple[dict, dict]:
    """Intervals of what `Task.blocks` says of each view, and of what the signal has more than each other view.

    rows: view -> rows of `Task.score`; blocks: view -> the blocks of these rows; n, seed: of the bootstrap, of which a
    group has `MOST` resamples at most. Returns view -> title -> group -> metric -> [low, high], of the metrics that
    tables show, and view -> title -> group -> [signal - view, low, high] of the primary, or of the first of those shown
    that the group has. A group of fewer than `FEWEST` patients is left out.
    """
    shown = (task.headline(next(iter(rows.values()))), *task.shown)
    drawn = {view: _resampled(task, part, blocks[view], min(n, MOST), seed) for view, part in rows.items()}
    intervals: dict[str, dict] = {view: {} for view in rows}
    differences: dict[str, dict] = {}
    for view, found in drawn.items():
        for (title, group), resamples in found.items():
            values = _metrics(blocks[view][title][group])
            ends = {metric: ends for metric, (_, *ends) in bounds(values, resamples, level).items() if metric in shown}
            intervals[view].setdefault(title, {})[group] = ends
            if view != SIGNAL and (title, group) in drawn.get(SIGNAL, {}):
                of_signal = _metrics(blocks[SIGNAL][title][group])
                paired = paired_bounds(of_signal, values, drawn[SIGNAL][title, group], resamples, level)
                metric = next((name for name in shown if name in of_signal), None)
                if metric in paired:
                    differences.setdefault(view, {}).setdefault(title, {})[group] = list(paired[metric])
    return intervals, differences


def _resampled(
    task: Task, rows: pd.DataFrame, blocks: Blocks, n: int, seed: int
) -> dict[tuple[str, str], pd.DataFrame]:
    """(title, group) -> metrics of its resamples."""
    words = [name for name in rows if not pd.api.types.is_numeric_dtype(rows[name])]
    rows = rows.astype(
        dict.fromkeys(words, object)
    ).copy()  # Arrow's strings, and columns that lie apart, are slow to read n times
    wanted = [
        (title, group)
        for title, groups in blocks.items()
        for group, values in groups.items()
        if values["n_patients"] >= FEWEST
    ]
    found = {
        (title, str(group)): replicates(part, task.reducer(part), n=n, seed=seed)
        for title, column in task.groups.items()
        for group, part in rows.groupby(column)
        if (title, str(group)) in wanted
    }
    # groups that are no rows of their own, such as the labels of a set
    own = [place for place in wanted if place not in found]
    if own:

        def flat(part: pd.DataFrame) -> dict[str, float]:
            every = task.blocks(part)
            places = ((title, group) for title, group in own if group in every.get(title, {}))
            return {
                APART.join((*place, metric)): value
                for place in places
                for metric, value in _metrics(every[place[0]][place[1]]).items()
            }

        drawn = replicates(rows, flat, n=n, seed=seed)
        for place in own:
            columns = [name for name in drawn if name.startswith(APART.join((*place, "")))]
            found[place] = drawn[columns].rename(columns=lambda name: name.rpartition(APART)[2])
    return found


def _metrics(values: Mapping[str, Any]) -> dict[str, float]:
    """What of a group is a metric: no count and no distribution."""
    return {name: value for name, value in values.items() if name not in COUNTS and isinstance(value, float)}
