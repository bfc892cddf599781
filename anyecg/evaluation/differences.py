"""What a setting changes: each task's headline metric beside its controls, the first setting's, and the paper's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pandas as pd

from anyecg.evaluation.bootstrap import FEWEST, require_same_ids
from anyecg.evaluation.controls import BLIND, SHUFFLED, SIGNAL
from anyecg.evaluation.published import PublishedTable
from anyecg.evaluation.seeds import Pooled, pool
from anyecg.evaluation.tables import (
    BLIND_STAGES,
    DETECTABLE,
    MISSING,
    PAPER,
    TRAINED_BLIND,
    Grid,
    number,
    with_interval,
)
from anyecg.plots.views import in_order, is_view, label, short
from anyecg.tasks import tasks
from anyecg.tasks.base import Task
from anyecg.types import DataError

Spread = tuple[float, tuple[float, float] | None]  # a value and the ends of its 95 % interval

AGREES, DISAGREES, UNDECIDED = "agrees", "disagrees", "undecided"
UNKNOWN, UNMEASURED = "paper not known", "not measured"
MEANING = (
    f"sign: of the difference, here and in the paper; {UNDECIDED}: the interval here includes zero; {UNKNOWN}: "
    f"we have no figure of the paper"
)


@dataclass(frozen=True)
class Setting:
    """A setting to compare: its name, its row of the paper's table, and seed -> task -> view -> rows of
    `Task.score`.
    """

    name: str
    paper_row: str | None
    rows: Mapping[int, Mapping[str, Mapping[str, pd.DataFrame]]]
    # task -> its "module:Class"; the registry's where there is none
    components: Mapping[str, str] = field(default_factory=dict)
    trained_blind: bool = False  # its stages saw no ECG: its blind answers are the best that the words alone allow

    def scorer(self, task: str) -> Task:
        """A task as it scores this setting's rows."""
        return tasks[self.components.get(task, task)]()

    def answered(self, task: str) -> bool:
        """Whether every seed has rows of the task with the ECG."""
        return bool(self.rows) and all(SIGNAL in views.get(task, {}) for views in self.rows.values())


@dataclass(frozen=True)
class Cell:
    """One task of one setting, over the seeds that it shares with the first.

    metric: the task's headline, or the one that the published figures are of. views: view, reference or `TRAINED_BLIND`
    -> its value;
    controls: each of them but the signal -> with the ECG minus this; change: to the first setting, and
    by seed; None where nothing is to be said. paper, paper_change: the published figure and its difference to the
    first's.
    """

    setting: str
    task: str
    metric: str
    meaning: str
    seeds: tuple[int, ...]
    questions: tuple[int, ...]
    patients: tuple[int, ...]
    unparsed: Mapping[str, int]  # view -> answers
    views: Mapping[str, Spread]
    controls: Mapping[str, Spread]
    change: Spread | None
    detectable: float | None  # the smallest change that these questions show (`bootstrap.smallest`)
    by_seed: tuple[float, ...]
    paper: float | None
    paper_change: float | None

    @property
    def few(self) -> int | None:
        """The patients, where they are too few for an interval."""
        return min(self.patients) if self.patients and min(self.patients) < FEWEST else None

    @property
    def sign(self) -> str:
        """Whether the setting moves the metric the way it does in the paper; undecided where the interval includes
        zero.
        """
        if self.paper_change is None:
            return UNKNOWN
        if self.change is None:
            return UNMEASURED
        ends = self.change[1]
        if ends is None or ends[0] <= 0 <= ends[1]:
            return UNDECIDED
        return AGREES if np.sign(ends[0]) == np.sign(self.paper_change) else DISAGREES


