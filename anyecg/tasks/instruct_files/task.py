"""Released conversations (ECGInstruct, ECGBench, ECG-Grounding, ECG-R1) as a task with a pool of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from anyecg.findings import find
from anyecg.tasks.base import Sources, Words
from anyecg.tasks.choice.task import published_choice
from anyecg.tasks.ecg_qa.parser import read_verdict
from anyecg.tasks.instruct_files.build import InstructFilesConfig, file_questions
from anyecg.tasks.multiple_choice import read_choice, read_choices
from anyecg.tasks.release.conversations import file_problems
from anyecg.tasks.release.filed import FiledTask
from anyecg.tasks.reply import last_answer, plain_text
from anyecg.types import ECGSample, Prediction


class InstructFiles(FiledTask):
    """Questions as released, over the recording that a row is about (drawn as a page, or as a signal).

    Scored by the form of the reference: a letter, a set of options (ECG-QA's: the whole set has to be right), yes or
    no, each right or wrong; free text by the F1 of the findings that both assert, where the reference asserts any.
    Closed questions are read strictly, and as PULSE's scorer reads them (`..._published`): a letter anywhere, an option
    anywhere in the text. In a conversation of several turns the last answer is scored.
    """

    Config = InstructFilesConfig
    cfg: InstructFilesConfig
    name = "instruct_files"
    pools = ("instruct_files",)
    title = "Released conversations"
    rule = "the conversations of released files about pages, asked of the recordings that their rows are about."
    needs = (
        "set tasks.instruct_files.files.NAME to a file of ECGInstruct, ECGBench or ECG-Grounding, and "
        "tasks.instruct_files.corpora to whose recordings it is about"
    )
    words = {"instruct_files": Words(60, 60, 20)}
    primary = "score"
    metrics = {
        "score": "mean over questions, 0 to 1: right or wrong if closed, F1 of the findings if free",
        "choice": "share of lettered questions answered right, 0 to 1",
        "choice_published": "share of lettered questions right as PULSE's scorer reads, 0 to 1",
        "set_accuracy": "share of questions whose whole set of options is right, 0 to 1 (ECGBench's ECG-QA)",
        "set_accuracy_published": "the same by PULSE's parser: an option counts wherever it occurs",
        "verdict": "share of yes/no questions answered right, 0 to 1",
        "free": "mean F1 of findings of free answers whose reference asserts any, 0 to 1",
    }
    groups = {"file": "subset", "form": "form"}
    shown = ("score", "set_accuracy", "choice")
    kinds = ("form",)

    def __init__(self, cfg: Any = None, info: Any = None, text_encoder: Any = None) -> None:
        super().__init__(cfg, info, text_encoder)
        self.pools = self.makes(self.cfg)  # type: ignore[misc, assignment]  # of this entry

    @classmethod
    def makes(cls, cfg: Any) -> tuple[str, ...]:
        return (cfg.pool,)

    def check(self, corpora: Iterable[str]) -> list[tuple[str, str]]:
        known = [*corpora]
        wrong = [
            (f"corpora.{root}", f"corpora are {', '.join(known)}; add {corpus} there or leave it out here")
            for root, corpus in self.cfg.corpora.items()
            if corpus not in known
        ]
        return wrong + file_problems(self.cfg.files, self.cfg.absent)

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        return file_questions(sources.stores, self.cfg, self.name, sources.dropped)

    def parse(self, text: str, sample: ECGSample) -> frozenset[Any] | None:
        """Places of options, or findings of a free answer; None where none can be read."""
        form, options = sample.meta["form"], sample.meta["options"]
        if form == "choice":
            chosen = read_choice(text, options)
            return None if chosen is None else frozenset({chosen})
        if form == "options":
            return read_choices(text, options)
        if form == "verdict":
            verdict = read_verdict(text, ("yes", "no"))
            return frozenset({options.index(next(iter(verdict)))}) if verdict else None
        said = last_answer(plain_text(text)).strip()
        return frozenset(find(said)) if any(letter.isalnum() for letter in said) else None

    def agrees(self, sample: ECGSample) -> bool:
        if sample.meta["form"] == "free":
            return bool(sample.answer.strip())
        return self.parse(sample.answer, sample) == frozenset(sample.meta["right"])

    def score(self, samples: Sequence[ECGSample], predictions: Iterable[Prediction]) -> pd.DataFrame:
        predictions = list(predictions)
        texts = {prediction.id: prediction.text for prediction in predictions}
        rows = super().score(samples, predictions)
        return rows.assign(published=[_published(texts[sample.id], sample) for sample in samples])

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[frozenset[Any] | None]) -> pd.DataFrame:
        """`form`; `score`, NaN for a free answer whose reference asserts no finding."""
        return pd.DataFrame(
            {
                "form": [sample.meta["form"] for sample in samples],
                "score": [_score(sample, answer) for sample, answer in zip(samples, answers, strict=True)],
            }
        )

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        scores, forms = rows["score"].to_numpy(float), rows["form"].to_numpy(str)
        published = rows["published"].to_numpy(float) if "published" in rows else np.full(len(rows), np.nan)
        found = {}
        for name, form, values in (
            ("score", "", scores),
            ("choice", "choice", scores),
            ("choice_published", "choice", published),
            ("set_accuracy", "options", scores),
            ("set_accuracy_published", "options", published),
            ("verdict", "verdict", scores),
            ("free", "free", scores),
        ):
            some = values[(forms == form) | (form == "")]
            some = some[~np.isnan(some)]
            if len(some):
                found[name] = float(some.mean())
        return found

    def notes(self, rows: pd.DataFrame) -> list[str]:
        silent = int(rows["score"].isna().sum())
        why = "free answers have no score: their reference asserts no finding that is known"
        return [f"{silent} {why}"] if silent else []


def _score(sample: ECGSample, answer: frozenset[Any] | None) -> float:
    right = frozenset(sample.meta["right"])
    if sample.meta["form"] != "free":
        return float(answer == right)
    if not right:
        return float("nan")
    return 2 * len(answer & right) / (len(answer) + len(right)) if answer else 0.0


def _published(text: str, sample: ECGSample) -> float:
    """Right (1) or wrong (0) as PULSE's scorer reads a closed question; NaN for the others."""
    form, options, right = sample.meta["form"], sample.meta["options"], set(sample.meta["right"])
    if form == "choice":
        return float({published_choice(text, len(options), sample.id)} == right)
    if form == "options":
        return float({place for place, option in enumerate(options) if option.lower() in text.lower()} == right)
    return float("nan")
