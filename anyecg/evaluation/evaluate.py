"""Evaluation: ask every question in every view, score the answers, and say how sure the differences are."""

from __future__ import annotations

import json
import logging
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from anyecg.evaluation.predictions import Answer, Answers, Key
from anyecg.evaluation.bootstrap import bounds, paired_bounds, replicates
from anyecg.evaluation.breakdowns import block_bounds
from anyecg.evaluation.controls import CONTROLLED, SHUFFLED, SIGNAL, VIEWS, asked_in, shuffled
from anyecg.evaluation.figure_data import compared
from anyecg.evaluation.wins import best
from anyecg.evaluation.judge import Judge
from anyecg.evaluation.scores import asked, write_scores
from anyecg.config.fingerprint import fingerprint
from anyecg.files import atomic_write
from anyecg.tasks.base import Task
from anyecg.types import DataError, ECGSample, Prediction

log = logging.getLogger(__name__)

LEVEL = 0.95
_NUMBERS = re.compile(r"\[\n([-+\d.eE,\snul]+)\]")  # a list of numbers and nulls, a line each


def evaluate(
    answer: Answer,
    samples_by_task: Mapping[str, Sequence[ECGSample]],
    tasks: Mapping[str, Task],
    folder: str | Path,
    *,
    views: Sequence[str] = CONTROLLED,
    bootstrap: int = 1000,
    seed: int = 0,
    key: str = "",
    patients: Mapping[str, str] | None = None,
    judge: Judge | None = None,
    progress: bool = True,
) -> dict[str, Any]:
    """Ask, score and compare; what is returned is also written to `folder/metrics.json`.

    Args:
        answer: `(samples, view) -> Iterator[Prediction]`, in any order; of an evaluation that was interrupted,
            `(samples, view, answered=ids)`, of which it leaves these out. In the view "blind" the caller withholds every
            ECG; in the view "shuffled" the samples come with other patients' windows, to be read as they are.
        samples_by_task, tasks: task name -> its questions, and the task itself.
        views: some of `controls.VIEWS`; those that withhold a lead are asked of tasks with `single_lead` only.
        bootstrap: resamples of patients for the 95 % intervals; 0 for none.
        seed: of the shuffle and of the bootstrap (the caller draws a lead to withhold by the same).
        key: fingerprint of whatever determines the answers. Answers kept under another key are refused, not mixed.
        patients: record -> patient, for questions over ECGs of two patients (`controls.patients_of`).
        judge: an LLM that scores the answers to tasks with `judged`, in every view, by the reports of the question's own ECGs.

    The folder gets `predictions.jsonl` (a line `{"id", "task", "view", "text"}` an answer, written as it comes, never
    asked for twice), `scores/TASK.parquet` (the rows of `Task.score` of all views, by `write_scores`) and
    `metrics.json`, the same bytes whenever the answers are the same::

        {"level": 0.95, "bootstrap": 1000, "seed": 0, "views": ["signal", ...],
         "tasks": {TASK: {"primary": METRIC, "shown": [METRIC], "meanings": {METRIC: str}, "n": int, "n_patients": int,
            "views": {VIEW: {"metrics": {METRIC: value}, "intervals": {METRIC: [low, high]}, "unparsed": int, "endless": int,
                             "notes": [str], "blocks": {TITLE: {GROUP: {METRIC: value, "n": int, "n_patients": int, "n_unparsed": int}}},
                             "block_intervals": {TITLE: {GROUP: {METRIC: [low, high]}}}, "best": {COLUMN: int}, "unjudged": {REASON: int}}},
            "differences": {CONTROL: {METRIC: [signal - control, low, high]}},
            "block_differences": {CONTROL: {TITLE: {GROUP: [signal - control, low, high]}}},
            "questions": fingerprint, "replicates": {METRIC: [value]}}}}

    `intervals` and `differences` are empty without a bootstrap or with one patient only. `best`: for each of `Task.ranked`,
    the questions on which no other view scores higher. `block_*`: see `breakdowns.block_bounds`; `questions`, `replicates`: what a figure of the
    differences between runs is drawn from, see `drawn.compared`. `unjudged`: answers without a score of the LLM judge; absent without one.
    Raises DataError for an evaluation over no questions, an answer too few or too many, or a damaged file; EndpointError
    where the judge cannot be reached: the same call then goes on from the replies it gave.
    """
    folder = Path(folder)
    if not tasks:
        raise DataError("evaluation.tasks: empty; name at least one task")
    unknown = [view for view in views if view not in VIEWS]
    if unknown or not views:
        raise DataError(f"evaluation.views: {', '.join(unknown) or 'empty'}; known: {', '.join(VIEWS)}")
    for name, task in tasks.items():
        if not asked_in(task, views):
            raise DataError(f"task {name}: is asked in none of the views {', '.join(views)}; add 'signal' to evaluation.views")
        if not samples_by_task.get(name):
            raise DataError(f"task {name}: there are no questions to evaluate; choose another split or more corpora")
    folder.mkdir(parents=True, exist_ok=True)
    given = _ask_all(answer, samples_by_task, tasks, folder, views, seed, key, patients, progress)

    report: dict[str, Any] = {"level": LEVEL, "bootstrap": bootstrap, "seed": seed, "views": list(views), "tasks": {}}
    for name, task in tasks.items():
        samples = samples_by_task[name]
        rows = {view: task.score(samples, [Prediction(s.id, given[name, view, s.id]) for s in samples]) for view in asked_in(task, views)}
        if judge is not None and task.judged:
            rows = _judged(judge, task, samples, rows, given)
        write_scores(folder / "scores" / f"{name}.parquet", samples, rows)
        report["tasks"][name] = _summary(task, samples, rows, bootstrap, seed)
    report = _rounded(report)
    write_json(folder / "metrics.json", report)
    return report


