"""Evaluation: predictions for every question in every view, their scores, and how sure the differences between views
are.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from anyecg.answerers.base import Answerer
from anyecg.config.fingerprint import fingerprint
from anyecg.data.store.store import Stores
from anyecg.evaluation.bootstrap import FEWEST, bounds, detectable, paired_bounds, replicates
from anyecg.evaluation.breakdowns import MOST, block_bounds
from anyecg.evaluation.controls import CONTROLLED, SIGNAL, asked_in
from anyecg.evaluation.figure_data import compared
from anyecg.evaluation.judge import Judge
from anyecg.evaluation.predictions import Key, PredictionStore, write_predictions
from anyecg.evaluation.scores import asked, write_scores
from anyecg.evaluation.views.base import Pair, Setup, View
from anyecg.evaluation.views.shuffled import SAME
from anyecg.evaluation.wins import best
from anyecg.files import atomic_write
from anyecg.progress_bar import progress_bar
from anyecg.registry import registry
from anyecg.tasks.base import Task
from anyecg.types import ConfigError, DataError, ECGSample, Prediction, Window

log = logging.getLogger(__name__)

LEVEL = 0.95
UNCHANGED = "unchanged"  # a column of the rows of a view: whether the answer is word by word the one with the ECG
_NUMBERS = re.compile(r"\[\n([-+\d.eE,\snul]+)\]")  # a list of numbers and nulls, a line each


def evaluate(
    answerer: Answerer,
    samples_by_task: Mapping[str, Sequence[ECGSample]],
    tasks: Mapping[str, Task],
    folder: str | Path,
    *,
    views: Sequence[str] = CONTROLLED,
    bootstrap: int = 1000,
    seed: int = 0,
    store: PredictionStore | None = None,
    references: Mapping[str, Answerer] | None = None,
    patients: Mapping[str, str] | None = None,
    seconds: Callable[[Window], float] | None = None,
    stores: Stores | None = None,
    judge: Judge | None = None,
    more: Callable[[Mapping[Key, Prediction]], Mapping[str, Any]] = lambda predictions: {},
    progress: bool = True,
) -> dict[str, Any]:
    """Predict, score and compare; what is returned is also written to `folder/metrics.json`.

    Args:
        answerer: fitted.
        samples_by_task, tasks: task name -> its questions, and the task itself.
        views: names of the registry "view" or "module:Class"; each is asked of the tasks, and of those of their
        questions, that it can be asked of.
        bootstrap: resamples of patients for the 95 % intervals; 0 for none.
        seed: of the shuffle and of the bootstrap (the answerer draws a lead to withhold by the same).
        store: of predictions, shared with other runs; None: one in `folder/kept`.
        references: name -> another answerer, fitted, whose predictions stand beside the views as a row of that name, in
        the tasks
            that it answers.
        patients: record -> patient, for questions over ECGs of two patients (`controls.patients_of`).
        seconds: of a window, for donors of like length (`Stores.seconds`).
        stores: the recordings, for views that have to know what is in them (other leads, other windows).
        judge: an LLM that scores the answers to tasks with a `rubric`, in every view, by the reports of the question's
        own ECGs.
        more: further top-level entries of `metrics.json`, from the predictions.

    The folder gets `predictions.jsonl` (all predictions, in order), `scores/TASK.parquet` (the rows of `Task.score` of
    all views and references, by `write_scores`) and `metrics.json`, the same bytes whenever the predictions are the
    same::

        {"level": 0.95, "bootstrap": 1000, "fewest": 20, "seed": 0, "views": ["signal", ...], "references": {NAME: what
        it knows},
         "tasks": {TASK: {"primary": METRIC, "judged": bool, "shown": [METRIC], "meanings": {METRIC: str}, "n": int,
         "n_patients": int,
            "views": {VIEW or REFERENCE: {"metrics": {METRIC: value}, "intervals": {METRIC: [low, high]}, "unparsed":
            int, "endless": int,
                             "n": int, "n_patients": int, "signal": {METRIC: value},
                             "unchanged": share, "measures": {NAME: [mean, low, high]},
                             "against": {"view": VIEW, "difference": [that - this, low, high]},
                             "donors": {"same" | "other": {"n", "n_patients", "metric", "value", "signal",
                             "difference"}},
                             "label": str, "notes": [str],
                             "blocks": {TITLE: {GROUP: {METRIC: value, "n": int, "n_patients": int, "n_unparsed":
                             int}}},
                             "block_intervals": {TITLE: {GROUP: {METRIC: [low, high]}}}, "best": {COLUMN: int},
                             "unjudged": {REASON: int}}},
            "differences": {CONTROL: {METRIC: [signal - control, low, high]}}, "detectable": {CONTROL: {METRIC: value}},
            "block_differences": {CONTROL: {TITLE: {GROUP: [signal - control, low, high]}}},
            "questions": fingerprint, "replicates": {METRIC: [value]}}}}

    `intervals` and `differences` are empty without a bootstrap and over fewer than `bootstrap.FEWEST` patients. A
    metric that the rows leave undefined is absent. A view that is asked of some of the questions only is compared with
    the signal on these, and has no breakdowns. `unchanged`: share of the answers that are word by word those with
    the ECG, of the answerer's own views; with its interval among `measures`, beside those of `View.measures`.
    `signal`: with the ECG on the questions of a view that is asked of some only.
    `against`: of a view with `View.against`. `detectable`: see `bootstrap.detectable`.
    `donors`: of the view "shuffled", see `_by_donor`, with the ECG on the same questions and the paired difference.
    `label`: of a reference. `best`: for each of `Task.ranked`, the questions on which no other view scores higher.
    `block_*`: see `breakdowns.block_bounds`; `questions`, `replicates`: what a figure of the differences between runs
    is drawn from, see `figure_data.compared`. `unjudged`: answers without a score of the LLM judge; absent without one.
    Raises DataError for an evaluation over no questions, or a prediction too few or too many; EndpointError where the
    judge cannot be
    reached: the same call then goes on from the replies it gave.
    """
    folder, references = Path(folder), references or {}
    store = store or PredictionStore(folder / "kept")
    _checked(samples_by_task, tasks, views)
    folder.mkdir(parents=True, exist_ok=True)

    predictions: dict[Key, Prediction] = {}
    shown: dict[str, dict[str, Shown]] = {}  # task -> view -> its questions
    with progress_bar(progress) as bar:
        for name, task in tasks.items():
            samples = list(samples_by_task[name])
            shown[name] = put_in_views(answerer, samples, Setup(task, stores, patients or {}, seconds, seed), views)
            own = [(view, answerer, view) for view in shown[name]]
            others = [(other, reference, SIGNAL) for other, reference in references.items() if reference.answers(name)]
            for row, who, view in [*own, *others]:
                put = list(shown[name][view].questions.values()) if who is answerer else samples
                step = bar.add_task(f"{name} ({row})", total=len(put))
                try:
                    found = store.predict(who, put, view, partial(bar.advance, step))
                except DataError as error:
                    raise DataError(f"task {name}, {error}") from error
                predictions |= {(name, row, id): prediction for id, prediction in found.items()}
    write_predictions(folder / "predictions.jsonl", predictions)

    report: dict[str, Any] = {
        "level": LEVEL,
        "bootstrap": bootstrap,
        "fewest": FEWEST,
        "seed": seed,
        "views": list(views),
        "tasks": {},
        "references": {name: reference.knows for name, reference in references.items()},
    }
    for name, task in tasks.items():
        samples = samples_by_task[name]
        given = {key[1:]: prediction for key, prediction in predictions.items() if key[0] == name}
        rows = {view: _scored(task, view, part, samples, given) for view, part in shown[name].items()}
        rows |= {
            row: task.score(samples, [given[row, s.id] for s in samples])
            for row in references
            if (row, samples[0].id) in given
        }
        if judge is not None and task.rubric is not None:
            rows |= _judged(judge, task, samples, {view: rows[view] for view in shown[name]}, predictions)
        write_scores(folder / "scores" / f"{name}.parquet", samples, rows)
        asked_views = {view: part.view for view, part in shown[name].items()}
        report["tasks"][name] = _summary(task, samples, rows, asked_views, bootstrap, seed)
        for row in report["tasks"][name]["views"].keys() & references.keys():
            report["tasks"][name]["views"][row]["label"] = references[row].label or row
    report = _rounded({**report, **more(predictions)})
    write_json(folder / "metrics.json", report)
    return report


def predict_share(
    answerer: Answerer,
    samples_by_task: Mapping[str, Sequence[ECGSample]],
    tasks: Mapping[str, Task],
    store: PredictionStore,
    share: tuple[int, int],
    *,
    views: Sequence[str] = CONTROLLED,
    seed: int = 0,
    patients: Mapping[str, str] | None = None,
    seconds: Callable[[Window], float] | None = None,
    stores: Stores | None = None,
) -> None:
    """Predict one process's share (n, of how many) of all that `evaluate`, with the same arguments, then finds kept."""
    _checked(samples_by_task, tasks, views)
    turn = 0  # where a task and view are one batch, they go to the processes in turn
    for name, task in tasks.items():
        setup = Setup(task, stores, patients or {}, seconds, seed)
        for view, shown in put_in_views(answerer, list(samples_by_task[name]), setup, views).items():
            try:
                store.predict(answerer, list(shown.questions.values()), view, share=share, turn=turn)
            except DataError as error:
                raise DataError(f"task {name}, {error}") from error
            turn += 1


