"""What a view is: which questions are asked in it, how they are changed, and what is measured beside the metric."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from anyecg.data.store.store import Stores
from anyecg.tasks.base import Task
from anyecg.types import ECGSample, InputSpec, Window


@dataclass(frozen=True)
class Setup:
    """What a view may look at when it changes questions.

    task: that they are of; stores: the recordings (None where an evaluation has none at hand); patients: record ->
    patient, for questions over ECGs of two patients; seconds: of a window; seed: of whatever is drawn.
    """

    task: Task
    stores: Stores | None = None
    patients: Mapping[str, str] = field(default_factory=dict)
    seconds: Callable[[Window], float] | None = None
    seed: int = 0


@dataclass(frozen=True)
class Pair:
    """A question with its own ECG and as the view shows it, and the answer to each."""

    sample: ECGSample
    shown: ECGSample
    text: str
    shown_text: str


class View:
    """The questions of an evaluation, changed in one respect. A subclass in any file is a view:
    `evaluation.views: [signal, "module:Class"]`.

    A view changes the question (`put`: its words, windows or recordings), or what is read of its recordings (`see`).
    The changed question is part of what a prediction is kept under.

    Attributes:
        label: what a row of a table calls it; short: the same where there is little room; colour: in figures.
        shows: what the dataset makes of each recording: "signal", what `see` returns; "blank", clips of zeros with all
            leads absent; "evidence", the sample's evidence in words.
        seeded: whether `see` draws at random.
        strict: whether `evaluation.views=[strict]` has it.
        without_ecg: whether its questions come without any ECG; asked of answerers with `Answerer.reads_text` only.
        axis: of views of the same in growing measure, what grows: they are one figure, in the order of the registry;
            tick: how much of it; line: the view that has none of it.
        against: another view over the same questions, whose metric is compared with this one's; "": none.
        measures: name -> what it means and its range: means over questions of what `columns` returns, in tables beside
            the metric.
    """

    label: ClassVar[str] = ""
    short: ClassVar[str] = ""
    colour: ClassVar[str] = "#7a6a9c"
    shows: ClassVar[str] = "signal"
    seeded: ClassVar[bool] = False
    strict: ClassVar[bool] = True
    without_ecg: ClassVar[bool] = False
    axis: ClassVar[str] = ""
    tick: ClassVar[str] = ""
    line: ClassVar[str] = "signal"
    against: ClassVar[str] = ""
    measures: ClassVar[Mapping[str, str]] = {}

    @dataclass(frozen=True)
    class Config:
        """No settings."""

    def __init__(self, cfg: Any = None) -> None:
        self.cfg = self.Config() if cfg is None else cfg

    def asked(self, task: type[Task] | Task) -> bool:
        """Whether a task is asked in this view at all."""
        return True

    def put(self, samples: Sequence[ECGSample], setup: Setup) -> dict[str, ECGSample]:
        """Id -> the question as it is put, in the order of the samples; those that cannot be put so are left out."""
        return {sample.id: sample for sample in samples}

    def see(
        self, signal: np.ndarray, mask: np.ndarray, sample: ECGSample, record: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """What is read in place of a question's `record`: float32 `[12, T]`, mV, and bool `[12]`, the leads that are
        there; both may be changed in place.
        """
        return signal, mask

    def drawn(self, spec: InputSpec) -> InputSpec:
        """What clips are made by, of the encoder's spec: clips of the same number and shape (how pages look)."""
        return spec

    def truth(self, sample: ECGSample, shown: ECGSample) -> ECGSample:
        """The question by whose reference the answer is scored: the original one, unless the view changes the truth."""
        return sample

    def columns(self, task: Task, pairs: Sequence[Pair]) -> dict[str, list[float]]:
        """Columns of the rows of the view, a number a question; NaN where one has no part in a measure."""
        return {}
