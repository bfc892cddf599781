"""Localization: at which seconds of an ECG is an abnormality (the paper's Figure 2)?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anyecg.config.schema import to_dict
from anyecg.data.corpora.base import Corpus
from anyecg.data.store.store import Stores
from anyecg.tasks.base import Sources, Task, Words
from anyecg.tasks.localization.build import (
    LONG,
    POOLS,
    SHORT,
    LocalizationConfig,
    localization_questions,
    unknown_sizes,
)
from anyecg.tasks.localization.intervals import iou, overlap, union
from anyecg.tasks.localization.parser import read_intervals
from anyecg.tasks.localization.shift import followed, shifted
from anyecg.tasks.phrasings import LOCALIZATION
from anyecg.types import ECGSample

PLANNED = 11  # lengths that stand for all between the shortest and the longest in a plan


class Localization(Task):
    """Where an abnormality is: intersection over union of the intervals said and the intervals true.

    The paper's mean IoU (Figure 2) depends on how many questions have nothing to find: a model that always answers
    "No X Found" scores their share, which a real corpus sets anew for each abnormality and a bootstrap for each
    resample. The headline is therefore `iou_balanced`, where such a model scores 0.5 whatever the share; it equals
    `iou_macro` where each abnormality has as many positive questions as negative ones, as they are built here.
    """

    Config = LocalizationConfig
    name = "localization"
    pools = POOLS
    version = 7
    title = "Localization"
    rule = (
        "a labelled beat spans from the annotation before it to the one after it, clipped to the window, neighbours "
        "merged, one decimal; `No <name> Found` "
        "where there is none. Short windows have one length, long ones any in a range. Positives and negatives of a "
        "class are paired within each split."
    )
    needs = (
        "it asks of corpora with annotated beats: add corpora.mit_bih_arrhythmia, corpora.mit_bih_st or "
        "corpora.european_st_t"
    )
    words = {SHORT: Words(19, 12, 98), LONG: Words(19, 17, 358)}
    primary = "iou_balanced"
    metrics = {
        "iou_balanced": "mean over abnormalities of the mean of positive and negative IoU, 0 to 1; always "
        '"No X Found" gets 0.5',
        "iou_macro": "mean over abnormalities of their mean IoU, 0 to 1 (Figure 2)",
        "iou_micro": "mean IoU over questions, 0 to 1",
        "iou_positive": 'mean IoU of questions whose abnormality is there, 0 to 1; always "No X Found" gets 0',
        "iou_negative": 'mean IoU of questions whose abnormality is not there: the share answered "No X Found", 0 to 1',
        "sensitivity": "share of positive questions answered with an interval that overlaps a true one, 0 to 1",
        "specificity": 'share of negative questions answered "No X Found", 0 to 1',
        "unparsed": "share of answers that the parser could not read, 0 to 1; they score 0 everywhere",
        "onset_error": "mean |onset said - onset true| of intervals that overlap one to one, s",
        "offset_error": "mean |offset said - offset true| of intervals that overlap one to one, s",
    }
    groups = {"subset": "subset", "abnormality": "name", "subset and abnormality": "subset_name"}
    shown = (
        "iou_macro",
        "iou_micro",
        "iou_positive",
        "iou_negative",
        "sensitivity",
        "specificity",
        "onset_error",
        "offset_error",
        "unparsed",
    )
    single_lead = True
    kinds = ("name",)

    @classmethod
    def makes(cls, cfg: LocalizationConfig) -> tuple[str, ...]:
        return tuple(cfg.pools)

    @classmethod
    def fed(cls, corpora: Iterable[type[Corpus]]) -> bool:
        return any(
            kind.recorded is not Corpus.recorded or kind.annotations is not Corpus.annotations for kind in corpora
        )

    def check(self, corpora: Iterable[str]) -> list[tuple[str, str]]:
        return unknown_sizes(self.cfg, corpora)

    def settings(self, sources: Sources) -> dict[str, Any]:
        ordered = {key: dict(sorted(getattr(self.cfg, key).items())) for key in ("sizes", "windows")}
        return to_dict(self.cfg) | ordered

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        return localization_questions(sources.stores, self.cfg, sources.seed, sources.dropped)

    def answer_kind(self, sample: ECGSample) -> str:
        return "positive" if sample.meta["intervals"] else "negative"

    def lengths(self, pool: str) -> Sequence[Sequence[float]]:
        seconds = [self.cfg.short_seconds] if pool == SHORT else np.linspace(*self.cfg.long_seconds, PLANNED)
        return [[float(one)] for one in seconds]

    def drawn(
        self, samples: Sequence[ECGSample], texts: Mapping[str, str], stores: Stores, seed: int
    ) -> list[dict[str, Any]]:
        from anyecg.tasks.localization.figures import examples  # matplotlib: for who draws

        return examples(samples, self, texts, stores, seed)

    @classmethod
    def figures(
        cls, summary: Mapping[str, Any], drawn: Sequence[Mapping[str, Any]]
    ) -> dict[str, Callable[[Path], list[Path]]]:
        from anyecg.tasks.localization.figures import iou_bars, localization_example

        return {"iou": partial(iou_bars, summary)} | {
            f"localization_{n}": partial(localization_example, one) for n, one in enumerate(drawn, start=1)
        }

    def parse(self, text: str, sample: ECGSample) -> np.ndarray | None:
        """Disjoint intervals `[k, 2]` in seconds, sorted; k = 0 for "No X Found"; None if unreadable
        (`read_intervals`).
        """
        return read_intervals(text, str(sample.meta["name"]), float(sample.meta["seconds"]))

    def agrees(self, sample: ECGSample) -> bool:
        said, window, seconds = self.parse(sample.answer, sample), sample.records[0], sample.meta["seconds"]
        whole = window.end is None or round(window.end - window.start, 2) == round(seconds, 2)
        return (
            whole
            and said is not None
            and np.array_equal(said, np.asarray(sample.meta["intervals"], float).reshape(-1, 2))
        )

    def secrets(self, sample: ECGSample) -> Sequence[str]:
        return [f"{begin:.1f}s-{end:.1f}s" for begin, end in sample.meta["intervals"]] or [sample.answer]

    def wordings(self, sample: ECGSample) -> Sequence[str]:
        return [text.format(name=sample.meta["name"]) for text in LOCALIZATION]

    def shifted(self, samples: Sequence[ECGSample], seconds: float, stores: Stores) -> Mapping[str, ECGSample]:
        return shifted(samples, seconds, stores)

    def followed(self, sample: ECGSample, text: str, shifted: ECGSample, shifted_text: str) -> tuple[float, float]:
        said, then = self.parse(text, sample), self.parse(shifted_text, shifted)
        starts = sample.records[0].start, shifted.records[0].start
        return followed(said, then, starts, float(sample.meta["seconds"]))

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[np.ndarray | None]) -> pd.DataFrame:
        return pd.DataFrame([_measure(sample, answer) for sample, answer in zip(samples, answers)])

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        values, positive = rows["iou"].to_numpy(), rows["positive"].to_numpy(bool)
        codes, names = pd.factorize(rows["name"])
        overall = _means(values, codes, len(names))
        sides = [_means(values[side], codes[side], len(names)) for side in (positive, ~positive)]
        detected = rows["detected"].to_numpy(bool)
        pairs = rows["pairs"].to_numpy().sum()
        both = np.mean(sides, axis=0)  # NaN for an abnormality without positives or without negatives
        found = {} if np.isnan(both).all() else {"iou_balanced": np.nanmean(both)}
        found |= {
            "iou_macro": overall.mean(),
            "iou_micro": values.mean(),
            "unparsed": 1 - rows["parsed"].to_numpy(bool).mean(),
        }
        for side, iou, rate in ((positive, "iou_positive", "sensitivity"), (~positive, "iou_negative", "specificity")):  # noqa: F402
            if side.any():
                found |= {iou: values[side].mean(), rate: detected[side].mean()}
        if pairs:
            found |= {f"{edge}_error": rows[f"{edge}_error"].to_numpy().sum() / pairs for edge in ("onset", "offset")}
        return {name: float(value) for name, value in found.items()}

    def notes(self, rows: pd.DataFrame) -> list[str]:
        notes = []
        for side, word in ((rows["positive"], "positive"), (~rows["positive"], "negative")):
            lacking = sorted(set(rows["name"]) - set(rows.loc[side, "name"]))
            if lacking:
                notes.append(f"iou_balanced leaves out what has no {word} question: {', '.join(lacking)}")
        if not rows["pairs"].sum():
            notes.append("no interval said overlaps a true one one to one: onset_error and offset_error are left out")
        return notes


def _measure(sample: ECGSample, said: np.ndarray | None) -> dict:
    true = union(sample.meta["intervals"], float(sample.meta["seconds"]))
    name = str(sample.meta["name"])
    row = {
        "name": name,
        "subset_name": f"{sample.subset}: {name}",
        "positive": len(true) > 0,
        "iou": 0.0,
        "detected": False,
        "pairs": 0,
        "onset_error": 0.0,
        "offset_error": 0.0,
    }
    if said is None:
        return row
    touching = overlap(said, true) > 0
    alone = touching & (touching.sum(axis=0, keepdims=True) == 1) & (touching.sum(axis=1, keepdims=True) == 1)
    i, j = np.nonzero(alone)
    onset, offset = np.abs(said[i] - true[j]).sum(axis=0)
    return row | {"iou": iou(said, true), "detected": bool(touching.any()) if len(true) else not len(said),
                  "pairs": len(i), "onset_error": onset, "offset_error": offset}  # fmt: skip


def _means(values: np.ndarray, codes: np.ndarray, k: int) -> np.ndarray:
    """Mean of `values` in each of k groups, NaN where a group is empty."""
    counts = np.bincount(codes, minlength=k)
    return np.where(counts > 0, np.bincount(codes, values, minlength=k) / np.maximum(counts, 1), np.nan)
