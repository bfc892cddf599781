"""A task outside the package: the mean interval between beats, with a pool and a metric of its own."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from anyecg.tasks.base import Task, Words
from anyecg.types import MARKER, ECGSample, Turn, Window


class BeatInterval(Task):
    """How long is it from beat to beat? To a tenth of a second."""

    name = "beat_interval"
    pools = ("beat_interval",)
    title = "Interval between beats"
    rule = "the median time between annotated beats, to a tenth of a second."
    needs = "it needs annotated beats"
    words = {"beat_interval": Words(12, 6, 30)}
    primary = "within"
    metrics = {"within": "share of answers within 0.2 s, 0 to 1", "error": "mean absolute error, s"}
    groups = {"subset": "subset"}

    @dataclass(frozen=True)
    class Config:
        seconds: float = 10.0

    def lengths(self, pool):
        return [[self.cfg.seconds]]

    def build(self, sources):
        for store in sources.stores:
            for record, patient, split, seconds, times in store.rows(
                ["id", "patient", "split", "seconds", "annotation_times"]
            ):
                times = np.array([time for time in times if time < self.cfg.seconds])
                if seconds < self.cfg.seconds or len(times) < 3:
                    sources.dropped["beat_interval", "too few beats"] += 1
                    continue
                true = round(float(np.median(np.diff(times))), 1)
                yield (
                    split,
                    ECGSample(
                        id=f"beat_interval/{record}",
                        task=self.name,
                        pool="beat_interval",
                        subset=store.summary["corpus"],
                        patient=patient,
                        records=(Window(record, 0.0, self.cfg.seconds),),
                        conversation=(
                            Turn("user", f"{MARKER}\nHow long is it from beat to beat?"),
                            Turn("assistant", f"{true} s"),
                        ),
                        evidence=(f"beats every {true} s",),
                        meta={"true": true},
                    ),
                )

    def parse(self, text, sample):
        try:
            return float(text.split()[0])
        except (ValueError, IndexError):
            return None

    def agrees(self, sample):
        return self.parse(sample.answer, sample) == sample.meta["true"]

    def measure(self, samples, answers):
        return pd.DataFrame(
            {"error": [np.nan if said is None else abs(said - one.meta["true"]) for one, said in zip(samples, answers)]}
        )

    def compute(self, rows):
        error = rows["error"].to_numpy()
        found = {"within": float((error <= 0.2).mean())}
        return found if np.isnan(error).all() else found | {"error": float(np.nanmean(error))}
