"""Measure: what the heart rate, an interval, an axis or an amplitude of an ECG is, within a tolerance."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd

from anyecg.data.corpora.base import Corpus
from anyecg.tasks.base import Sources, Task, Words
from anyecg.tasks.measure.build import POOL, MeasureConfig, measure_questions
from anyecg.tasks.measure.parser import Measured, read_measurement
from anyecg.types import ECGSample


class Measure(Task):
    """A number with its unit, or that it cannot be measured, against what was measured on the same recording.

    Truth is whatever a corpus has: a machine's measurements, a cardiologist's delineation, the simulator's own. An
    encoder that scales each lead by itself (`lead`, the paper's) sees no amplitude and no axis: compare scalings with
    `encoder.scaling`.
    """

    Config = MeasureConfig
    name = "measure"
    pools = (POOL,)
    title = "Measurements"
    rule = (
        "quantities of each recording that its source measured (a machine, a delineation), drawn at random; what could "
        "not be measured is asked for, too."
    )
    needs = "it asks of corpora that measure: add corpora.ludb or corpora.mimic"
    words: ClassVar = {POOL: Words(question=22, answer=4, evidence=70)}
    primary = "within_tolerance"
    metrics = {
        "within_tolerance": "share of the measurable quantities whose answer is within the tolerance, 0 to 1; an "
        "answer that cannot be read or has no number is outside",
        "median_error": "median absolute error of the numbers given, in tolerances (1 is the edge of it)",
        "median_absolute_error": "median absolute error of the numbers given, in the quantity's unit; of one quantity "
        "only",
        "answered": "share of the measurable quantities for which a number was given, 0 to 1",
        "not_measurable_found": "share of what cannot be measured whose answer says so, 0 to 1",
        "not_measurable_agreed": "share of all answers that are right about whether it can be measured, 0 to 1",
    }
    groups = {"quantity": "quantity"}
    shown = ("within_tolerance", "median_absolute_error", "not_measurable_agreed")
    kinds = ("quantity",)

    @classmethod
    def fed(cls, corpora: Iterable[type[Corpus]]) -> bool:
        return any(kind.quantities for kind in corpora)

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        return measure_questions(sources.stores, cast(MeasureConfig, self.cfg), sources.seed, sources.dropped)

    def answer_kind(self, sample: ECGSample) -> str:
        return "measurable" if sample.meta["value"] is not None else "not measurable"

    def target(self, sample: ECGSample) -> float | None:
        value = sample.meta["value"]
        return None if value is None else float(value)

    def written(self, sample: ECGSample, value: float) -> str:
        return self.cfg.quantity(sample.meta["quantity"]).write(value)

    def parse(self, text: str, sample: ECGSample) -> Measured | None:
        """The number that a text gives for what was asked, in the quantity's unit, or that it cannot be measured."""
        return read_measurement(text, self.cfg.quantity(sample.meta["quantity"]))

    def agrees(self, sample: ECGSample) -> bool:
        asked, said = self.cfg.quantity(sample.meta["quantity"]), self.parse(sample.answer, sample)
        if said is None:
            return False
        true = sample.meta["value"]
        if true is None or said.value is None:
            return true is None and said.value is None
        return said.value == float(asked.write(true).split()[0])

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[Measured | None]) -> pd.DataFrame:
        """`quantity`, `measurable`, `said` ("number", "not measurable", "unread"), `error` (in the quantity's unit, NaN
        without two numbers), `tolerance` (of this value).
        """
        rows = [self._row(sample, answer) for sample, answer in zip(samples, answers, strict=True)]
        return pd.DataFrame(rows, columns=["quantity", "measurable", "said", "error", "tolerance"])

    def _row(self, sample: ECGSample, answer: Measured | None) -> tuple[Any, ...]:
        asked, true = self.cfg.quantity(sample.meta["quantity"]), sample.meta["value"]
        said = "unread" if answer is None else "not measurable" if answer.value is None else "number"
        error = asked.error(answer.value, true) if said == "number" and true is not None else np.nan
        return asked.name, true is not None, said, error, np.nan if true is None else asked.allowed(true)

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        measurable = rows["measurable"].to_numpy(bool)
        said, error = rows["said"].to_numpy(str), rows["error"].to_numpy(float)
        tolerance = rows["tolerance"].to_numpy(float)
        agreed = np.where(measurable, said == "number", said == "not measurable")
        found = {"not_measurable_agreed": float(agreed.mean())}
        if not measurable.all():
            found["not_measurable_found"] = float((said == "not measurable")[~measurable].mean())
        if measurable.any():
            # the reference is written in whole units, so that what is right to the last digit is never outside
            within = error[measurable] <= tolerance[measurable] + 1e-9
            found |= {"within_tolerance": float(within.mean()), "answered": float(agreed[measurable].mean())}
        numbers = ~np.isnan(error)
        if numbers.any():
            found["median_error"] = float(np.median(error[numbers] / tolerance[numbers]))
            if rows["quantity"].nunique() == 1:
                found["median_absolute_error"] = float(np.median(error[numbers]))
        return found
