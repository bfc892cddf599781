"""Measures over columns of rows, fast enough for a bootstrap to call them thousands of times."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from anyecg.data.findings import FINDINGS

FINDING_KEYS = tuple(finding.key for finding in FINDINGS)


def auc(scores: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Area under the ROC curve of each column, ties counted half (Mann-Whitney).

    scores: float `[n, k]`; targets: bool `[n, k]`. Returns `[k]`, NaN where a column has no positive or no negative.
    """
    n, positives = len(targets), targets.sum(axis=0)
    pairs = positives * (n - positives)
    ranks = np.where(targets, rankdata(scores, axis=0), 0.0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(pairs > 0, (ranks - positives * (positives + 1) / 2) / pairs, np.nan)


def finding_columns(said: Sequence[Collection[str]], true: Sequence[Collection[str]]) -> pd.DataFrame:
    """`said:KEY` and `true:KEY` of every finding, bool `[n]` each, from the finding keys of n texts."""
    columns = {}
    for prefix, sets in (("said", said), ("true", true)):
        for key in FINDING_KEYS:
            columns[f"{prefix}:{key}"] = np.array([key in keys for keys in sets], dtype=bool)
    return pd.DataFrame(columns)


def finding_f1(rows: pd.DataFrame) -> float | None:
    """Macro F1 in [0, 1] over the findings that occur in the references; None if none occurs.

    A finding that is only ever said wrongly has no F1 of its own; it lowers `finding_precision`.
    """
    hits, said, true = _counts(rows)
    occurs = true > 0
    return float(np.mean(2 * hits[occurs] / (said + true)[occurs])) if occurs.any() else None


def finding_precision(rows: pd.DataFrame) -> float:
    """Share of all the findings said, over rows and findings, that are in the references (0 if none is said)."""
    hits, said, _ = _counts(rows)
    return float(hits.sum() / max(said.sum(), 1))


def unseen_findings(rows: pd.DataFrame) -> list[str]:
    """Findings that no reference of these rows has, which a macro F1 therefore leaves out."""
    return [key for key, count in zip(FINDING_KEYS, _counts(rows)[2]) if count == 0]


def _counts(rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How often each finding is said rightly, said, and true: int `[k]` each."""
    said = rows[[f"said:{key}" for key in FINDING_KEYS]].to_numpy(bool)
    true = rows[[f"true:{key}" for key in FINDING_KEYS]].to_numpy(bool)
    return (said & true).sum(axis=0), said.sum(axis=0), true.sum(axis=0)