@dataclass(frozen=True)
class Shown:
    """A view of a task, and its questions by id as the view puts them."""

    view: View
    questions: Mapping[str, ECGSample]


def put_in_views(
    answerer: Answerer, samples: Sequence[ECGSample], setup: Setup, views: Sequence[str]
) -> dict[str, Shown]:
    """View -> the questions of a task as it puts them, of the views in which any can be asked."""
    shown = {}
    for view in asked_in(setup.task, views):
        kind: Any = registry("view")[view]
        if kind.without_ecg and not answerer.reads_text:
            log.info(
                "%s: the answerer reads no question without an ECG; the view %s is left out", setup.task.name, view
            )
            continue
        one = kind()
        if found := one.put(samples, setup):
            shown[view] = Shown(one, found)
        else:
            log.info("%s: no question can be asked in the view %s", setup.task.name, view)
    return shown


def _checked(
    samples_by_task: Mapping[str, Sequence[ECGSample]], tasks: Mapping[str, Task], views: Sequence[str]
) -> None:
    """DataError for an evaluation over nothing, or in views that are not known."""
    if not tasks:
        raise DataError("evaluation.tasks: empty; name at least one task")
    if not views:
        raise DataError("evaluation.views: empty; name at least one")
    try:
        for view in views:
            registry("view")[view]
    except ConfigError as error:
        raise DataError(f"evaluation.views: {error}") from error
    for name, task in tasks.items():
        if not asked_in(task, views):
            raise DataError(
                f"task {name}: is asked in none of the views {', '.join(views)}; add 'signal' to evaluation.views"
            )
        if not samples_by_task.get(name):
            raise DataError(f"task {name}: there are no questions to evaluate; choose another split or more corpora")


