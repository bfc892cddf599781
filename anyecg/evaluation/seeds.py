"""A metric over several seeds: its mean, and an interval that takes the seeds and the patients into account."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from anyecg.evaluation.bootstrap import FEWEST, Reduce, bounds, smallest

METHOD = (
    "With one seed, 95 % intervals are percentiles over resampled patients. With S seeds a value is the mean over "
    "seeds, and each resample draws patients "
    "with replacement, the same for all seeds (the test patients are shared), and S − 1 seeds with replacement, whose "
    "variance is the mean's own; "
    "differences are paired by seed, patient and question."
)


@dataclass(frozen=True)
class Pooled:
    """A metric by seed, and resamples `[n]` of its mean over seeds, NaN where undefined."""

    values: Mapping[int, float]
    drawn: np.ndarray
    patients: int = FEWEST  # of the seed with the fewest

    @property
    def value(self) -> float:
        """The mean over seeds."""
        return float(np.mean(list(self.values.values())))

    def __sub__(self, other: Pooled) -> Pooled:
        """The paired difference to another that was pooled over the same seeds, patients and questions."""
        return Pooled(
            {seed: value - other.values[seed] for seed, value in self.values.items()},
            self.drawn - other.drawn,
            min(self.patients, other.patients),
        )

    def detectable(self) -> float | None:
        """The smallest value that a paired difference must have to be shown (`bootstrap.smallest`); None without an
        interval.
        """
        found = self.drawn[~np.isnan(self.drawn)]
        return smallest(float(found.std(ddof=1))) if self.patients >= FEWEST and len(found) > 1 else None

    def ends(self, level: float = 0.95) -> tuple[float, float] | None:
        """The percentile interval of `level`; None where no resample defines the metric, and over fewer than
        `FEWEST` patients.
        """
        if self.patients < FEWEST:
            return None
        found = bounds({"": self.value}, pd.DataFrame({"": self.drawn}), level)
        return found[""][1:] if found else None


def pool(
    rows: Mapping[int, pd.DataFrame],
    reducer: Callable[[pd.DataFrame], Reduce],
    metric: str,
    *,
    n: int = 1000,
    seed: int = 0,
) -> Pooled | None:
    """Pool a metric over seeds, by the crossed bootstrap that `METHOD` says; None if the rows of a seed leave it
    undefined.

    rows: seed -> rows of `Task.score`; reducer: rows -> what reduces them and their resamples (`Task.reducer`). The
    draws depend on the ids, their patients, how many seeds there are and `seed`, so two models over the same questions
    are resampled alike; with one seed they are those of `bootstrap.replicates`.
    n: resamples, 0 for none; of fewer than `FEWEST` patients there are none.
    """
    rows = {number: part.sort_values("id", kind="stable", ignore_index=True) for number, part in sorted(rows.items())}
    for part in rows.values():
        # as in bootstrap.replicates: Arrow's strings are slow to read n times
        part.columns = part.columns.astype(object)
    members = {number: part.groupby("patient").indices for number, part in rows.items()}
    patients = sorted({patient for found in members.values() for patient in found})
    fewest = min(len(found) for found in members.values())
    if fewest < FEWEST:
        n = 0  # no interval is taken from them
    reducers = {number: reducer(part) for number, part in rows.items()}
    values = {number: reducers[number](part).get(metric) for number, part in rows.items()}
    if None in values.values():
        return None
    rng, drawn = np.random.default_rng(seed), np.full((n, len(rows)), np.nan)
    for resample in drawn:
        chosen = [patients[i] for i in rng.integers(len(patients), size=len(patients))]
        for place, (number, part) in enumerate(rows.items()):
            places = [members[number][patient] for patient in chosen if patient in members[number]]
            resample[place] = (
                reducers[number](part.take(np.concatenate(places))).get(metric, np.nan) if places else np.nan
            )
    seeds = np.random.default_rng([seed, len(rows)]).integers(len(rows), size=(n, max(len(rows) - 1, 1)))
    return Pooled(values, np.take_along_axis(drawn, seeds, axis=1).mean(axis=1), fewest)
