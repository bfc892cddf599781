"""Rules that make a diagnosis of measurements, and the steps that lead to it: finding, lead, measurement, decision.

A rule has a value and a threshold. A recording whose value lies within the margin of the threshold is not asked about:
readers of it may differ, and so may a delineation and a machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

YES_NO = ("Yes", "No")
Values = Mapping[str, float]


@dataclass(frozen=True)
class Rule:
    """What decides on a diagnosis.

    name: of the diagnosis, as a key; title: as it is asked for; finding: the question for what is looked for on the
    ECG; value: what is measured, in `unit` (NaN: it cannot be); threshold, margin: the diagnosis holds above the
    threshold (below it where `below`); quantity: how the measurement is called; edges: between the ranges that a
    measurement may fall into; leads: lead -> whether it shows the finding, of the values (none: no lead is asked for),
    lead_question: how they are asked for; wave: whether a stretch of time with the QRS complex is asked for.
    """

    name: str
    title: str
    finding: str
    quantity: str
    unit: str
    value: Callable[[Values], float]
    threshold: float
    margin: float
    edges: tuple[float, ...]
    below: bool = False
    leads: Mapping[str, Callable[[Values], bool]] | None = None
    lead_question: str = ""
    wave: bool = False

    def holds(self, values: Values) -> bool | None:
        """Whether the diagnosis holds; None where its value is missing or within the margin of the threshold."""
        value = self.value(values)
        if math.isnan(value) or abs(value - self.threshold) < self.margin:
            return None
        return value < self.threshold if self.below else value > self.threshold

    def ranges(self) -> list[str]:
        """The options of the measurement step: "less than 120 ms", "120 to 200 ms", ..., "more than 280 ms"."""
        written = [f"{edge:g}" for edge in self.edges]
        between = [f"{low} to {high} {self.unit}" for low, high in pairwise(written)]
        return [f"less than {written[0]} {self.unit}", *between, f"more than {written[-1]} {self.unit}"]

    def place(self, values: Values) -> int:
        """The index of the range that the value falls into."""
        value = self.value(values)
        return sum(value >= edge for edge in self.edges)


def _of(name: str) -> Callable[[Values], float]:
    return lambda values: values.get(name, math.nan)


def _net(lead: str) -> Callable[[Values], bool]:
    return lambda values: values.get(f"r_amplitude_{lead}", 0.0) > values.get(f"s_amplitude_{lead}", 0.0)


def _raised(lead: str) -> Callable[[Values], bool]:
    return lambda values: values.get(f"st_level_{lead}", 0.0) >= 0.1


def _second_highest(leads: Sequence[str]) -> Callable[[Values], float]:
    """The ST level that at least two of the leads reach, mV."""

    def level(values: Values) -> float:
        found = sorted((values.get(f"st_level_{lead}", math.nan) for lead in leads), reverse=True)
        return math.nan if any(math.isnan(value) for value in found) else found[1]

    return level


def _sokolow(values: Values) -> float:
    return values.get("s_amplitude_V1", math.nan) + values.get("r_amplitude_V5", math.nan)


def _elevation(region: str, leads: Sequence[str]) -> Rule:
    return Rule(
        name=f"st_elevation_{region}",
        title=f"ST elevation in the {region} leads",
        finding=f"Does this ECG show an ST level of at least 0.1 mV at the J point in two or more of the {region} "
        f"leads ({', '.join(leads)})?",
        quantity=f"second highest ST level among the leads {', '.join(leads)}",
        unit="mV",
        value=_second_highest(leads),
        threshold=0.1,
        margin=0.02,
        edges=(-0.05, 0.1, 0.2),
        leads={lead: _raised(lead) for lead in leads},
        lead_question="In which of these leads is the ST level at the J point at least 0.1 mV? Name all of them.",
    )


_NET_LEADS = {lead: _net(lead) for lead in ("I", "II", "aVF", "aVL")}
_NET_QUESTION = "In which of these leads is the QRS complex net positive? Name all of them."
RULES = (
    Rule(
        "first_degree_av_block",
        "first degree AV block",
        "Is the PR interval of this ECG prolonged (more than 200 ms)?",
        "PR interval",
        "ms",
        _of("pr_interval"),
        200,
        8,
        (120, 200, 280),
        wave=True,
    ),
    Rule(
        "wide_qrs",
        "an intraventricular conduction delay",
        "Is the QRS complex of this ECG wide (at least 120 ms)?",
        "QRS duration",
        "ms",
        _of("qrs_duration"),
        120,
        6,
        (80, 120, 160),
        wave=True,
    ),
    Rule(
        "long_qt",
        "a prolonged QT interval",
        "Is the corrected QT interval (Bazett) of this ECG longer than 460 ms?",
        "corrected QT interval",
        "ms",
        _of("qtc_interval"),
        460,
        10,
        (400, 460, 500),
    ),
    Rule(
        "bradycardia",
        "bradycardia",
        "Is the heart rate of this ECG below 60 bpm?",
        "heart rate",
        "bpm",
        _of("heart_rate"),
        60,
        2,
        (50, 60, 100),
        below=True,
        wave=True,
    ),
    Rule(
        "tachycardia",
        "tachycardia",
        "Is the heart rate of this ECG above 100 bpm?",
        "heart rate",
        "bpm",
        _of("heart_rate"),
        100,
        2,
        (60, 100, 130),
        wave=True,
    ),
    Rule(
        "left_axis_deviation",
        "left axis deviation",
        "Does the QRS axis of this ECG lie beyond -30 degrees, to the left?",
        "QRS axis",
        "degrees",
        _of("qrs_axis"),
        -30,
        5,
        (-30, 0, 90),
        below=True,
        leads=_NET_LEADS,
        lead_question=_NET_QUESTION,
    ),
    Rule(
        "right_axis_deviation",
        "right axis deviation",
        "Does the QRS axis of this ECG lie beyond 90 degrees, to the right?",
        "QRS axis",
        "degrees",
        _of("qrs_axis"),
        90,
        5,
        (-30, 0, 90),
        leads=_NET_LEADS,
        lead_question=_NET_QUESTION,
    ),
    Rule(
        "left_ventricular_hypertrophy",
        "left ventricular hypertrophy by the Sokolow-Lyon voltage",
        "Do the S wave in V1 and the R wave in V5 of this ECG add up to more than 3.5 mV?",
        "sum of the S wave in V1 and the R wave in V5",
        "mV",
        _sokolow,
        3.5,
        0.15,
        (1.5, 2.5, 3.5),
    ),
    _elevation("inferior", ("II", "III", "aVF")),
    _elevation("anterior", ("V1", "V2", "V3", "V4")),
    _elevation("lateral", ("I", "aVL", "V5", "V6")),
)
BY_NAME = {rule.name: rule for rule in RULES}