def measure(
    settings: Sequence[Setting], task: str, published: PublishedTable, *, n: int = 1000, seed: int = 0
) -> Iterator[Cell]:
    """The cells of one task, the first setting's first; n, seed: of the bootstrap.

    Raises DataError, naming ids, where settings were not asked the same questions with the same seed.
    """
    first = settings[0]
    scorer = first.scorer(task)
    scored = [set(scorer.reduce(views[task][SIGNAL])) for setting in settings for views in setting.rows.values()]
    headlines = [scorer.headline(views[task][SIGNAL]) for setting in settings for views in setting.rows.values()]
    if len({*headlines}) > 1:
        raise DataError(
            f"{task} is of other label sets or corpora in each run ({', '.join(sorted({*headlines}))}); compare runs "
            f"that evaluated the same"
        )
    metric = published.metric(task, set.intersection(*scored), headlines[0])
    meaning = published.metrics.get(task, {}).get(metric) or scorer.meaning(metric)

    blind = next((place for place, setting in enumerate(settings) if setting.trained_blind), None)
    others = [
        view
        for view in dict.fromkeys(view for setting in settings for rows in setting.rows.values() for view in rows[task])
        if view not in (SIGNAL, BLIND, SHUFFLED)
    ]

    @cache
    def pooled(place: int, view: str, seeds: tuple[int, ...], of: str = "") -> Pooled | None:
        """A view over seeds, on the questions of the view `of`."""
        if not all(number in settings[place].rows for number in seeds):
            return None
        rows = {number: settings[place].rows[number][task] for number in seeds}
        if not all(view in views and (not of or of in views) for views in rows.values()):
            return None
        parts = {number: views[view] for number, views in rows.items()}
        if of:
            if all(len(views[of]) == len(parts[number]) for number, views in rows.items()):
                return pooled(place, view, seeds)
            parts = {number: part[part["id"].isin(set(rows[number][of]["id"]))] for number, part in parts.items()}
        return pool(parts, scorer.reducer, metric, n=n, seed=seed)

    def minus(one: Pooled | None, other: Pooled | None) -> Pooled | None:
        return one - other if one and other else None

    shared = [_shared_seeds(first, setting, task) for setting in settings]
    reference = _figure(published, first, task)
    for place, (setting, seeds) in enumerate(zip(settings, shared)):
        views = {view: pooled(place, view, seeds) for view in (SIGNAL, BLIND, SHUFFLED)}
        if blind is not None:
            views[TRAINED_BLIND] = pooled(blind, BLIND, seeds)
        views |= {view: pooled(place, view, seeds) for view in others}
        controls = {
            view: minus(pooled(place, SIGNAL, seeds, of="" if view == TRAINED_BLIND else view), found)
            for view, found in views.items()
            if view != SIGNAL and found
        }
        change = minus(views[SIGNAL], pooled(0, SIGNAL, seeds)) if place else None
        paper = _figure(published, setting, task)
        rows = [setting.rows[number][task] for number in seeds]
        yield Cell(
            setting.name,
            task,
            metric,
            meaning,
            seeds,
            tuple(len(part[SIGNAL]) for part in rows),
            tuple(part[SIGNAL]["patient"].nunique() for part in rows),
            {
                view: sum(int((~part[view]["parsed"]).sum()) for part in rows)
                for view in views
                if views[view] and view != TRAINED_BLIND
            },
            _spreads(views),
            _spreads(controls),
            _spreads({"": change}).get(""),
            change.detectable() if change else None,
            tuple(change.values.values()) if change else (),
            paper,
            None if paper is None or reference is None or not place else paper - reference,
        )


def _shared_seeds(first: Setting, setting: Setting, task: str) -> tuple[int, ...]:
    """The seeds of both; DataError if there are none, or if with one of them the two were not asked the same."""
    seeds = tuple(sorted(setting.rows.keys() & first.rows.keys()))
    if not seeds:
        raise DataError(f"{setting.name} and {first.name} have no seed in common")
    for number in seeds:  # noqa: F402
        names = [one.name + (f" (seed {number})" if len(first.rows) > 1 else "") for one in (first, setting)]
        require_same_ids(first.rows[number][task][SIGNAL], setting.rows[number][task][SIGNAL], (names[0], names[1]))
    return seeds


def _figure(published: PublishedTable, setting: Setting, task: str) -> float | None:
    return published[setting.paper_row].get(task) if setting.paper_row else None


def _spreads(found: Mapping[str, Pooled | None]) -> dict[str, Spread]:
    return {name: (pooled.value, pooled.ends()) for name, pooled in found.items() if pooled}


def shown(spread: Spread | None, sign: bool = False, few: int | None = None) -> str:
    """ "0.512 [0.430, 0.601]", with signs if asked; a dash for None; few: the patients, where they are too few for
    an interval.
    """
    return with_interval(*(spread or (None, None)), sign=sign, patients=few)


def changes_grid(cells: Sequence[Cell]) -> Grid:
    """One task: each setting's metric, what it changes, and what it changes in the paper, where that is known."""
    head, several, known = cells[0], len(cells[0].seeds) > 1, _published(cells)
    rows = []
    for cell in cells:
        seeds = [", ".join(f"{value:+.3f}" for value in cell.by_seed) or MISSING] if several else []
        change = MISSING if cell.paper_change is None else f"{cell.paper_change:+.3f}"
        paper = [number(cell.paper), change, cell.sign if cell is not head else MISSING]
        rows.append(
            [
                cell.setting,
                shown(cell.views.get(SIGNAL), few=cell.few),
                shown(cell.change, sign=True, few=cell.few),
                number(cell.detectable),
                *seeds,
                *(paper if known else []),
            ]
        )
    header = [
        "run",
        f"{head.metric} [95 %]",
        "− first [95 %]",
        "detectable",
        *(["− first, by seed"] if several else []),
        *(["paper", "paper: − first", "sign"] if known else []),
    ]
    notes = [*_asked(cells), DETECTABLE, *([PAPER, MEANING] if known else [])]
    return Grid(f"{head.task}: {head.meaning}", header, rows, notes)


