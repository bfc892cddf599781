"""Classification by report: which label names is the generated report closest to (the paper's Table 4)?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd

from anyecg.data.findings import find
from anyecg.tasks.base import Task
from anyecg.tasks.measures import auc, finding_columns, finding_metrics, finding_notes, matrix
from anyecg.tasks.report import phrases
from anyecg.types import ConfigError, DataError, ECGSample


class Classification(Task):
    """Labels read from a generated report: macro-AUC of its phrases' similarity to each label's name.

    A label's score is the largest cosine between its name and a phrase of the report, in the text encoder's space.
    Cosine takes "no atrial fibrillation" for a match; `finding_f1` beside it does not.

    info["labels"]: corpus -> label set (super, sub, form, rhythm, ...) -> names, the columns of Table 4. A sample's
    subset is its corpus, its meta["labels"]: label set -> the names that hold. A sample with no label of a set is no
    part of that set, as in the published splits of PTB-XL (Strodthoff et al. 2021).
    """

    name = "classification"
    primary = "auc"
    metrics = {
        "auc": "mean of the label sets' macro-AUC, 0 to 1; 0.5 is chance (Table 8)",
        "auc_CORPUS_SET": "macro-AUC of one label set over its labels with positives and negatives, 0 to 1 (Table 4)",
        "finding_f1": "macro F1, 0 to 1, of the findings asserted, over the findings that references assert",
        "finding_precision": "share of the findings said that the references assert, 0 to 1",
    }

    def parse(self, text: str, sample: ECGSample) -> list[str] | None:
        """The report's phrases; None if it has none."""
        return phrases(text) or None

    def agrees(self, sample: ECGSample) -> bool:
        known, held = self.info["labels"][sample.subset], sample.meta["labels"]
        said = self.parse(sample.answer, sample) is not None or not any(sample.evidence)  # labels may come without a report
        return said and any(held.values()) and all(set(names) <= set(known[group]) for group, names in held.items())

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[list[str] | None]) -> pd.DataFrame:
        """`score:GROUP:LABEL` (cosine, 0 for an empty report), `label:GROUP:LABEL` (1, 0, NaN outside the set), findings.

        A group is a corpus and one of its label sets, "ptbxl_super". Raises DataError for a label unknown to its set.
        """
        universe = self._universe(samples)
        names = sorted({name for labels in universe.values() for name in labels})
        similarity = dict(zip(names, self._similarity(answers, names).T))
        columns = {}
        for group, labels in universe.items():
            held = [_held(sample).get(group, frozenset()) for sample in samples]
            inside = np.array([bool(names) for names in held])
            for label in labels:
                columns[f"score:{group}:{label}"] = similarity[label]
                columns[f"label:{group}:{label}"] = np.where(inside, [float(label in names) for names in held], np.nan)
        said = [find(". ".join(answer or ())) for answer in answers]
        return pd.concat([pd.DataFrame(columns), finding_columns(said, [reference_findings(s) for s in samples])], axis=1)

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        values = {group: np.nanmean(areas) for group, areas in _areas(rows).items() if not np.isnan(areas).all()}
        found = {f"auc_{group}": float(value) for group, value in values.items()}
        if values:
            found["auc"] = float(np.mean(list(values.values())))
        return found | finding_metrics(rows)

    def notes(self, rows: pd.DataFrame) -> list[str]:
        notes = []
        for group, areas in _areas(rows).items():
            labels = _groups(tuple(rows.columns))[group]
            left_out = [label for label, area in zip(labels, areas) if np.isnan(area)]
            if left_out:
                notes.append(f"auc_{group} leaves out labels without positives or without negatives: {', '.join(left_out)}")
        return notes + finding_notes(rows)

    def _universe(self, samples: Sequence[ECGSample]) -> Mapping[str, Sequence[str]]:
        corpora = self.info.get("labels")
        if not corpora:
            raise DataError("classification needs the label names of each set, info={'labels': {corpus: {set: [names]}}}")
        universe = {f"{corpus}_{group}": names for corpus, groups in corpora.items() for group, names in groups.items()}
        for sample in samples:
            for group, names in _held(sample).items():
                unknown = sorted(names - set(universe.get(group, ())))
                if unknown:
                    raise DataError(f"question {sample.id}: labels unknown to the set '{group}': {', '.join(unknown)}")
        return universe

    def _similarity(self, answers: Sequence[list[str] | None], names: list[str]) -> np.ndarray:
        """Largest cosine of each answer's phrases to each name: float64 `[n, len(names)]`, 0 without a phrase."""
        if self.text_encoder is None:
            raise ConfigError("classification compares texts: give a text_encoder")
        unique = sorted({phrase for answer in answers for phrase in answer or ()})
        similarity = np.zeros((len(answers), len(names)))
        if unique:
            embedded = self.text_encoder.encode(unique + names).double().cpu().numpy()  # [u + k, d], unit length
            cosine = embedded[: len(unique)] @ embedded[len(unique):].T  # [u, k]
            place = {phrase: i for i, phrase in enumerate(unique)}
            for row, answer in zip(similarity, answers):
                if answer:
                    row[:] = cosine[[place[phrase] for phrase in answer]].max(axis=0)
        return similarity


def _held(sample: ECGSample) -> dict[str, frozenset[str]]:
    """"CORPUS_SET" -> the names that hold for the sample."""
    return {f"{sample.subset}_{group}": frozenset(names) for group, names in sample.meta["labels"].items()}


def reference_findings(sample: ECGSample) -> frozenset[str]:
    """Findings of the reference report; of the names of the sample's labels where there is no report."""
    labels = sample.meta["labels"].values()
    return find(sample.answer or ". ".join(name for names in labels for name in names))


@lru_cache(maxsize=64)
def _groups(columns: tuple[str, ...]) -> dict[str, list[str]]:
    """Group -> its labels, in the order of the columns."""
    groups: dict[str, list[str]] = {}
    for column in columns:
        kind, _, rest = column.partition(":")
        if kind == "label":
            group, _, label = rest.partition(":")
            groups.setdefault(group, []).append(label)
    return groups


def _areas(rows: pd.DataFrame) -> dict[str, np.ndarray]:
    """Group -> AUC of each of its labels over the rows inside the set, NaN where undefined."""
    areas = {}
    for group in _groups(tuple(rows.columns)):
        scores, targets = matrix(rows, f"score:{group}:"), matrix(rows, f"label:{group}:")  # [n, k]
        inside = ~np.isnan(targets[:, 0])
        areas[group] = auc(scores[inside], targets[inside] == 1)
    return areas