def _scored(
    task: Task, name: str, shown: Shown, samples: Sequence[ECGSample], given: Mapping[tuple[str, str], Prediction]
) -> pd.DataFrame:
    """The rows of a view's questions, in the order of the samples, with what the view changed: `unchanged`, whether the
    answer is word by word the one with the ECG, and the view's own columns; given: (view, id) -> prediction.
    """
    there = [sample for sample in samples if sample.id in shown.questions]
    truths = [shown.view.truth(sample, shown.questions[sample.id]) for sample in there]
    rows = task.score(truths, [given[name, sample.id] for sample in there])
    if name == SIGNAL or (SIGNAL, there[0].id) not in given:
        return rows
    pairs = [
        Pair(sample, shown.questions[sample.id], given[SIGNAL, sample.id].text, given[name, sample.id].text)
        for sample in there
    ]
    unchanged = [float(pair.text.strip() == pair.shown_text.strip()) for pair in pairs]
    return rows.assign(**{UNCHANGED: unchanged}, **shown.view.columns(task, pairs))


def _judged(
    judge: Judge,
    task: Task,
    samples: Sequence[ECGSample],
    rows: Mapping[str, pd.DataFrame],
    predictions: Mapping[Key, Prediction],
) -> dict[str, pd.DataFrame]:
    """The rows of each view with a column for each of the rubric's criteria."""
    rubric = task.rubric
    assert rubric is not None
    cases: dict[tuple[str, str, str], tuple[str, str] | None] = {}
    for view in rows:
        for sample in samples:
            if (task.name, view, sample.id) in predictions:
                opening = task.judging(sample, predictions[task.name, view, sample.id].text)
                for column, closing in rubric.criteria.items():
                    cases[view, sample.id, column] = None if opening is None else (opening, closing)
    answers = len(cases) // len(rubric.criteria)
    log.info("%s: %d answers to be scored by %s", task.name, answers, judge.cfg.model)
    found = judge(cases, (rubric.lowest, rubric.highest))

    def scores(view: str, column: str, ids: Sequence[str]) -> list[float]:
        given = [found[view, id, column].score for id in ids]
        return [float("nan") if score is None else score for score in given]

    return {
        view: part.assign(
            **{column: scores(view, column, part["id"]) for column in rubric.criteria},
            unjudged=[
                next((why for column in rubric.criteria if (why := found[view, id, column].unjudged)), "")
                for id in part["id"]
            ],
        )
        for view, part in rows.items()
    }


