"""What a task is to the evaluation: a parser of answers, a score for each, and metrics over the scores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import pandas as pd

from anyecg.types import DataError, ECGSample, Prediction


LONGEST = 10_000  # characters of an answer that are read


class Task(ABC):
    """Parses what a model said, scores it against the reference, and reduces scores to metrics.

    Scoring comes in two steps so that a bootstrap never asks the parser or a text encoder again: `score` turns
    predictions into rows of plain numbers, one an id; `reduce` turns any resample of those rows into metrics.
    `reduce` reads nothing but the rows, so saved rows can be compared without the task's `info`.

    Attributes:
        name: the task's name in the registry.
        primary: the headline metric, a key of `metrics`.
        metrics: metric -> what it means and its range, in one line.
        groups: title of a breakdown -> the column of the rows that it groups by.
        shown: metrics that tables show in a breakdown, beside the primary in every view.
        kinds: keys of a sample's meta that say what kind of question it is, the widest kind first.
        taught_by: the task whose training questions teach how to answer this one, where it has none of its own.
        single_lead: whether its questions are also asked with one of two leads withheld (Figure 2).
        ranked: columns whose higher value is better, by which rows of several models are ranked question by question.
        judged: whether an LLM judge can score the answers (`judging`). Rows then have two columns more: `judge`, its score
            from 0 to 5 (NaN without one), and `unjudged`, why there is none.
        info: what the questions of this task share, `Questions.info`: the label universes of classification are its `labels`.
        text_encoder: `encode(list[str]) -> Tensor [n, d]`, L2-normalised; None where the task needs none.
    """

    name: ClassVar[str]
    primary: ClassVar[str]
    metrics: ClassVar[Mapping[str, str]]
    groups: ClassVar[Mapping[str, str]] = {}
    shown: ClassVar[tuple[str, ...]] = ()
    kinds: ClassVar[tuple[str, ...]] = ()
    taught_by: ClassVar[str] = ""
    single_lead: ClassVar[bool] = False
    ranked: ClassVar[Sequence[str]] = ()
    judged: ClassVar[bool] = False

    def __init__(self, info: Mapping[str, Any] | None = None, text_encoder: Any = None) -> None:
        self.info = dict(info or {})
        self.text_encoder = text_encoder

    @abstractmethod
    def parse(self, text: str, sample: ECGSample) -> Any | None:
        """The answer in `text`; None if there is none to be read, which is counted and scores the least."""

    def agrees(self, sample: ECGSample) -> bool:
        """Whether the reference answer, read by the task's own parser, is the reference: what a built question must be."""
        return self.parse(sample.answer, sample) is not None

    def judging(self, sample: ECGSample, text: str) -> tuple[str, str] | None:
        """The two turns that ask an LLM judge for a score of `text` from 0 to 5; None where it has nothing to judge by."""
        return None

    @abstractmethod
    def measure(self, samples: Sequence[ECGSample], answers: Sequence[Any | None]) -> pd.DataFrame:
        """The columns of `score` that are the task's own, one row a sample, numbers and words only."""

    @abstractmethod
    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        """Metrics of a non-empty set of rows; a metric that they do not define is left out."""

    def score(self, samples: Sequence[ECGSample], predictions: Iterable[Prediction]) -> pd.DataFrame:
        """One row a sample, in the order of `samples`: id, patient, subset, parsed, endless and the task's own columns.

        An answer beyond `LONGEST` characters is endless and read as far as that. Raises DataError unless every sample has
        exactly one prediction. A sample without a patient is its own.
        """
        texts = _texts(samples, predictions)
        answers = [self.parse(texts[sample.id][:LONGEST], sample) for sample in samples]
        head = pd.DataFrame({
            "id": [sample.id for sample in samples],
            "patient": [sample.patient or sample.id for sample in samples],
            "subset": [sample.subset for sample in samples],
            "parsed": [answer is not None for answer in answers],
            "endless": [len(texts[sample.id]) > LONGEST for sample in samples],
        })
        return pd.concat([head, self.measure(samples, answers)], axis=1)

    def reduce(self, rows: pd.DataFrame) -> dict[str, float]:
        """Metric -> value over rows of `score` or a resample of them; finite, raises DataError without rows."""
        if rows.empty:
            raise DataError(f"task {self.name}: there are no rows to compute metrics from")
        return self.compute(rows)

    def notes(self, rows: pd.DataFrame) -> list[str]:
        """What the metrics of these rows leave out, a sentence each."""
        return []

    def blocks(self, rows: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
        """Breakdown title -> group -> metrics and `counts`, e.g. `{"subset": {"2": {"score": 3.1, "n": 40, "n_patients": 31, "n_unparsed": 0}}}`."""
        return {
            title: {str(group): {**self.reduce(part), **counts(part)} for group, part in rows.groupby(column)}
            for title, column in self.groups.items()
        }


def counts(rows: pd.DataFrame) -> dict[str, int]:
    """How many questions rows of `Task.score` are, of how many patients, and how many of the answers could not be read."""
    return {"n": len(rows), "n_patients": int(rows["patient"].nunique()), "n_unparsed": int((~rows["parsed"].astype(bool)).sum())}


def _texts(samples: Sequence[ECGSample], predictions: Iterable[Prediction]) -> dict[str, str]:
    wanted = {sample.id for sample in samples}
    if not wanted:
        raise DataError("there are no questions to score; choose another split or more corpora")
    if len(wanted) < len(samples):
        raise DataError(f"{len(samples) - len(wanted)} questions share an id with another; ids must be unique")
    texts: dict[str, str] = {}
    for prediction in predictions:
        if prediction.id in texts or prediction.id not in wanted:
            reason = "has two answers" if prediction.id in texts else "was never asked"
            raise DataError(f"question {prediction.id} {reason}")
        if not isinstance(prediction.text, str):
            raise DataError(f"question {prediction.id}: its answer is no text but {prediction.text!r}; give an empty one where there is none")
        texts[prediction.id] = prediction.text.encode(errors="replace").decode()  # half a character is none
    missing = sorted(wanted - texts.keys())
    if missing:
        raise DataError(f"{len(missing)} questions have no answer: {', '.join(missing[:5])}")
    return texts
