"""Questions for a quantity of an ECG, of each store that has measurements."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from anyecg.config.checks import Checks
from anyecg.data.chance import chance
from anyecg.data.corpora.quantities import QUANTITIES
from anyecg.data.store.store import Stores
from anyecg.tasks.base import Task
from anyecg.tasks.measure.quantities import Quantity, quantity
from anyecg.types import MARKER, ECGSample, Turn, Window

POOL = "measure"
QUESTIONS = (
    "What is the {title} of this ECG, in {unit}?",
    "Measure the {title} on this ECG, in {unit}.",
    "How large is the {title} of this ECG? Give it in {unit}.",
    "Please state the {title} of this ECG in {unit}.",
)
UNIT_WORDS = {"bpm": "beats per minute", "ms": "ms", "degrees": "degrees", "mV": "mV"}


@dataclass(frozen=True)
class MeasureConfig(Task.Config):
    """quantities: which are asked for, where a corpus measures them; per_record: questions a recording, of quantities
    drawn at random (0: one of each); tolerances: quantity -> how far an answer may be from the truth, in bpm, ms,
    degrees or mV."""

    quantities: list[str] = field(
        default_factory=lambda: [
            "heart_rate",
            "pr_interval",
            "qrs_duration",
            "qt_interval",
            "qtc_interval",
            "qrs_axis",
            "r_amplitude_V5",
            "s_amplitude_V1",
        ]
    )
    per_record: int = 4
    tolerances: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.among("quantities", QUANTITIES)
            check.number("per_record", least=0)
            check.number("tolerances", above=0)
            for name in self.tolerances:
                if name not in QUANTITIES:
                    check.wrong("tolerances", f"'{name}' is no quantity (known: {', '.join(QUANTITIES[:8])}, ...)")

    def quantity(self, name: str) -> Quantity:
        """A quantity with its tolerance."""
        return quantity(name, self.tolerances.get(name))


def measure_questions(
    stores: Stores, cfg: MeasureConfig, seed: int, dropped: Counter
) -> Iterator[tuple[str, ECGSample]]:
    """(split, question) for `cfg.per_record` quantities of each recording that was measured."""
    for store in stores:
        wanted = [name for name in cfg.quantities if name in store.summary["info"].get("quantities", ())]
        if not wanted:
            continue
        rows = store.rows(["id", "patient", "split", "seconds", "measurements"])
        for record, patient, split, seconds, pairs in rows:
            values = dict(pairs or ())
            there = [name for name in wanted if name in values]
            if not there:
                dropped[POOL, "record without a measurement"] += 1
                continue
            rng = chance(seed, POOL, record)
            for name in rng.sample(there, min(cfg.per_record or len(there), len(there))):
                asked = cfg.quantity(name)
                question = rng.choice(QUESTIONS).format(title=asked.title, unit=UNIT_WORDS[asked.unit])
                yield (
                    split,
                    ECGSample(
                        id=f"{POOL}/{record}/{name}",
                        task="measure",
                        pool=POOL,
                        subset=store.summary["corpus"],
                        patient=patient,
                        records=(Window(record, 0.0, seconds),),
                        evidence=(evidence(values, there, cfg),),
                        conversation=(
                            Turn("user", f"{MARKER}\n{question}"),
                            Turn("assistant", asked.write(values[name])),
                        ),
                        meta={
                            "quantity": name,
                            "value": None if math.isnan(values[name]) else values[name],
                            "unit": asked.unit,
                        },
                    ),
                )


def evidence(values: Mapping[str, float], names: Sequence[str], cfg: MeasureConfig) -> str:
    """What a perfect reader would measure: "heart rate 72 bpm, PR interval 162 ms"."""
    return ", ".join(f"{cfg.quantity(name).title} {cfg.quantity(name).write(values[name])}" for name in names)
