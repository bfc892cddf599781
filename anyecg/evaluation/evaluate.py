"""Evaluation: predictions for every question in every view, their scores, and how sure the differences between views
are.
"""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from anyecg.answerers.base import Answerer
from anyecg.config.fingerprint import fingerprint
from anyecg.config.schema import VIEWS
from anyecg.evaluation.bootstrap import FEWEST, bounds, paired_bounds, replicates
from anyecg.evaluation.breakdowns import MOST, block_bounds
from anyecg.evaluation.controls import CONTROLLED, SHUFFLED, SIGNAL, asked_in, donors
from anyecg.evaluation.figure_data import compared
from anyecg.evaluation.judge import Judge
from anyecg.evaluation.predictions import Key, PredictionStore, write_predictions
from anyecg.evaluation.scores import asked, write_scores
from anyecg.evaluation.wins import best
from anyecg.files import atomic_write
from anyecg.progress_bar import progress_bar
from anyecg.tasks.base import Task
from anyecg.types import DataError, ECGSample, Prediction, Window

log = logging.getLogger(__name__)

LEVEL = 0.95
UNCHANGED, SAME = "unchanged", "donor_same"  # columns of the rows of a view
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
    judge: Judge | None = None,
    more: Callable[[Mapping[Key, Prediction]], Mapping[str, Any]] = lambda predictions: {},
    progress: bool = True,
) -> dict[str, Any]:
    """Predict, score and compare; what is returned is also written to `folder/metrics.json`.

    Args:
        answerer: fitted.
        samples_by_task, tasks: task name -> its questions, and the task itself.
        views: some of `controls.VIEWS`; those that withhold a lead are asked of tasks with `single_lead` only.
        bootstrap: resamples of patients for the 95 % intervals; 0 for none.
        seed: of the shuffle and of the bootstrap (the answerer draws a lead to withhold by the same).
        store: of predictions, shared with other runs; None: one in `folder/kept`.
        references: name -> another answerer, fitted, whose predictions stand beside the views as a row of that name, in
        the tasks
            that it answers.
        patients: record -> patient, for questions over ECGs of two patients (`controls.patients_of`).
        seconds: of a window, for donors of like length (`Stores.seconds`).
        judge: an LLM that scores the answers to tasks with `judged`, in every view, by the reports of the question's
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
                             "unchanged": share, "donors": {"same" | "other": {"n", "n_patients", "metric", "value",
                             "signal", "difference"}},
                             "label": str, "notes": [str],
                             "blocks": {TITLE: {GROUP: {METRIC: value, "n": int, "n_patients": int, "n_unparsed":
                             int}}},
                             "block_intervals": {TITLE: {GROUP: {METRIC: [low, high]}}}, "best": {COLUMN: int},
                             "unjudged": {REASON: int}}},
            "differences": {CONTROL: {METRIC: [signal - control, low, high]}},
            "block_differences": {CONTROL: {TITLE: {GROUP: [signal - control, low, high]}}},
            "questions": fingerprint, "replicates": {METRIC: [value]}}}}

    `intervals` and `differences` are empty without a bootstrap and over fewer than `bootstrap.FEWEST` patients. A
    metric that the rows leave undefined is absent. `unchanged`: share of the answers that are word by word those with
    the ECG, of the answerer's own views.
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
    if not tasks:
        raise DataError("evaluation.tasks: empty; name at least one task")
    unknown = [view for view in views if view not in VIEWS]
    if unknown or not views:
        raise DataError(f"evaluation.views: {', '.join(unknown) or 'empty'}; known: {', '.join(VIEWS)}")
    for name, task in tasks.items():
        if not asked_in(task, views):
            raise DataError(
                f"task {name}: is asked in none of the views {', '.join(views)}; add 'signal' to evaluation.views"
            )
        if not samples_by_task.get(name):
            raise DataError(f"task {name}: there are no questions to evaluate; choose another split or more corpora")
    folder.mkdir(parents=True, exist_ok=True)

    lent = {name: donors(samples_by_task[name], seed, patients, seconds) for name in tasks} if SHUFFLED in views else {}
    predictions: dict[Key, Prediction] = {}
    with progress_bar(progress) as bar:
        for name, task in tasks.items():
            samples = list(samples_by_task[name])
            own = [(view, answerer, view) for view in asked_in(task, views)]
            others = [(other, reference, SIGNAL) for other, reference in references.items() if reference.answers(name)]
            for row, who, view in [*own, *others]:
                put = (
                    [
                        replace(one, records=lent[name][one.id].records, evidence=lent[name][one.id].evidence)
                        for one in samples
                    ]
                    if view == SHUFFLED
                    else samples
                )
                step = bar.add_task(f"{name} ({row})", total=len(samples))
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
        asked_views = asked_in(task, views)
        rows = {
            row: task.score(samples, [predictions[name, row, s.id] for s in samples])
            for row in [*asked_views, *references]
            if (name, row, samples[0].id) in predictions
        }
        rows = _changes(
            rows,
            asked_views,
            samples,
            {key[1:]: p.text for key, p in predictions.items() if key[0] == name},
            lent.get(name, {}),
        )
        if judge is not None and task.judged:
            rows |= _judged(judge, task, samples, {view: rows[view] for view in asked_views}, predictions)
        write_scores(folder / "scores" / f"{name}.parquet", samples, rows)
        report["tasks"][name] = _summary(task, samples, rows, asked_views, bootstrap, seed)
        for row in report["tasks"][name]["views"].keys() & references.keys():
            report["tasks"][name]["views"][row]["label"] = references[row].label or row
    report = _rounded({**report, **more(predictions)})
    write_json(folder / "metrics.json", report)
    return report


def _changes(
    rows: Mapping[str, pd.DataFrame],
    views: Sequence[str],
    samples: Sequence[ECGSample],
    texts: Mapping[tuple[str, str], str],
    lent: Mapping[str, ECGSample],
) -> dict[str, pd.DataFrame]:
    """The rows with what a control changed: `unchanged`, whether the answer is word by word the one with the ECG;
    `donor_same`, in the view "shuffled", whether the donor's true answer is the question's own."""
    found = dict(rows)
    for view in (view for view in views if view != SIGNAL and SIGNAL in views):
        found[view] = found[view].assign(
            **{UNCHANGED: [float(texts[view, s.id].strip() == texts[SIGNAL, s.id].strip()) for s in samples]}
        )
    if SHUFFLED in views:
        found[SHUFFLED] = found[SHUFFLED].assign(
            **{SAME: [float(lent[s.id].answer.strip() == s.answer.strip()) for s in samples]}
        )
    return found


def _judged(
    judge: Judge,
    task: Task,
    samples: Sequence[ECGSample],
    rows: Mapping[str, pd.DataFrame],
    predictions: Mapping[Key, Prediction],
) -> dict[str, pd.DataFrame]:
    """The rows of each view with the judge's columns."""
    cases = {(view, s.id): task.judging(s, predictions[task.name, view, s.id].text) for view in rows for s in samples}
    log.info("%s: %d answers to be scored by %s", task.name, len(cases), judge.cfg.model)
    found = judge(cases)
    return {
        view: part.assign(
            judge=[float("nan") if (score := found[view, id].score) is None else score for id in part["id"]],
            unjudged=[found[view, id].unjudged for id in part["id"]],
        )
        for view, part in rows.items()
    }


