"""Which questions an evaluation asks, and what is missing where there are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from anyecg.answerers.base import Answerer
from anyecg.config.schema import Experiment
from anyecg.data.dataset.data import Data
from anyecg.data.store.store import Stores
from anyecg.evaluation.controls import asked_in
from anyecg.evaluation.conversation import Script
from anyecg.evaluation.views.base import Setup
from anyecg.registry import registry
from anyecg.tasks.base import Task
from anyecg.types import SPLITS, ConfigError, DataError, ECGSample


def require_questions(data: Data, experiment: Experiment, scripts: Sequence[Script] = ()) -> None:
    """DataError with every task of the evaluation that has no question, and every conversation that none opens,
    before anything is trained.
    """
    wrong, settings, tasks = [], experiment.evaluation, experiment.evaluated_tasks()
    for task, slot in tasks.items():
        counts = {split: len(data.questions.select(split=split, task=task)) for split in SPLITS}
        if not counts[settings.split]:
            elsewhere = [f"{split} has {count}" for split, count in counts.items() if count]
            advice = f"evaluation.split is another one: {', '.join(elsewhere)}" if elsewhere else slot.component.needs
            wrong.append(f"evaluation.tasks: {task} has no question in the split {settings.split}; {advice}")
    for script in scripts:
        if script.opens not in tasks:
            wrong.append(
                f"evaluation.conversations: '{script.name}' opens with a question of {script.opens}; add "
                f"{script.opens} to evaluation.tasks"
            )
    if wrong:
        raise DataError("\n".join(wrong))


def require_answers(answerer: Answerer, name: str, tasks: Sequence[str], scripts: Sequence[Script] = ()) -> None:
    """ConfigError where an answerer cannot answer a task of the evaluation, or hold its conversations, before
    anything is trained.
    """
    wrong = [
        f"evaluation.tasks: answerer '{name}' does not answer {task} (it answers "
        f"{', '.join(sorted(answerer.tasks))}); leave it out"
        for task in tasks
        if answerer.tasks is not None and task not in answerer.tasks
    ]
    if scripts and not answerer.converses:
        wrong.append(f"evaluation.conversations: answerer '{name}' holds no conversations; set it to null")
    if wrong:
        raise ConfigError("\n".join(wrong))


def require_views(
    samples: Mapping[str, Sequence[ECGSample]],
    tasks: Mapping[str, Task],
    views: Sequence[str],
    stores: Stores,
    patients: Mapping[str, str],
    seed: int,
) -> None:
    """DataError with every view that its task's questions cannot be put in, such as one patient's alone in "shuffled",
    before anything is trained; arguments as for `evaluate`.
    """
    wrong = []
    for name, task in tasks.items():
        for view in asked_in(task, views):
            try:
                registry("view")[view]().put(list(samples[name]), Setup(task, stores, patients, stores.seconds, seed))
            except DataError as error:
                wrong.append(f"evaluation.views: {view} of {name}: {error}")
    if wrong:
        raise DataError("\n".join(wrong))


def test_samples(data: Data, task: str, split: str, limit: int | None, seed: int) -> list[ECGSample]:
    """A task's questions of a split, in an order drawn evenly over subsets and patients; with a limit, its first.

    A larger limit so begins with the questions of a smaller one, in the same order: predictions that are kept stay of
    use.
    """
    samples = [data.questions[int(row)] for row in data.questions.select(split=split, task=task)]
    order = np.random.default_rng(seed).permutation(len(samples))
    seen: dict[tuple, int] = {}
    ranked = []
    for index in order:
        sample = samples[index]
        for group in ((sample.subset,), (sample.subset, sample.patient)):
            seen[group] = seen.get(group, 0) + 1
        ranked.append((seen[(sample.subset, sample.patient)], seen[(sample.subset,)], int(index)))
    return [samples[index] for _, _, index in sorted(ranked)[:limit]]
