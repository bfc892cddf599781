"""The prior: the answer that training questions of the same kind have most often, whatever the ECG shows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anyecg.answerers.base import Answerer, Fitting
from anyecg.config.checks import Checks
from anyecg.config.fingerprint import fingerprint
from anyecg.tasks.base import Task
from anyecg.types import DataError, ECGSample, Prediction


class Prior(Answerer):
    """The commonest answer of the training split to questions of one kind; sees no ECG.

    Kinds are as narrow as `Task.kinds` makes them (a template, a type, the abnormality asked for), within the
    question's subset where that has enough training questions. Where answers are intervals, no two are alike and "No
    ... Found" is the commonest.
    """

    label = "prior (commonest training answer)"
    reads_text = True
    knows = "training labels"

    @dataclass(frozen=True)
    class Config:
        """What is enough to go by."""

        least: int = 5  # training questions of a kind; of fewer, a wider kind is taken

        def __post_init__(self) -> None:
            with Checks(self) as check:
                check.number("least", least=1)

    def __init__(self, cfg: Any = None) -> None:
        super().__init__(cfg or self.Config())
        self._tasks: Mapping[str, Task] = {}
        self._counts: dict[str, dict[Hashable, Counter[str]]] = {}

    def fit(self, fitting: Fitting) -> None:
        """Count the answers of the training questions of each task, or of the task that teaches it."""
        self._tasks = fitting.tasks
        for name, task in fitting.tasks.items():
            counts: dict[Hashable, Counter[str]] = defaultdict(Counter)
            for sample in fitting.training.samples(task.taught_by or name):
                for kind in kinds(task, sample):
                    counts[kind][sample.answer] += 1
            self._counts[name] = dict(counts)
        self.key = fingerprint(
            "prior",
            self.cfg,
            fitting.training.fingerprint,
            [[name, task.kinds, task.taught_by] for name, task in fitting.tasks.items()],
        )

    def answers(self, task: str) -> bool:
        return bool(self._counts.get(task))

    def answer(
        self, samples: Sequence[ECGSample], view: str, answered: Collection[str] = frozenset()
    ) -> Iterator[Prediction]:
        return (Prediction(sample.id, self._commonest(sample)) for sample in samples if sample.id not in answered)

    def _commonest(self, sample: ECGSample) -> str:
        counts = self._counts.get(sample.task)
        if not counts:
            raise DataError(
                f"the prior cannot answer questions of {sample.task}: the training split has none; leave the task out "
                f"of evaluation.tasks"
            )
        found = [counts[kind] for kind in kinds(self._tasks[sample.task], sample) if kind in counts]
        enough = next(
            (counter for counter in found if counter.total() >= self.cfg.least), max(found, key=Counter.total)
        )
        return min(enough, key=lambda text: (-enough[text], text))


def kinds(task: Task, sample: ECGSample) -> list[Hashable]:
    """The kinds that a question belongs to, the narrowest first, the last one all questions."""
    values = [str(sample.meta.get(name, "")) for name in task.kinds]
    return [(place, *values[:n]) for n in range(len(values), -1, -1) for place in (sample.subset, None)]