def _ask_all(answer, samples_by_task, tasks, folder, views, seed, key, patients, progress) -> dict[Key, str]:
    """(task, view, id) -> text, from the file as far as it goes and from the model beyond."""
    answers = Answers(folder / "predictions.jsonl", key)
    bar = Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), disable=not progress)
    with bar:
        for name, task in tasks.items():
            for view in asked_in(task, views):
                samples = list(samples_by_task[name])
                left = len(answers.missing(name, view, samples))
                step = bar.add_task(f"{name} ({view})", total=len(samples), completed=len(samples) - left)
                if left and view == SHUFFLED:
                    samples = shuffled(samples, seed, patients)
                answers.ask(answer, name, view, samples, partial(bar.advance, step))
    return answers.given


def _judged(judge: Judge, task: Task, samples: Sequence[ECGSample], rows: Mapping[str, pd.DataFrame], given) -> dict[str, pd.DataFrame]:
    """The rows of each view with the judge's columns."""
    cases = {(view, s.id): task.judging(s, given[task.name, view, s.id]) for view in rows for s in samples}
    log.info("%s: %d answers to be scored by %s", task.name, len(cases), judge.cfg.model)
    found = judge(cases)
    return {
        view: part.assign(
            judge=[float("nan") if (score := found[view, id].score) is None else score for id in part["id"]],
            unjudged=[found[view, id].unjudged for id in part["id"]],
        )
        for view, part in rows.items()
    }


def _summary(task: Task, samples: Sequence[ECGSample], rows: Mapping[str, pd.DataFrame], bootstrap: int, seed: int) -> dict[str, Any]:
    first = next(iter(rows.values()))
    values = {view: task.reduce(part) for view, part in rows.items()}
    spread = bootstrap > 0 and first["patient"].nunique() > 1
    drawn = {view: replicates(part, task.reduce, n=bootstrap, seed=seed) for view, part in rows.items()} if spread else {}
    highest = best(rows, task.ranked)
    summary = {
        "primary": task.primary,
        "meanings": dict(task.metrics),
        "shown": list(task.shown),
        "n": len(first),
        "n_patients": int(first["patient"].nunique()),
        "questions": fingerprint(sorted((sample.id, sample.patient, asked(sample)) for sample in samples)),
        "views": {},
        "differences": {},
    }
    if SIGNAL in drawn:
        summary["replicates"] = compared(task, drawn[SIGNAL])
    blocks = {view: task.blocks(part) for view, part in rows.items()}
    within, summary["block_differences"] = block_bounds(task, rows, blocks, n=bootstrap, seed=seed, level=LEVEL) if spread else ({}, {})
    for view, part in rows.items():
        summary["views"][view] = {
            "metrics": values[view],
            "intervals": {metric: ends for metric, (_, *ends) in bounds(values[view], drawn[view], LEVEL).items()} if spread else {},
            "unparsed": int((~part["parsed"]).sum()),
            "endless": int(part["endless"].sum()),
            "notes": task.notes(part),
            "blocks": blocks[view],
            "block_intervals": within.get(view, {}),
            "best": highest[view],
        }
        if "unjudged" in part:
            summary["views"][view]["unjudged"] = dict(Counter(reason for reason in part["unjudged"] if reason))
        if spread and view != SIGNAL and SIGNAL in rows:
            summary["differences"][view] = paired_bounds(values[SIGNAL], values[view], drawn[SIGNAL], drawn[view], LEVEL)
    return summary


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6)
    if isinstance(value, Mapping):
        return {str(k): _rounded(v) for k, v in value.items()}
    return [_rounded(v) for v in value] if isinstance(value, (list, tuple)) else value


def write_json(path: Path, value: Any) -> None:
    """Write JSON with sorted keys and no NaN, a list of numbers on one line, whole or not at all."""
    text = json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_write(path) as part:
        part.write_text(_NUMBERS.sub(lambda match: f"[{' '.join(match[1].split())}]", text), encoding="utf-8")
