"""A task with questions, a pool, a parser and a metric of its own."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from anyecg.data.chance import chance
from anyecg.tasks.base import Sources, Task
from anyecg.types import MARKER, ECGSample, Turn, Window

QUESTIONS = ("Is the rhythm of this ECG fast or slow?", "Fast or slow: which is this rhythm?")


class Rhythm(Task):
    """Whether a rhythm is fast or slow, asked of every record with such a label."""

    @dataclass(frozen=True)
    class Config:
        """per_record: questions a record."""

        per_record: int = 2

    name = "rhythm"
    pools = ("rhythm_pool",)
    needs = "it asks for records labelled fast or slow"
    primary = "balanced_accuracy"
    metrics = {
        "balanced_accuracy": "mean of the shares of fast and of slow rhythms recognised, 0 to 1; a constant answer gets 0.5"
    }
    groups = {"label": "label"}

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        for store in sources.stores:
            for record, patient, split, seconds, labels in store.rows(["id", "patient", "split", "seconds", "labels"]):
                label = next((label for label in labels if label in ("fast", "slow")), None)
                if label is None:
                    sources.dropped[self.pools[0], "record without a label"] += 1
                    continue
                for number in range(self.cfg.per_record):
                    text = chance(sources.seed, record, number).choice(QUESTIONS)
                    yield (
                        split,
                        ECGSample(
                            id=f"rhythm/{record}/{number}",
                            task=self.name,
                            pool=self.pools[0],
                            subset=store.summary["corpus"],
                            patient=patient,
                            records=(Window(record, 0.0, seconds),),
                            evidence=(f"{label} rhythm",),
                            conversation=(Turn("user", f"{MARKER}\n{text}"), Turn("assistant", f"It is {label}.")),
                            meta={"label": label},
                        ),
                    )

    def parse(self, text: str, sample: ECGSample) -> str | None:
        """The one of the two words that the answer holds; None for both or neither."""
        found = set(re.findall(r"\b(fast|slow)\b", text.lower()))
        return found.pop() if len(found) == 1 else None

    def agrees(self, sample: ECGSample) -> bool:
        return self.parse(sample.answer, sample) == sample.meta["label"]

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[str | None]) -> pd.DataFrame:
        labels = [sample.meta["label"] for sample in samples]
        return pd.DataFrame({"label": labels, "right": [a == b for a, b in zip(answers, labels, strict=True)]})

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        return {"balanced_accuracy": float(rows.groupby("label")["right"].mean().mean())}
