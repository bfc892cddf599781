"""The same question in other words: does the answer stay?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from anyecg.data.chance import chance
from anyecg.evaluation.views.base import Pair, Setup, View
from anyecg.tasks.base import Task
from anyecg.types import MARKER, ECGSample, Turn


class Paraphrase(View):
    """Another of the task's own wordings (`Task.wordings`) of the question; the ECG and the truth are the same."""

    label = short = "the question in other words"
    colour = "#6f9f8f"
    measures = {"agreement": "share of questions whose answer is read as the same in both wordings, 0 to 1"}

    def put(self, samples: Sequence[ECGSample], setup: Setup) -> dict[str, ECGSample]:
        return {sample.id: put for sample in samples if (put := reworded(sample, setup.task, setup.seed)) is not None}

    def columns(self, task: Task, pairs: Sequence[Pair]) -> dict[str, list[float]]:
        read = [(task.parse(p.text, p.sample), task.parse(p.shown_text, p.shown)) for p in pairs]
        return {"agreement": [float(one is not None and _same(one, other)) for one, other in read]}


def reworded(sample: ECGSample, task: Task, seed: int) -> ECGSample | None:
    """The question in another of its task's wordings; None where the task has none."""
    turns = list(sample.conversation)
    place = max((n for n, turn in enumerate(turns) if turn.role == "user"), default=-1)
    if place < 0:
        return None
    words = turns[place].text.replace(MARKER, "").strip()
    others = [text for text in task.wordings(sample) if text.strip() != words]
    if not others or words not in turns[place].text:
        return None
    other = chance(seed, "wording", sample.id).choice(others)
    turns[place] = Turn("user", turns[place].text.replace(words, other))
    return replace(sample, conversation=tuple(turns))


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray) or isinstance(other, np.ndarray):
        return other is not None and np.array_equal(one, other)
    return bool(one == other)