def _published(cells: Sequence[Cell]) -> bool:
    """Whether the paper has a figure of any of them."""
    return any(cell.paper is not None for cell in cells)


def controls_grid(cells: Sequence[Cell]) -> Grid:
    """One task: each setting with the ECG and in every control, and how sure the differences are."""
    asked = (SIGNAL, BLIND, SHUFFLED)
    others = dict.fromkeys(row for cell in cells for row in cell.views if row not in asked and not is_view(row))
    views = [*asked, *others]
    rows = [
        [
            cell.setting,
            *(shown(cell.views.get(view), few=cell.few) for view in views),
            *(shown(cell.controls.get(view), sign=True, few=cell.few) for view in views[1:]),
            " / ".join(number(cell.unparsed.get(view)) for view in asked),
        ]
        for cell in cells
    ]
    header = [
        "run",
        *(f"{_label(view)} [95 %]" for view in views),
        *(f"ECG − {short(view)} [95 %]" for view in views[1:]),
        "unparsed (ECG / blind / shuffled)",
    ]
    return Grid(f"{cells[0].task}: {cells[0].metric} and its controls", header, rows, _asked(cells))


def views_grids(cells: Sequence[Cell]) -> list[Grid]:
    """A table of the views beside blind and shuffled, a row a setting and view; none where there are no others."""
    rows = []
    for cell in cells:
        others = [view for view in in_order(cell.views) if is_view(view) and view not in (SIGNAL, BLIND, SHUFFLED)]
        rows += [
            [
                cell.setting if place == 0 else "",
                label(view),
                shown(cell.views.get(view), few=cell.few),
                shown(cell.controls.get(view), sign=True, few=cell.few),
                number(cell.unparsed.get(view)),
            ]
            for place, view in enumerate(others)
        ]
    if not rows:
        return []
    head, notes = cells[0], ["a view of some of the questions only is compared with the ECG on these"]
    header = ["run", "view", f"{head.metric} [95 %]", "ECG − this [95 %]", "unparsed"]
    return [Grid(f"{head.task}: {head.metric} in further views", header, rows, notes)]


def _label(row: str) -> str:
    return BLIND_STAGES if row == TRAINED_BLIND else label(row) if is_view(row) else row


def signs_grid(cells: Sequence[Cell], caption: str) -> Grid:
    """Every setting but the first by task: what it changes here and, where the paper has figures of them, there, and
    whether the signs agree. caption: of the paper's table.
    """
    first, tasks_here, known = cells[0].setting, list(dict.fromkeys(cell.task for cell in cells)), _published(cells)
    found = {(cell.setting, cell.task): cell for cell in cells if cell.setting != first}
    rows = []
    for setting in dict.fromkeys(setting for setting, _ in found):
        row = [found.get((setting, task)) for task in tasks_here]
        rows.append([setting, *(MISSING if cell is None else _signed(cell, known) for cell in row)])
    header = ["", *(f"{task}: − {first} [95 %]" for task in tasks_here)]
    if not known:
        return Grid("What each changes", header, rows, [])
    counts = Counter(cell.sign for cell in found.values())
    told = ", ".join(
        f"{counts[sign]} {sign}" for sign in (AGREES, DISAGREES, UNDECIDED, UNKNOWN, UNMEASURED) if counts[sign]
    )
    notes = [f"of {len(found)} cells: {told}", MEANING, PAPER]
    return Grid(f"What each changes, and {caption}", header, rows, notes)


def _signed(cell: Cell, known: bool) -> str:
    if not known:
        return shown(cell.change, sign=True, few=cell.few)
    paper = MISSING if cell.paper_change is None else f"{cell.paper_change:+.3f}"
    return f"{shown(cell.change, sign=True, few=cell.few)}; paper {paper}: {cell.sign}"


def _asked(cells: Sequence[Cell]) -> list[str]:
    head = cells[0]
    asked = [f"{n} questions of {patients} patients" for n, patients in zip(head.questions, head.patients)]
    if len(head.seeds) == 1:
        notes = [f"{asked[0]}, the same in all runs"]
    else:
        notes = [
            "; ".join(f"seed {seed}: {words}" for seed, words in zip(head.seeds, asked))
            + "; with a seed the same in all runs"
        ]
    return notes + [
        f"{cell.setting}: over seeds {', '.join(map(str, cell.seeds))} only"
        for cell in cells
        if cell.seeds != head.seeds
    ]
