"""Abnormality detection: all labels of a list that an ECG shows, scored label by label (PULSE's section 3)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache, partial

import numpy as np
import pandas as pd

from anyecg.tasks.abnormality.build import WORDINGS, AbnormalityConfig, abnormality_questions
from anyecg.tasks.abnormality.parser import read_as_published, read_labels
from anyecg.tasks.base import Sources, Words
from anyecg.tasks.label_sets import LabelTask, written
from anyecg.types import ECGSample, Prediction

STRICT, PUBLISHED = "said", "found"  # how columns of the two readings begin
MEASURES = ("auc", "f1", "hamming")


class Abnormality(LabelTask):
    """Labels of a list, as codes: macro-AUC of hard labels, macro-F1 and Hamming loss over those that occur.

    "AUC" is PULSE's: of labels said or not, so it is the mean of sensitivity and specificity and no AUC of scores; do
    not set it beside one. Each metric is measured twice: by our strict parser, to which an unread answer is wrong in
    every label, and (`..._published`) by its scorer's rule, a code anywhere in the text. Of several corpora each
    metric is the mean of theirs.
    """

    Config = AbnormalityConfig
    cfg: AbnormalityConfig
    name = "abnormality"
    pools = ("abnormality",)
    title = "Abnormality detection"
    rule = (
        "for each record of a corpus with a label set of at most twelve labels, which of them hold, as codes with "
        "semicolons, in eight wordings; or ECGBench's own questions."
    )
    needs = "it asks for the labels of corpora: add corpora.ptbxl, or evaluation.corpora.cpsc2018 or code15"
    words = {"abnormality": Words(70, 5, 20)}
    primary = "auc"
    metrics = {
        "auc": "mean of sensitivity and specificity over labels with both, 0 to 1; 0.5 is chance (PULSE's AUC of hard "
        "labels)",
        "f1": "macro F1 over the labels that occur, 0 to 1",
        "hamming": "share of wrong decisions over the labels that occur, 0 to 1, the less the better",
        "exact": "share of answers with all labels right, 0 to 1",
        "auc_published": "auc by PULSE's parser: a code anywhere in the answer",
        "f1_published": "f1 by PULSE's parser",
        "hamming_published": "hamming by PULSE's parser",
    }
    groups = {"corpus": "subset"}
    shown = ("auc", "f1", "hamming", "auc_published")

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        return abnormality_questions(sources.stores, self.cfg, sources.seed, sources.dropped)

    def parse(self, text: str, sample: ECGSample) -> frozenset[str] | None:
        """The acronyms that an answer gives, by the strict parser."""
        return read_labels(text, sample.meta["options"])

    def agrees(self, sample: ECGSample) -> bool:
        return self.parse(sample.answer, sample) == frozenset(sample.meta["labels"])

    def wordings(self, sample: ECGSample) -> Sequence[str]:
        listed = ", ".join(written(acronym, name) for acronym, name in sample.meta["options"].items())
        return [wording.format(options=listed) for wording in WORDINGS]

    def score(self, samples: Sequence[ECGSample], predictions: Iterable[Prediction]) -> pd.DataFrame:
        predictions = list(predictions)
        rows = super().score(samples, predictions)
        texts = {prediction.id: prediction.text for prediction in predictions}
        found = [read_as_published(texts[sample.id], sample.meta["options"]) for sample in samples]
        return pd.concat([rows, _columns(PUBLISHED, samples, found)], axis=1)

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[frozenset[str] | None]) -> pd.DataFrame:
        """`true:CORPUS:LABEL` and `said:CORPUS:LABEL` (1, 0, NaN where it was no option), `exact`."""
        true = [frozenset(sample.meta["labels"]) for sample in samples]
        wrong = [  # an unread answer is wrong in each label
            frozenset(sample.meta["options"]) - held if said is None else said
            for sample, said, held in zip(samples, answers, true, strict=True)
        ]
        exact = pd.DataFrame({"exact": [said == held for said, held in zip(answers, true, strict=True)]})
        return pd.concat([exact, _columns("true", samples, true), _columns(STRICT, samples, wrong)], axis=1)

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        return _averaged(rows, {})

    def reducer(self, rows: pd.DataFrame) -> Callable[[pd.DataFrame], dict[str, float]]:
        """Resamples are averaged over the labels that these rows define: where one leaves a label without a positive
        or a negative, its value over these rows stands in.
        """
        return partial(_averaged, whole=_measured(rows))

    def notes(self, rows: pd.DataFrame) -> list[str]:
        unseen = [
            f"{corpus}: {', '.join(absent)}"
            for corpus, labels in _labels(tuple(rows.columns)).items()
            if (absent := [label for label in labels if not rows[f"true:{corpus}:{label}"].eq(1).any()])
        ]
        return [f"left out, since no record has it: {'; '.join(unseen)}"] if unseen else []


def _columns(prefix: str, samples: Sequence[ECGSample], sets: Sequence[frozenset[str]]) -> pd.DataFrame:
    universe: dict[str, dict[str, None]] = {}
    for sample in samples:
        universe.setdefault(sample.subset, {}).update(dict.fromkeys(sample.meta["options"]))
    return pd.DataFrame(
        {
            f"{prefix}:{corpus}:{label}": [
                float(label in held) if sample.subset == corpus and label in sample.meta["options"] else np.nan
                for sample, held in zip(samples, sets, strict=True)
            ]
            for corpus, labels in universe.items()
            for label in labels
        },
        index=range(len(samples)),
    )


@lru_cache(maxsize=64)
def _labels(columns: tuple[str, ...]) -> dict[str, list[str]]:
    """Corpus -> its labels, by the columns of rows."""
    found: dict[str, list[str]] = {}
    for name in columns:
        if name.startswith("true:"):
            _, corpus, label = name.split(":", 2)
            found.setdefault(corpus, []).append(label)
    return found


def _measured(rows: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """(corpus, reading) -> `[measures, labels]`, NaN where a label has no positive (or no negative, of the AUC)."""
    found = {}
    for corpus, labels in _labels(tuple(rows.columns)).items():
        true = rows[[f"true:{corpus}:{label}" for label in labels]].to_numpy(float)
        asked = ~np.isnan(true).all(axis=1)
        if not asked.any():
            continue
        true = true[asked]
        for reading in (STRICT, PUBLISHED):
            names = [f"{reading}:{corpus}:{label}" for label in labels]
            if names[0] in rows:
                found[corpus, reading] = _of_labels(rows[names].to_numpy(float)[asked], true)
    return found


def _of_labels(said: np.ndarray, true: np.ndarray) -> np.ndarray:
    """AUC of hard labels, F1 and Hamming loss of each label: `[3, k]`; said, true: `[n, k]`, NaN where not asked."""
    there = ~np.isnan(true)
    positive, named = (true == 1), (said == 1)
    hits = (positive & named).sum(axis=0)
    positives, negatives, sayings = positive.sum(axis=0), (there & ~positive).sum(axis=0), (named & there).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        specificity = (there & ~positive & ~named).sum(axis=0) / negatives
        area = (hits / positives + specificity) / 2
        f1 = 2 * hits / (sayings + positives)
        wrong = (there & (positive != named)).sum(axis=0) / there.sum(axis=0)
    occurs = positives > 0
    return np.stack(
        [np.where(occurs & (negatives > 0), area, np.nan), *(np.where(occurs, m, np.nan) for m in (f1, wrong))]
    )


def _averaged(rows: pd.DataFrame, whole: Mapping[tuple[str, str], np.ndarray]) -> dict[str, float]:
    means: dict[str, list[float]] = {}
    for key, values in _measured(rows).items():
        if key in whole:
            values = np.where(np.isnan(values), whole[key], values)
        for measure, of in zip(MEASURES, values, strict=True):
            if not np.isnan(of).all():
                name = measure if key[1] == STRICT else f"{measure}_published"
                means.setdefault(name, []).append(float(np.nanmean(of)))
    return {name: float(np.mean(each)) for name, each in means.items()} | {"exact": float(rows["exact"].mean())}
