"""Classification by report: which label names is the generated report closest to (the paper's Table 4)?"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd

from anyecg.findings import find
from anyecg.tasks.base import Sources, Task, counts
from anyecg.tasks.classification.build import classification_questions, label_statements, label_universe
from anyecg.tasks.classification.labels import LabelReader
from anyecg.tasks.metrics import auc, finding_columns, finding_metrics, finding_notes, matrix
from anyecg.tasks.phrasings import REPORT
from anyecg.tasks.report.parser import phrases
from anyecg.types import ConfigError, DataError, ECGSample

OWN = "own_scores"  # column: 1 where labels are ranked by the answerer's scores


class Classification(Task):
    """Labels read from a generated report: macro-AUC of its phrases' similarity to each label's name.

    A label's score is the largest cosine between its name and a phrase of the report, in the text encoder's space.
    Cosine takes "no atrial fibrillation" for a match; the F1s beside it, of labels and of findings that a
    negation-aware reader finds asserted, do not.

    info["labels"]: corpus -> label set (super, sub, form, rhythm, ...) -> names, the columns of Table 4. A sample's
    subset is its corpus, its meta["labels"]: label set -> the names that hold. A sample with no label of a set is no
    part of that set, as in the published splits of PTB-XL (Strodthoff et al. 2021).
    """

    name = "classification"
    pools = ("classification",)
    version = 7
    title = "Classification"
    rule = "the test records of the corpora with label sets; evaluation only."
    needs = (
        "it asks of the test records of corpora with labels: add corpora.ptbxl, evaluation.corpora.cpsc2018 or "
        "evaluation.corpora.csn"
    )
    primary = "auc"
    metrics = {
        "auc(CORPUS,...)": "mean of the macro-AUC of all label sets of these corpora, 0 to 1; 0.5 is chance (Table 8 "
        "is over Table 4's six sets)",
        "f1(CORPUS,...)": "mean of the macro-F1 of all label sets of these corpora, labels asserted, 0 to 1; a denial "
        "is no match",
        "auc(CORPUS.SET)": "macro-AUC of one label set over its labels with positives and negatives, 0 to 1 (Table 4)",
        "f1(CORPUS.SET)": "macro-F1 of one label set's labels asserted, over its labels with positives, 0 to 1",
        "finding_f1": "macro F1, 0 to 1, of the findings asserted, over the findings that references assert",
        "finding_precision": "share of the findings said that the references assert, 0 to 1",
    }

    shown = ("auc", "f1", "positives")
    taught_by = "report"

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        return classification_questions(sources.stores, sources.dropped)

    def shared(self, sources: Sources) -> dict[str, Any]:
        return {"labels": label_universe(sources.stores), "label_statements": label_statements(sources.stores)}

    def parse(self, text: str, sample: ECGSample) -> list[str] | None:
        """The report's phrases; None if it has none."""
        return phrases(text) or None

    def agrees(self, sample: ECGSample) -> bool:
        known, held = self.info["labels"][sample.subset], sample.meta["labels"]
        # labels may come without a report
        said = self.parse(sample.answer, sample) is not None or not any(sample.evidence)
        return said and any(held.values()) and all(set(names) <= set(known[group]) for group, names in held.items())

    def secrets(self, sample: ECGSample) -> Sequence[str]:
        return [*phrases(sample.answer), *(name for names in sample.meta["labels"].values() for name in names)]

    def wordings(self, sample: ECGSample) -> Sequence[str]:
        return REPORT

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[list[str] | None]) -> pd.DataFrame:
        """`score:GROUP:LABEL` (cosine, 0 for an empty report), `label:GROUP:LABEL` (1, 0, NaN outside the set),
        `asserted:GROUP:LABEL` (what the report says of itself), findings.

        A group is a corpus and one of its label sets, "ptbxl.super". Raises DataError for a label unknown to its set.
        """
        universe = self._universe(samples)
        names = sorted({name for labels in universe.values() for name in labels})
        similarity = dict(zip(names, self._similarity(answers, names).T))
        asserted = self._asserted(samples, answers)
        columns = {}
        for group, labels in universe.items():
            held = [_held(sample).get(group, frozenset()) for sample in samples]
            inside = np.array([bool(names) for names in held])
            for label in labels:
                columns[f"score:{group}:{label}"] = similarity[label]
                columns[f"asserted:{group}:{label}"] = np.array(
                    [(group, label) in labels for labels in asserted], dtype=bool
                )
                columns[f"label:{group}:{label}"] = np.where(inside, [float(label in names) for names in held], np.nan)
        said = [find(". ".join(answer or ())) for answer in answers]
        return pd.concat(
            [pd.DataFrame(columns), finding_columns(said, [reference_findings(s) for s in samples])], axis=1
        )

    def ranked_by(self, rows: pd.DataFrame, scores: Sequence[Mapping[str, float] | None]) -> pd.DataFrame:
        """Labels ranked by "CORPUS.SET:LABEL" -> score in place of cosines; a label without a score is left out."""
        columns = [str(name) for name in rows if str(name).startswith("score:")]
        given: dict[str, list[float]] = {
            name: [math.nan if one is None else one.get(name.removeprefix("score:"), math.nan) for one in scores]
            for name in columns
        }
        return rows.assign(**given).assign(**{OWN: 1.0})

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        return self._averaged(rows, {})

    def reducer(self, rows: pd.DataFrame) -> Callable[[pd.DataFrame], dict[str, float]]:
        """Resamples are averaged over the labels that these rows define; where a resample leaves one of them without a
        positive or without a negative, its value over these rows stands in, so that no resample is a mean over other
        labels."""
        return partial(self._averaged, whole=_measured(rows))

    def _averaged(
        self, rows: pd.DataFrame, whole: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray, int]]
    ) -> dict[str, float]:
        """Metrics of rows; whole: the `_measured` rows that they were drawn from, if they were."""
        found, measured = {}, _measured(rows)
        for name, measure in (("auc", 0), ("f1", 1)):
            values = {group: one[measure] for group, one in measured.items()}
            if whole:
                values = {group: np.where(np.isnan(of), whole[group][measure], of) for group, of in values.items()}
            macro = {group: float(np.nanmean(of)) for group, of in values.items() if not np.isnan(of).all()}
            found |= {f"{name}({group})": value for group, value in macro.items()}
            if macro:
                found[_mean_of(name, measured)] = float(np.mean(list(macro.values())))
        return found | finding_metrics(rows)

    def headline(self, rows: pd.DataFrame) -> str:
        """ "auc(ptbxl)": of the corpora whose label sets it is a mean of; "auc(csn.csn)" where it is of one set."""
        return _mean_of(self.primary, _groups(tuple(rows.columns)))

    def meaning(self, metric: str) -> str:
        name, _, groups = metric.rstrip(")").partition("(")
        if not groups:
            return super().meaning(metric)
        if "." in groups:
            corpus, _, group = groups.partition(".")
            return f"macro-{name.upper()} of the label set {group} of {corpus}, 0 to 1" + (
                "; 0.5 is chance" if name == "auc" else ", of labels asserted"
            )
        return f"mean of the macro-{name.upper()} of all label sets of {groups.replace(',', ', ')}, 0 to 1" + (
            "; 0.5 is chance" if name == "auc" else ""
        )

    def blocks(self, rows: pd.DataFrame) -> dict[str, dict[str, dict[str, float]]]:
        """ "labels of GROUP" -> label -> its AUC and F1 where they are defined, its positives, and the `counts` of
        the set's questions.
        """
        blocks = {}
        for group, (areas, scores, positives, n) in _measured(rows).items():
            if n:
                labels = _groups(tuple(rows.columns))[group]
                asked = counts(rows[["patient", "parsed"]][rows[f"label:{group}:{labels[0]}"].notna()])
                blocks[f"labels of {group}"] = {
                    label: {name: float(value) for name, value in (("auc", area), ("f1", f1)) if not np.isnan(value)}
                    | {"positives": int(held), **asked}
                    for label, area, f1, held in zip(labels, areas, scores, positives)
                }
        return blocks

    def notes(self, rows: pd.DataFrame) -> list[str]:
        own = OWN in rows and rows[OWN].eq(1).any()
        notes = ["labels are ranked by the answerer's own scores, not by likeness of texts"] if own else []
        for group, (areas, *_) in _measured(rows).items():
            labels = _groups(tuple(rows.columns))[group]
            left_out = [label for label, area in zip(labels, areas) if np.isnan(area)]
            if left_out:
                notes.append(
                    f"auc({group}) leaves out labels without positives, negatives or scores: {', '.join(left_out)}"
                )
        return notes + finding_notes(rows)

    def _universe(self, samples: Sequence[ECGSample]) -> Mapping[str, Sequence[str]]:
        corpora = self.info.get("labels")
        if not corpora:
            raise DataError(
                "classification needs the label names of each set, info={'labels': {corpus: {set: [names]}}}"
            )
        universe = {f"{corpus}.{group}": names for corpus, groups in corpora.items() for group, names in groups.items()}
        for sample in samples:
            for group, names in _held(sample).items():
                unknown = sorted(names - set(universe.get(group, ())))
                if unknown:
                    raise DataError(f"question {sample.id}: labels unknown to the set '{group}': {', '.join(unknown)}")
        return universe

    def _asserted(
        self, samples: Sequence[ECGSample], answers: Sequence[list[str] | None]
    ) -> list[frozenset[tuple[str, str]]]:
        """("CORPUS.SET", label) of each label that an answer asserts, of its sample's corpus."""
        readers = {
            corpus: LabelReader(groups, self.info.get("label_statements", {}).get(corpus))
            for corpus, groups in self.info["labels"].items()
        }
        return [
            frozenset(
                (f"{sample.subset}.{group}", name) for group, name in readers[sample.subset](". ".join(answer or ()))
            )
            for sample, answer in zip(samples, answers)
        ]

    def _similarity(self, answers: Sequence[list[str] | None], names: list[str]) -> np.ndarray:
        """Largest cosine of each answer's phrases to each name: float64 `[n, len(names)]`, 0 without a phrase."""
        if self.text_encoder is None:
            raise ConfigError("classification compares texts: give a text_encoder")
        unique = sorted({phrase for answer in answers for phrase in answer or ()})
        similarity = np.zeros((len(answers), len(names)))
        if unique:
            embedded = self.text_encoder.encode(unique + names).double().cpu().numpy()  # [u + k, d], unit length
            cosine = embedded[: len(unique)] @ embedded[len(unique) :].T  # [u, k]
            place = {phrase: i for i, phrase in enumerate(unique)}
            for row, answer in zip(similarity, answers):
                if answer:
                    row[:] = cosine[[place[phrase] for phrase in answer]].max(axis=0)
        return similarity


