"""Measures over columns of rows, fast enough for a bootstrap to call them thousands of times."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from anyecg.findings import FINDINGS

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


def matrix(rows: pd.DataFrame, prefix: str) -> np.ndarray:
    """The columns whose names begin with `prefix`, in their order: `[n, k]`."""
    return rows.take(_places(tuple(rows.columns), prefix), axis=1).to_numpy()


@lru_cache(maxsize=256)
def _places(columns: tuple[str, ...], prefix: str) -> list[int]:
    return [place for place, name in enumerate(columns) if name.startswith(prefix)]


def finding_columns(said: Sequence[Collection[str]], true: Sequence[Collection[str]]) -> pd.DataFrame:
    """`said:KEY` and `true:KEY` of every finding, bool `[n]` each, from the finding keys of n texts."""
    columns = {}
    for prefix, sets in (("said", said), ("true", true)):
        for key in FINDING_KEYS:
            columns[f"{prefix}:{key}"] = np.array([key in keys for keys in sets], dtype=bool)
    return pd.DataFrame(columns)


def finding_metrics(rows: pd.DataFrame) -> dict[str, float]:
    """`finding_f1` and `finding_precision` of the `finding_columns` of rows, 0 to 1.

    finding_f1: macro F1 over the findings that occur in the references, left out if none does. A finding that is only
    ever said wrongly has no F1 of its own; it lowers finding_precision, the share of all findings said that are true
    (0 if none is said).
    """
    said, true = matrix(rows, "said:"), matrix(rows, "true:")
    hits, said, true = (said & true).sum(axis=0), said.sum(axis=0), true.sum(axis=0)
    occurs = true > 0
    f1 = {"finding_f1": float(np.mean(2 * hits[occurs] / (said + true)[occurs]))} if occurs.any() else {}
    return f1 | {"finding_precision": float(hits.sum() / max(said.sum(), 1))}


def finding_notes(rows: pd.DataFrame) -> list[str]:
    """Which findings `finding_f1` leaves out, because no reference of these rows has them."""
    unseen = [key for key, occurs in zip(FINDING_KEYS, matrix(rows, "true:").any(axis=0)) if not occurs]
    return [f"finding_f1 leaves out what no reference asserts: {', '.join(unseen)}"] if unseen else []


def judge_notes(rows: pd.DataFrame) -> list[str]:
    """Why answers have no score of the LLM judge, of rows that were judged."""
    if "unjudged" not in rows or not (reasons := Counter(reason for reason in rows["unjudged"] if reason)):
        return []
    told = "; ".join(
        f"{reason} ({count})" for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    )
    return [f"{reasons.total()} of {len(rows)} answers without a score of the LLM judge: {told}"]
