"""Bootstrap by patient: how far a metric, or its difference between two models on the same questions, may be off."""

from __future__ import annotations

from collections.abc import Callable
from statistics import NormalDist

import numpy as np
import pandas as pd

from anyecg.types import DataError

ALPHA, POWER = 0.05, 0.80  # of `detectable`
FEWEST = 20  # patients of an interval; of fewer, percentiles over resampled patients are too narrow

Reduce = Callable[[pd.DataFrame], dict[str, float]]
Interval = tuple[float, float, float]  # value, low, high


def replicates(
    rows: pd.DataFrame, reduce: Reduce, *, by: str = "patient", n: int = 1000, seed: int = 0
) -> pd.DataFrame:
    """Metrics of n resamples of whole patients, drawn with replacement: float `[n, metrics]`, NaN where undefined.

    The draws depend on the ids, their patients and the seed alone, so rows of two models over the same questions are
    resampled alike. DataError with fewer than two patients, from whom no spread can be learnt.
    """
    rows = rows.sort_values(["id"], kind="stable", ignore_index=True)
    rows.columns = rows.columns.astype(object)  # names that pandas keeps as Arrow strings are slow to read n times
    members = list(rows.groupby(by, sort=True).indices.values())
    if len(members) < 2:
        raise DataError(
            f"a bootstrap by {by} needs at least two of them, got {len(members)}; evaluate more, or set bootstrap to 0"
        )
    rng = np.random.default_rng(seed)
    draws = (np.concatenate([members[i] for i in rng.integers(len(members), size=len(members))]) for _ in range(n))
    return pd.DataFrame([reduce(rows.take(draw)) for draw in draws])


def interval(
    rows: pd.DataFrame, reduce: Reduce, *, by: str = "patient", n: int = 1000, seed: int = 0, level: float = 0.95
) -> dict[str, Interval]:
    """Metric -> (value, low, high): the percentile interval of `level` over resampled patients."""
    return bounds(reduce(rows), replicates(rows, reduce, by=by, n=n, seed=seed), level)


def paired_interval(
    rows_a: pd.DataFrame,
    rows_b: pd.DataFrame,
    reduce: Reduce,
    *,
    by: str = "patient",
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> dict[str, Interval]:
    """Metric -> (a - b, low, high) over the same questions, both resampled alike; DataError if the ids differ."""
    require_same_ids(rows_a, rows_b)
    drawn_a, drawn_b = (replicates(rows, reduce, by=by, n=n, seed=seed) for rows in (rows_a, rows_b))
    return paired_bounds(reduce(rows_a), reduce(rows_b), drawn_a, drawn_b, level)


def bounds(values: dict[str, float], drawn: pd.DataFrame, level: float = 0.95) -> dict[str, Interval]:
    """Percentile bounds of `values` from `replicates`; a resample that leaves a metric undefined is passed over."""
    tail = (1 - level) / 2
    kept = [metric for metric in values if metric in drawn and drawn[metric].notna().any()]
    ends = {metric: np.nanquantile(drawn[metric].to_numpy(), [tail, 1 - tail]) for metric in kept}
    return {metric: (float(values[metric]), float(low), float(high)) for metric, (low, high) in ends.items()}


def paired_bounds(
    values_a: dict[str, float],
    values_b: dict[str, float],
    drawn_a: pd.DataFrame,
    drawn_b: pd.DataFrame,
    level: float = 0.95,
) -> dict[str, Interval]:
    """`bounds` of the difference a - b, over the metrics that both have."""
    difference = {metric: values_a[metric] - values_b[metric] for metric in values_a if metric in values_b}
    return bounds(difference, drawn_a.sub(drawn_b), level)


def detectable(drawn_a: pd.DataFrame, drawn_b: pd.DataFrame) -> dict[str, float]:
    """Metric -> the smallest true difference a - b that a test set like this one shows, two-sided at `ALPHA`, with the
    power `POWER`: (z of 1 - alpha / 2 + z of power) standard errors of the paired bootstrap difference.

    A smaller difference is mostly called undecided, whether it is there or not.
    """
    spread = drawn_a.sub(drawn_b).std(ddof=1).dropna()
    return {str(metric): smallest(float(error)) for metric, error in spread.items()}


def smallest(error: float) -> float:
    """The smallest difference that is detected with power `POWER` where its standard error is `error`."""
    normal = NormalDist()
    return (normal.inv_cdf(1 - ALPHA / 2) + normal.inv_cdf(POWER)) * error


def require_same_ids(
    rows_a: pd.DataFrame, rows_b: pd.DataFrame, names: tuple[str, str] = ("the first", "the second")
) -> None:
    """DataError naming some ids unless both have the same ids, each once, of the same patients and, where rows tell,
    the same questions.
    """
    for rows, name in zip((rows_a, rows_b), names):
        if rows["id"].duplicated().any():
            raise DataError(f"{name} has question {rows['id'][rows['id'].duplicated()].iloc[0]} twice")
    a, b = (dict(zip(rows["id"], rows["patient"])) for rows in (rows_a, rows_b))
    for ids, name in ((sorted(a.keys() - b.keys()), names[0]), (sorted(b.keys() - a.keys()), names[1])):
        if ids:
            raise DataError(
                f"these were not asked the same questions: only {name} has {len(ids)} ids such as {', '.join(ids[:5])}"
            )
    moved = [id for id in a if a[id] != b[id]]
    if moved:
        raise DataError(
            f"question {moved[0]} belongs to patient {a[moved[0]]} in {names[0]} and to {b[moved[0]]} in {names[1]}"
        )
    if "question" in rows_a and "question" in rows_b:  # its fingerprint
        a, b = (dict(zip(rows["id"], rows["question"])) for rows in (rows_a, rows_b))
        other = sorted(id for id in a if a[id] != b[id])
        if other:
            raise DataError(
                f"{names[0]} and {names[1]} were not asked the same questions: {len(other)} ids such as "
                f"{', '.join(other[:5])} stand for "
                "other ECGs, windows, words or true answers"
            )
