"""How far two judges agree on the scores of the same answers."""

from __future__ import annotations

import numpy as np
from scipy.stats import rankdata
from sklearn.metrics import cohen_kappa_score

HALF = 0.5


def correlations(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """`pearson` and `spearman` of two scores an answer `[n]`, -1 to 1; NaN marks an answer that a judge left out.

    Empty where fewer than three answers have both scores, or where a judge gives all of them the same.
    """
    one, other = _both(one, other)
    if len(one) < 3 or np.ptp(one) == 0 or np.ptp(other) == 0:
        return {}
    return {"pearson": _pearson(one, other), "spearman": _pearson(rankdata(one), rankdata(other))}


def agreement(one: np.ndarray, other: np.ndarray, highest: int = 5) -> dict[str, float]:
    """`n` answers with both scores; `correlations`; shares, 0 to 1, that are `exact` and `within_half` a point;
    `kappa`.

    kappa: Cohen's with quadratic weights, of scores rounded to whole numbers from 0 to `highest`; left out where it is
    undefined.
    """
    one, other = _both(one, other)
    if not len(one):
        return {"n": 0}
    apart = np.abs(one - other)
    found = {
        "n": len(one),
        **correlations(one, other),
        "exact": float(np.mean(apart == 0)),
        "within_half": float(np.mean(apart <= HALF)),
    }
    whole = [np.floor(scores + HALF).astype(int) for scores in (one, other)]
    if len({*whole[0], *whole[1]}) > 1:
        found["kappa"] = float(cohen_kappa_score(*whole, labels=range(highest + 1), weights="quadratic"))
    return found


def _both(one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    one, other = np.asarray(one, float), np.asarray(other, float)
    there = ~(np.isnan(one) | np.isnan(other))
    return one[there], other[there]


def _pearson(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.clip(np.corrcoef(one, other)[0, 1], -1, 1))
