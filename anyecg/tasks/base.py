"""What a task is: its settings, how its questions are built, its parser, its metrics, and what tables, figures and
plans need of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd

from anyecg.config.schema import to_dict
from anyecg.data.corpora.base import Corpus
from anyecg.data.store.store import Stores
from anyecg.types import DataError, ECGSample, Prediction

LONGEST = 10_000  # characters of an answer that are read


@dataclass(frozen=True)
class Words:
    """Tokens of a sample's text without its chat template: of the question, the answer, and (view "text") the words
    for one ECG.
    """

    question: int = 20
    answer: int = 20
    evidence: int = 20


@dataclass(frozen=True)
class Sources:
    """What questions are built from.

    stores, corpora: the recordings and their readers, by the user's key; folder: where what a task makes on the way
    lies (it is found again there); seed: of the draws; dropped: (pool, reason) -> how many questions could not be made,
    for the task to count.
    """

    stores: Stores
    corpora: Mapping[str, Corpus]
    folder: Path
    seed: int = 0
    dropped: Counter = field(default_factory=Counter)
    progress: bool = False


@dataclass(frozen=True)
class Rubric:
    """What an LLM judge scores answers by, once it has assessed them.

    criteria: column of the task's rows -> the turn that asks for its number; lowest, highest: the ends of the scale,
    within 0 to 5.
    """

    criteria: Mapping[str, str]
    lowest: float = 0.0
    highest: float = 5.0


class Task(ABC):
    """One kind of question, whole: builds questions, parses what a model said, scores it, and reduces scores to
    metrics.

    A subclass in any file is a task: `tasks: {mine: {name: "module:Class", key: value}}` builds its questions, a stage
    trains on its pools, `evaluation.tasks` names its key.

    Building. `build` asks the stores what they have (reports, labels, beat annotations, several visits), never for a
    corpus by its name. `settings` is all that the questions depend on beside stores, seed and `version`; `prepare`
    makes what they need first.

    Scoring comes in two steps so that a bootstrap never asks the parser or a text encoder again: `score` turns
    predictions into rows of plain numbers, one an id; `reduce` turns any resample of those rows into metrics.
    `reduce` reads nothing but the rows, so saved rows can be compared without the task's `info`.

    Attributes:
        Config: its settings, a frozen dataclass.
        name: what its questions are called, the column `task`, unless the user's key says otherwise.
        pools: what stages draw from: the names of its pools of questions.
        version: of the rules; a higher one builds its questions again.
        by_content: settings in whose place `settings` gives something else, such as the content of a folder.
        title: the name that people read.
        rule: how its questions are made, in a sentence or two, for a dataset's card.
        needs: what the data needs for it, as the end of a message.
        words: pool -> how long its texts are, for a plan without data.
        primary: the headline metric, a key of `metrics`.
        metrics: metric -> what it means and its range, in one line.
        groups: title of a breakdown -> the column of the rows that it groups by.
        shown: metrics that tables show in a breakdown, beside the primary in every view.
        kinds: keys of a sample's meta that say what kind of question it is, the widest kind first.
        taught_by: the task whose training questions teach how to answer this one, where it has none of its own.
        single_lead: whether its questions are also asked with one of two leads withheld (Figure 2).
        ranked: columns whose higher value is better, by which rows of several models are ranked question by question.
        rubric: what an LLM judge can score the answers by (`judging`), None for nothing. Judged rows have a column more
            for each criterion (NaN without a score), and `unjudged`, why there is none.
        stated: kinds of metadata (`tasks.leaks.METADATA`) that its prompts hold by its rule.
        info: what the questions of this task share, `Questions.info`: the label universes of classification are its
        `labels`.
        text_encoder: `encode(list[str]) -> Tensor [n, d]`, L2-normalised; None where the task needs none.
    """

    name: ClassVar[str]
    pools: ClassVar[tuple[str, ...]] = ()
    version: ClassVar[int] = 1
    by_content: ClassVar[tuple[str, ...]] = ()
    title: ClassVar[str] = ""
    rule: ClassVar[str] = ""
    needs: ClassVar[str] = "no corpus of this experiment gives one"
    words: ClassVar[Mapping[str, Words]] = {}
    primary: ClassVar[str]
    metrics: ClassVar[Mapping[str, str]]
    groups: ClassVar[Mapping[str, str]] = {}
    shown: ClassVar[tuple[str, ...]] = ()
    kinds: ClassVar[tuple[str, ...]] = ()
    taught_by: ClassVar[str] = ""
    single_lead: ClassVar[bool] = False
    ranked: ClassVar[Sequence[str]] = ()
    rubric: ClassVar[Rubric | None] = None
    stated: ClassVar[frozenset[str]] = frozenset()

    @dataclass(frozen=True)
    class Config:
        """No settings."""

    def __init__(self, cfg: Any = None, info: Mapping[str, Any] | None = None, text_encoder: Any = None) -> None:
        self.cfg = self.Config() if cfg is None else cfg
        self.info = dict(info or {})
        self.text_encoder = text_encoder

    @classmethod
    def makes(cls, cfg: Any) -> tuple[str, ...]:
        """Those of `pools` that are built with these settings."""
        return cls.pools

    @classmethod
    def fed(cls, corpora: Iterable[type[Corpus]]) -> bool:
        """Whether corpora of these kinds may give it questions, as far as that is known before one is read."""
        return True

    def check(self, corpora: Iterable[str]) -> list[tuple[str, str]]:
        """(setting, what is wrong with it) as far as can be said before a recording is read, e.g. a folder that is
        not there; corpora: keys.
        """
        return []

    def ready(self, sources: Sources) -> bool:
        """Whether `prepare` would find everything made already."""
        return True

    def prepare(self, sources: Sources) -> None:  # noqa: B027
        """Make what the questions are built from beside the stores, once, under `sources.folder`."""

    def settings(self, sources: Sources) -> dict[str, Any]:
        """All that the questions depend on, as plain data: content rather than where it lies."""
        return to_dict(self.cfg)

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        """(split, question) in a fixed order; what cannot be made is counted in `sources.dropped`. The same sources
        give the same questions.
        """
        return iter(())

    def shared(self, sources: Sources) -> dict[str, Any]:
        """What its questions share, kept once beside them: `info` of the task that scores them."""
        return {}

    def origins(self) -> dict[str, tuple[str, Mapping | None]]:
        """Name -> (published source in `data.dataset.licences`, how it was simulated or None) of what its questions
        are made from beside the recordings.
        """
        return {}

    def answer_kind(self, sample: ECGSample) -> str:
        """What counts of questions tell apart, e.g. "positive" and "negative"; "" for nothing."""
        return ""

    def target(self, sample: ECGSample) -> float | None:
        """The number that a question asks for, for answerers that predict numbers; None where it asks for none."""
        return None

    def written(self, sample: ECGSample, value: float) -> str:
        """A number as an answer to a question that has a `target`."""
        return f"{value:g}"

    def lengths(self, pool: str) -> Sequence[Sequence[float]]:
        """Samples of a pool as a plan without data takes them, equally frequent: the seconds of each ECG."""
        return [[10.0]]

    def drawn(
        self, samples: Sequence[ECGSample], texts: Mapping[str, str], stores: Stores, seed: int
    ) -> list[dict[str, Any]]:
        """What example figures are drawn from, as `metrics.json` keeps it; texts: id -> the answer with the ECG."""
        return []

    @classmethod
    def figures(
        cls, summary: Mapping[str, Any], drawn: Sequence[Mapping[str, Any]]
    ) -> dict[str, Callable[[Path], list[Path]]]:
        """File name -> what draws it there (without suffix) and returns the files; summary: the task's entry in
        `metrics.json`; drawn: of `drawn`.
        """
        return {}

    @abstractmethod
    def parse(self, text: str, sample: ECGSample) -> Any | None:
        """The answer in `text`; None if there is none to be read, which is counted and scores the least."""

    def agrees(self, sample: ECGSample) -> bool:
        """Whether the reference answer, read by the task's own parser, is the reference: what a built question must
        be.
        """
        return self.parse(sample.answer, sample) is not None

    def secrets(self, sample: ECGSample) -> Sequence[str]:
        """Texts that the prompt of a question must not hold, since they are its answer or a part of it."""
        return (sample.answer,)

    def wordings(self, sample: ECGSample) -> Sequence[str]:
        """Texts that ask a sample's last question in any of the task's own wordings, without markers; none where it has
        but one.
        """
        return ()

    def shifted(self, samples: Sequence[ECGSample], seconds: float, stores: Stores) -> Mapping[str, ECGSample]:
        """Id -> the question over a window of the same record that begins so much later (earlier, near the record's
        end), with what is true there; none where time has no part in the answers.
        """
        return {}

    def followed(self, sample: ECGSample, text: str, shifted: ECGSample, shifted_text: str) -> tuple[float, float]:
        """How far the answer to a shifted question is the same as the first one in the record's own time, and how far
        in the window's time, 0 to 1 each; NaN where neither answer tells.
        """
        return float("nan"), float("nan")

    def judging(self, sample: ECGSample, text: str) -> str | None:
        """The turn that asks an LLM judge to assess `text`, ahead of those of the rubric that ask for numbers; None
        where it has nothing to judge by.
        """
        return None

    @abstractmethod
    def measure(self, samples: Sequence[ECGSample], answers: Sequence[Any | None]) -> pd.DataFrame:
        """The columns of `score` that are the task's own, one row a sample, numbers and words only."""

    @abstractmethod
    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        """Metrics of a non-empty set of rows; a metric that they do not define is left out."""

    def score(self, samples: Sequence[ECGSample], predictions: Iterable[Prediction]) -> pd.DataFrame:
        """One row a sample, in the order of `samples`: id, patient, subset, parsed, endless and the task's own columns.

        An answer beyond `LONGEST` characters is endless and read as far as that. A prediction with scores is parsed
        whatever its text. Raises DataError unless every sample has exactly one prediction. A sample without a patient
        is its own.
        """
        predictions = list(predictions)
        texts, scores = _texts(samples, predictions), {one.id: one.scores for one in predictions}
        answers = [self.parse(texts[sample.id][:LONGEST], sample) for sample in samples]
        head = pd.DataFrame(
            {
                "id": [sample.id for sample in samples],
                "patient": [sample.patient or sample.id for sample in samples],
                "subset": [sample.subset for sample in samples],
                "parsed": [
                    answer is not None or scores[sample.id] is not None for sample, answer in zip(samples, answers)
                ],
                "endless": [len(texts[sample.id]) > LONGEST for sample in samples],
            }
        )
        rows = pd.concat([head, self.measure(samples, answers)], axis=1)
        given = [scores[sample.id] for sample in samples]
        return self.ranked_by(rows, given) if any(one is not None for one in given) else rows

    def ranked_by(self, rows: pd.DataFrame, scores: Sequence[Mapping[str, float] | None]) -> pd.DataFrame:
        """The rows with what the predictions' own scores say in place of what their texts do (`Prediction.scores`)."""
        return rows

    def reduce(self, rows: pd.DataFrame) -> dict[str, float]:
        """Metric -> value over rows of `score` or a resample of them; finite, raises DataError without rows."""
        if rows.empty:
            raise DataError(f"task {self.name}: there are no rows to compute metrics from")
        return self.compute(rows)

    def headline(self, rows: pd.DataFrame) -> str:
        """The name of the headline metric over these rows: `primary`, unless what it is a mean of is part of the
        name.
        """
        return self.primary

    def meaning(self, metric: str) -> str:
        """What a metric means and its range, in one line."""
        return self.metrics.get(metric, metric)

    def reducer(self, rows: pd.DataFrame) -> Callable[[pd.DataFrame], dict[str, float]]:
        """What reduces resamples of these rows: `reduce`, or one that averages over the same labels as it does over
        `rows`.
        """
        return self.reduce

    def notes(self, rows: pd.DataFrame) -> list[str]:
        """What the metrics of these rows leave out, a sentence each."""
        return []

    def blocks(self, rows: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
        """Breakdown title -> group -> metrics and `counts`, e.g. `{"subset": {"2": {"score": 3.1, "n": 40,
        "n_patients": 31, "n_unparsed": 0}}}`.
        """
        return {
            title: {str(group): {**self.reduce(part), **counts(part)} for group, part in rows.groupby(column)}
            for title, column in self.groups.items()
        }


def counts(rows: pd.DataFrame) -> dict[str, int]:
    """How many questions rows of `Task.score` are, of how many patients, and how many of the answers could not be
    read.
    """
    return {
        "n": len(rows),
        "n_patients": int(rows["patient"].nunique()),
        "n_unparsed": int((~rows["parsed"].astype(bool)).sum()),
    }


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
            raise DataError(
                f"question {prediction.id}: its answer is no text but {prediction.text!r}; give an empty one where "
                f"there is none"
            )
        texts[prediction.id] = prediction.text.encode(errors="replace").decode()  # half a character is none
    missing = sorted(wanted - texts.keys())
    if missing:
        raise DataError(f"{len(missing)} questions have no answer: {', '.join(missing[:5])}")
    return texts


def folder_problems(
    folders: Mapping[str, str], corpora: Iterable[str], what: str, but: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """What is wrong with a task's `folders`, corpus -> folder, as (key, message): a corpus that is not there, a folder
    that is none and not one of the words `but`; what: it is to be set to.
    """
    known = [*corpora]
    wrong = [
        (f"folders.{corpus}", f"corpora are {', '.join(known)}; add it there or leave it out here")
        for corpus in folders
        if corpus not in known
    ]
    return wrong + [
        (f"folders.{corpus}", f"there is no folder {root}; set it to {what}")
        for corpus, root in folders.items()
        if root not in but and not Path(root).expanduser().is_dir()
    ]