def _held(sample: ECGSample) -> dict[str, frozenset[str]]:
    """ "CORPUS.SET" -> the names that hold for the sample."""
    return {f"{sample.subset}.{group}": frozenset(names) for group, names in sample.meta["labels"].items()}


def reference_findings(sample: ECGSample) -> frozenset[str]:
    """Findings of the reference report; of the names of the sample's labels where there is no report."""
    labels = sample.meta["labels"].values()
    return find(sample.answer or ". ".join(name for names in labels for name in names))


def _mean_of(name: str, groups: Collection[str]) -> str:
    """The name of a mean over label sets: by its only set, or by the corpora of all of them, whose keys have no
    comma.
    """
    groups = [*groups]
    return (
        f"{name}({groups[0] if len(groups) == 1 else ','.join(sorted({group.partition('.')[0] for group in groups}))})"
    )


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


def _measured(rows: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, int]]:
    """Group -> AUC, F1 as asserted (NaN where undefined) and positives of each of its labels, and how many rows are
    inside the set.
    """
    measured = {}
    for group in _groups(tuple(rows.columns)):
        scores, said, targets = (matrix(rows, f"{kind}:{group}:") for kind in ("score", "asserted", "label"))  # [n, k]
        inside = ~np.isnan(targets[:, 0])
        scores, said, true = scores[inside], said[inside].astype(bool), targets[inside] == 1
        positives = true.sum(axis=0)
        f1 = np.where(
            positives > 0, 2 * (said & true).sum(axis=0) / np.maximum(said.sum(axis=0) + positives, 1), np.nan
        )
        area = np.full(len(positives), np.nan)
        ranked = ~np.isnan(scores).any(axis=0)  # a label without scores has no area
        area[ranked] = auc(scores[:, ranked], true[:, ranked])
        measured[group] = area, f1, positives, len(true)
    return measured
