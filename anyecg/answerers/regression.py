"""A ridge regression from simple statistics of what the encoder is given, for tasks that ask for a number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from anyecg.answerers.base import Answerer, Fitting
from anyecg.answerers.learned import view_of
from anyecg.answerers.prior import kinds
from anyecg.config.checks import Checks
from anyecg.config.fingerprint import fingerprint
from anyecg.tasks.base import Task
from anyecg.types import DataError, ECGSample, Prediction

QUANTILES = (0.001, 0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999)
LAGS = np.arange(0.3, 1.6, 0.02)  # s: of the autocorrelation, which beats of 37 to 200 bpm leave their mark in


class Regression(Answerer):
    """What simple statistics of the encoder's clips tell about a number, with training labels.

    The statistics are quantiles of each lead and of its steps, and the autocorrelation of all leads' steps: no training
    of a network stands between a scaling and what it leaves of an ECG. A quantity has a regression of its own, whose
    penalty is chosen on the validation split.
    """

    label = "ridge regression on the encoder's input"
    knows = "training labels"

    @dataclass(frozen=True)
    class Config:
        """penalties: of the squared coefficients of standardised statistics, per training question, to choose from."""

        penalties: tuple[float, ...] = (0.001, 0.01, 0.1, 1.0)

        def __post_init__(self) -> None:
            with Checks(self) as check:
                check.number("penalties", above=0)

    def __init__(self, cfg: Any = None) -> None:
        super().__init__(cfg or self.Config())
        self._lines: dict[str, dict[Any, _Line]] = {}
        self._tasks: Mapping[str, Task] = {}

    def fit(self, fitting: Fitting) -> None:
        """One regression a kind of question, of each task that asks for numbers."""
        self._stores, self._spec = fitting.stores, fitting.experiment.input_spec
        self._limits, self._tasks = fitting.experiment.input, fitting.tasks
        self._lines = {}
        for name, task in fitting.tasks.items():
            parts = {
                split: [s for s in fitting.training.samples(name, split) if task.target(s) is not None]
                for split in ("train", "val")
            }
            if not parts["train"]:
                continue
            sets: dict[Any, dict[str, tuple[np.ndarray, np.ndarray]]] = defaultdict(dict)
            for split, samples in parts.items():
                if samples:
                    features, groups = self._features(samples, "signal"), [kinds(task, s)[0] for s in samples]
                    values = np.array([task.target(sample) for sample in samples], dtype=np.float64)
                    for group in sorted(set(groups), key=str):
                        chosen = np.array([other == group for other in groups])
                        sets[group][split] = (features[chosen], values[chosen])
            self._lines[name] = {
                group: _Line.best(found["train"], found.get("val", found["train"]), self.cfg.penalties)
                for group, found in sets.items()
                if "train" in found
            }
        self.key = fingerprint("regression", 1, self.cfg, fitting.training.fingerprint, self._spec, self._limits)

    def answers(self, task: str) -> bool:
        return bool(self._lines.get(task))

    def answer(
        self, samples: Sequence[ECGSample], view: str, answered: Collection[str] = frozenset()
    ) -> Iterator[Prediction]:
        left = [sample for sample in samples if sample.id not in answered]
        if not left:
            return
        for sample, features in zip(left, self._features(left, view), strict=True):
            task, lines = self._tasks[sample.task], self._lines.get(sample.task)
            line = lines.get(kinds(task, sample)[0]) if lines else None
            if line is None:
                raise DataError(
                    f"the regression cannot answer question {sample.id}: the training split has none of its kind with "
                    f"a number; leave the task out of evaluation.tasks"
                )
            yield Prediction(sample.id, task.written(sample, line(features)))

    def _features(self, samples: Sequence[ECGSample], view: str) -> np.ndarray:
        """Statistics of the first clip of each question's first ECG, float64 `[n, d]`."""
        questions = view_of(samples, view, self._stores, self._limits, self._spec, self.seed)
        found: dict[Any, np.ndarray] = {}
        keys = [sample.records if view == "signal" else n for n, sample in enumerate(samples)]
        for n, key in enumerate(keys):  # questions about one recording are answered from the same statistics
            if key not in found:
                found[key] = _statistics(questions[n].clips[0][0], self._spec.fs)
        return np.stack([found[key] for key in keys])


def _statistics(clip: np.ndarray, fs: float) -> np.ndarray:
    """Of a clip `[leads, T]`: quantiles of each lead and of its steps, and the autocorrelation of all leads' steps."""
    values = np.asarray(clip, dtype=np.float64).reshape(-1, clip.shape[-1])
    steps = np.abs(np.diff(values, axis=1))
    moved = steps.sum(axis=0)
    moved = moved - moved.mean()
    power = np.fft.irfft(np.abs(np.fft.rfft(moved, 2 * len(moved))) ** 2)[: len(moved)]
    lags = np.minimum((LAGS * fs).round().astype(int), len(moved) - 1)
    return np.concatenate(
        [
            np.quantile(values, QUANTILES, axis=1).ravel(),
            np.quantile(steps, (0.5, 0.9, 0.99), axis=1).ravel(),
            power[lags] / (power[0] or 1.0),
        ]
    )


@dataclass(frozen=True)
class _Line:
    """`features @ weights + offset`, weights `[d]` on the statistics as they are."""

    weights: np.ndarray
    offset: float

    def __call__(self, features: np.ndarray) -> float:
        return float(features @ self.weights + self.offset)

    @classmethod
    def best(
        cls,
        train: tuple[np.ndarray, np.ndarray],
        val: tuple[np.ndarray, np.ndarray],
        penalties: Sequence[float],
    ) -> _Line:
        """The line of the penalty with the least mean absolute error over the validation questions."""
        lines = [cls.fitted(*train, penalty) for penalty in penalties]
        return min(lines, key=lambda line: float(np.abs(val[0] @ line.weights + line.offset - val[1]).mean()))

    @classmethod
    def fitted(cls, features: np.ndarray, values: np.ndarray, penalty: float) -> _Line:
        """Ridge regression on standardised statistics; one that never varies has no weight."""
        middle, spread = features.mean(axis=0), features.std(axis=0)
        scaled = np.where(spread > 1e-9, (features - middle) / np.maximum(spread, 1e-9), 0.0)
        gram = scaled.T @ scaled + penalty * len(scaled) * np.eye(scaled.shape[1])
        weights = np.linalg.solve(gram, scaled.T @ (values - values.mean())) / np.maximum(spread, 1e-9)
        weights = np.where(spread > 1e-9, weights, 0.0)
        return cls(weights, float(values.mean() - middle @ weights))