def _summary(
    task: Task,
    samples: Sequence[ECGSample],
    rows: Mapping[str, pd.DataFrame],
    views: Mapping[str, View],
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    drawing = _Drawing(task, rows, bootstrap, seed)
    first = rows.get(SIGNAL, next(iter(rows.values())))
    every = {view: part for view, part in rows.items() if len(part) == len(samples)}  # of the views over all questions
    spread = bootstrap > 0 and first["patient"].nunique() >= FEWEST
    highest = best({view: part for view, part in every.items() if view in views}, task.ranked)
    summary = {
        "component": f"{type(task).__module__}:{type(task).__qualname__}",
        "primary": task.headline(first),
        "judged": task.rubric is not None,
        "meanings": dict(task.metrics)
        | {metric: task.meaning(metric) for view in rows for metric in drawing.values(view)}
        | {name: meaning for view in views.values() for name, meaning in view.measures.items()},
        "shown": list(task.shown),
        "n": len(samples),
        "n_patients": int(first["patient"].nunique()),
        "questions": fingerprint(sorted((sample.id, sample.patient, asked(sample)) for sample in samples)),
        "views": {},
        "differences": {},
        "detectable": {},
    }
    if spread and SIGNAL in rows:
        summary["replicates"] = compared(task, task.headline(first), drawing.drawn(SIGNAL))
    blocks = {view: task.blocks(part) for view, part in every.items()}
    within, summary["block_differences"] = (
        block_bounds(task, every, blocks, n=bootstrap, seed=seed, level=LEVEL) if spread and every else ({}, {})
    )
    for view, part in rows.items():
        summary["views"][view] = found = {
            "n": len(part),
            "n_patients": int(part["patient"].nunique()),
            "metrics": drawing.values(view),
            "intervals": drawing.ends(view),
            "unparsed": int((~part["parsed"]).sum()),
            "endless": int(part["endless"].sum()),
            "notes": task.notes(part) if view in every else [],
            "blocks": blocks.get(view, {}),
            "block_intervals": within.get(view, {}),
            "best": highest.get(view, {}),
        }
        if UNCHANGED in part:
            found["unchanged"] = float(part[UNCHANGED].mean())
            found["measures"] = {
                name: _mean(part, name, bootstrap, seed) for name in (UNCHANGED, *views[view].measures) if name in part
            }
        if SAME in part and SIGNAL in rows:
            found["donors"] = _by_donor(task, rows[SIGNAL], part, bootstrap, seed)
        if view in views and (other := views[view].against) in rows:
            found["against"] = {"view": other, "difference": drawing.difference(other, view).get(task.headline(first))}
        if "unjudged" in part:
            found["unjudged"] = dict(Counter(reason for reason in part["unjudged"] if reason))
        if view != SIGNAL and SIGNAL in rows:
            if view not in every:
                found["signal"] = drawing.values(SIGNAL, of=view)
            if drawing.spread(view):
                summary["differences"][view] = drawing.difference(SIGNAL, view)
                summary["detectable"][view] = detectable(drawing.drawn(SIGNAL, of=view), drawing.drawn(view))
    return summary


class _Drawing:
    """The metrics of each view's rows and their bootstrap, of another view's on the same questions too; each drawn
    once.
    """

    def __init__(self, task: Task, rows: Mapping[str, pd.DataFrame], bootstrap: int, seed: int) -> None:
        self.task, self.rows, self.n, self.seed = task, rows, bootstrap, seed
        self._values: dict[tuple[str, str], dict[str, float]] = {}
        self._drawn: dict[tuple[str, str], pd.DataFrame] = {}

    def part(self, view: str, of: str) -> pd.DataFrame:
        """A view's rows of the questions that another is asked."""
        rows, others = self.rows[view], self.rows[of]
        return rows if len(rows) == len(others) else rows[rows["id"].isin(set(others["id"]))].reset_index(drop=True)

    def key(self, view: str, of: str) -> tuple[str, str]:
        of = of or view
        return (view, view if len(self.rows[view]) == len(self.rows[of]) else of)

    def spread(self, view: str) -> bool:
        """Whether there are intervals over the questions of a view."""
        return self.n > 0 and self.rows[view]["patient"].nunique() >= FEWEST

    def values(self, view: str, of: str = "") -> dict[str, float]:
        """Metrics of a view, on the questions of another."""
        key = self.key(view, of)
        if key not in self._values:
            self._values[key] = self.task.reduce(self.part(*key))
        return self._values[key]

    def drawn(self, view: str, of: str = "") -> pd.DataFrame:
        """Their resamples."""
        key = self.key(view, of)
        if key not in self._drawn:
            part = self.part(*key)
            self._drawn[key] = replicates(part, self.task.reducer(part), n=self.n, seed=self.seed)
        return self._drawn[key]

    def ends(self, view: str) -> dict[str, list[float]]:
        """Their intervals."""
        if not self.spread(view):
            return {}
        found = bounds(self.values(view), self.drawn(view), LEVEL)
        return {metric: list(ends) for metric, (_, *ends) in found.items()}

    def difference(self, one: str, view: str) -> dict[str, Any]:
        """What another view has more on the questions of a view: metric -> [difference, low, high], without the ends
        where there are no intervals.
        """
        values = self.values(one, of=view), self.values(view)
        if self.spread(view):
            return paired_bounds(*values, self.drawn(one, of=view), self.drawn(view), LEVEL)
        return {metric: [value - values[1][metric]] for metric, value in values[0].items() if metric in values[1]}


def _mean(rows: pd.DataFrame, column: str, bootstrap: int, seed: int) -> list[float] | None:
    """[mean, low, high] of a column over the rows that have it, by patient; the mean alone where there are too few,
    None where no row has it.
    """
    held = rows[rows[column].notna()][["id", "patient", column]]
    if held.empty:
        return None
    mean = float(held[column].mean())
    if not bootstrap or held["patient"].nunique() < FEWEST:
        return [mean]
    drawn = replicates(held, lambda part: {column: float(part[column].to_numpy().mean())}, n=bootstrap, seed=seed)
    return list(bounds({column: mean}, drawn, LEVEL)[column])


def _by_donor(task: Task, signal: pd.DataFrame, control: pd.DataFrame, bootstrap: int, seed: int) -> dict[str, Any]:
    """A shuffled view where the donor's true answer is the question's own, and where it is another.

    The metric is the first of the primary and those shown beside it that both parts define: of questions that all have
    nothing to find, a balanced one says nothing.
    """
    chosen = {"same": (control[SAME] == 1).to_numpy(), "other": (control[SAME] == 0).to_numpy()}
    values = {
        name: [task.reduce(rows[which]) for rows in (signal, control)] for name, which in chosen.items() if which.any()
    }
    defined = set.intersection(*(set(value) for pair in values.values() for value in pair))
    metric = next((name for name in (task.headline(signal), *task.shown) if name in defined), None)
    found = {}
    for name, which in chosen.items():
        parts = [rows[which] for rows in (signal, control)]
        found[name] = {"n": int(which.sum()), "n_patients": int(parts[1]["patient"].nunique())}
        if name not in values or metric is None:
            continue
        ours, theirs = (value[metric] for value in values[name])
        found[name] |= {"metric": metric, "signal": ours, "value": theirs, "difference": [ours - theirs]}
        if bootstrap and found[name]["n_patients"] >= FEWEST:
            drawn = [replicates(part, task.reducer(part), n=min(bootstrap, MOST), seed=seed) for part in parts]
            ends = paired_bounds({metric: ours}, {metric: theirs}, *drawn, LEVEL)
            found[name]["difference"] = list(ends.get(metric, found[name]["difference"]))
    return found


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {str(k): _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, (list, tuple)) else value


def _text(value: Any) -> str:
    """JSON with sorted keys and no NaN, a list of numbers on one line."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    return _NUMBERS.sub(lambda match: f"[{' '.join(match[1].split())}]", text)


def write_json(path: Path, value: Any) -> None:
    """Write `_text` of a value, atomically."""
    with atomic_write(path) as part:
        part.write_text(_text(value), encoding="utf-8")