def _summary(
    task: Task,
    samples: Sequence[ECGSample],
    rows: Mapping[str, pd.DataFrame],
    views: Sequence[str],
    bootstrap: int,
    seed: int,
) -> dict[str, Any]:
    first = next(iter(rows.values()))
    values = {view: task.reduce(part) for view, part in rows.items()}
    spread = bootstrap > 0 and first["patient"].nunique() >= FEWEST
    drawn = (
        {view: replicates(part, task.reducer(part), n=bootstrap, seed=seed) for view, part in rows.items()}
        if spread
        else {}
    )
    highest = best({view: rows[view] for view in views}, task.ranked)
    summary = {
        "component": f"{type(task).__module__}:{type(task).__qualname__}",
        "primary": task.headline(first),
        "judged": task.judged,
        "meanings": dict(task.metrics)
        | {metric: task.meaning(metric) for found in values.values() for metric in found},
        "shown": list(task.shown),
        "n": len(first),
        "n_patients": int(first["patient"].nunique()),
        "questions": fingerprint(sorted((sample.id, sample.patient, asked(sample)) for sample in samples)),
        "views": {},
        "differences": {},
    }
    if SIGNAL in drawn:
        summary["replicates"] = compared(task, task.headline(first), drawn[SIGNAL])
    blocks = {view: task.blocks(part) for view, part in rows.items()}
    within, summary["block_differences"] = (
        block_bounds(task, rows, blocks, n=bootstrap, seed=seed, level=LEVEL) if spread else ({}, {})
    )
    for view, part in rows.items():
        summary["views"][view] = {
            "metrics": values[view],
            "intervals": {metric: ends for metric, (_, *ends) in bounds(values[view], drawn[view], LEVEL).items()}
            if spread
            else {},
            "unparsed": int((~part["parsed"]).sum()),
            "endless": int(part["endless"].sum()),
            "notes": task.notes(part),
            "blocks": blocks[view],
            "block_intervals": within.get(view, {}),
            "best": highest.get(view, {}),
        }
        if UNCHANGED in part:
            summary["views"][view]["unchanged"] = float(part[UNCHANGED].mean())
        if SAME in part and SIGNAL in rows:
            summary["views"][view]["donors"] = _by_donor(task, rows[SIGNAL], part, bootstrap, seed)
        if "unjudged" in part:
            summary["views"][view]["unjudged"] = dict(Counter(reason for reason in part["unjudged"] if reason))
        if spread and view != SIGNAL and SIGNAL in rows:
            summary["differences"][view] = paired_bounds(
                values[SIGNAL], values[view], drawn[SIGNAL], drawn[view], LEVEL
            )
    return summary


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
