"""The contract of whatever answers: what it needs and knows beforehand, what it learns from, and its predictions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from anyecg.config.schema import Experiment
from anyecg.data.dataset.data import Data
from anyecg.data.store.store import Store, Stores
from anyecg.model import ECGLanguageModel
from anyecg.registry import registry
from anyecg.tasks.base import Task
from anyecg.training.planning import PlannedStage
from anyecg.types import DataError, ECGSample, Prediction

LEARNT_FROM = ("train", "val")  # splits


class TrainingQuestions:
    """The questions that an answerer may learn from: those of the training and validation splits, never the test
    split.
    """

    def __init__(self, data: Data) -> None:
        self._data = data

    @property
    def fingerprint(self) -> str:
        return self._data.fingerprint

    def samples(self, task: str, split: str = "train") -> Iterator[ECGSample]:
        """The questions of a task in a split; DataError for the test split."""
        if split not in LEARNT_FROM:
            raise DataError(f"an answerer learns from the splits {' and '.join(LEARNT_FROM)}, not from {split}")
        questions = self._data.questions
        return (questions[int(row)] for row in questions.select(split=split, task=task))


def recordings(store: Store, columns: Sequence[str], split: str = "train") -> Iterator[tuple]:
    """Columns of a store's recordings that an answerer may learn from; DataError for the test split."""
    if split not in LEARNT_FROM:
        raise DataError(f"an answerer learns from the splits {' and '.join(LEARNT_FROM)}, not from {split}")
    return (row[1:] for row in store.rows(["split", *columns]) if row[0] == split)


@dataclass(frozen=True)
class Fitting:
    """What an answerer is given before it answers.

    stores: the recordings that its questions are about; model, stages: at the end of the curriculum, as far as
    `Answerer.uses` asks for it; tasks: those of the evaluation.
    """

    experiment: Experiment
    training: TrainingQuestions
    stores: Stores
    tasks: Mapping[str, Task]
    model: ECGLanguageModel | None = None
    stages: Sequence[PlannedStage] = ()
    text_encoder: Any = None


class Answerer(ABC):
    """Whatever answers questions. A subclass has a frozen dataclass `Config` and is built as `Answerer(config)`, then
    fitted.

    Attributes:
        label: what a table calls it, beside the views of another answerer.
        tasks: names of the tasks that it can answer; None: any.
        knows: what it knows of the answers beforehand: "nothing", "options", "label names" or "training labels".
        converses: whether it can hold the scripted conversations.
        reads_text: whether it answers questions that come without any ECG (the view "text_only").
        uses: parts of the experiment that it answers with, of `config.schema.GROUPS`; stages that train none of them,
        and nothing
            that these were trained with, do not run. None: all, and every stage runs.
        divides: whether the processes of a run divide its questions: each fits it and answers a share.
        seed: of what a view draws, where the answerer reads recordings itself; set by `fit`.
        key: a fingerprint of all that determines its predictions beside the question, the view and `company`; set by
        `fit`.
    """

    label: ClassVar[str] = ""
    tasks: ClassVar[frozenset[str] | None] = None
    knows: ClassVar[str] = "nothing"
    converses: ClassVar[bool] = False
    reads_text: ClassVar[bool] = False
    uses: ClassVar[frozenset[str] | None] = frozenset()
    divides: ClassVar[bool] = False
    key: str = ""
    seed: int = 0

    @dataclass(frozen=True)
    class Config:
        """No settings."""

    def __init__(self, cfg: Any = None) -> None:
        self.cfg = cfg

    def fit(self, fitting: Fitting) -> None:  # noqa: B027
        """Learn what it needs and set `key`."""

    def answers(self, task: str) -> bool:
        """Whether it can answer a task of the evaluation that it was fitted for."""
        return self.tasks is None or task in self.tasks

    def company(self, samples: Sequence[ECGSample], view: str) -> Mapping[str, Sequence[str]]:
        """Question's id -> the ids of all questions whose presence may change its prediction, in order; nothing where
        each stands alone.

        Rounding makes a prediction depend on the batch that it is generated in. A prediction is therefore kept under
        its question and the batch's, so that what was predicted before, and is kept, never changes a prediction.
        """
        return {}

    def variant(self, view: str) -> str:
        """A view, with the seed of what is drawn in it."""
        kind: Any = registry("view")[view]
        return f"{view}, seed {self.seed}" if kind.seeded else view

    @abstractmethod
    def answer(
        self, samples: Sequence[ECGSample], view: str, answered: Collection[str] = frozenset()
    ) -> Iterator[Prediction]:
        """A prediction for each sample but those whose ids are `answered`, in any order, each as soon as it is there.

        samples: all questions of a task and view, as the view puts them, such as with other patients' ECGs. What a view
        changes in the recordings is done where they are read (`data.loading.dataset.QuestionDataset` with its name).
        """

    def conversing(self) -> Answerer:
        """The answerer of conversations, whose questions come again and again about the same ECGs."""
        return self
