"""What an answer says of the ECGs beside it: spans of seconds, leads, and numbers unlike the measured ones."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anyecg.evaluation.views.named_leads import named_leads
from anyecg.findings import BY_KEY, find
from anyecg.tasks.localization.parser import mentions
from anyecg.tasks.measure.parser import read_measurement, waves_named
from anyecg.tasks.measure.quantities import quantity
from anyecg.tasks.multi_ecg.series import ORDINALS
from anyecg.types import CANONICAL_LEADS

_WHICH = re.compile(
    rf"\b(?:(?:ECG|EKG)\s*#?\s*(\d)|({'|'.join(ORDINALS)}|last|latest)\s+(?:ECG|EKG|recording|tracing))\b",
    re.IGNORECASE,
)
# finding -> (quantity, least, most): where the measured value lies beyond, by more than its tolerance, they disagree
NEEDS = {
    "sinus_bradycardia": ("heart_rate", 0.0, 60.0),
    "sinus_tachycardia": ("heart_rate", 100.0, 400.0),
    "first_degree_av_block": ("pr_interval", 200.0, 1000.0),
    "left_axis_deviation": ("qrs_axis", -90.0, -30.0),
    "right_axis_deviation": ("qrs_axis", 90.0, 180.0),
}


@dataclass(frozen=True)
class Span:
    """A stretch (or, where start == end, a moment) of an ECG that an answer speaks of.

    ecg: which one, from 0; start, end: seconds; at: where it is written in the answer, `text[slice(*at)]`.
    """

    ecg: int
    start: float
    end: float
    at: tuple[int, int]


def spans(text: str, seconds: Sequence[float]) -> list[Span]:
    """The spans that an answer names, in its order; seconds: the length of each ECG of the conversation.

    A span belongs to the ECG that is named before it ("the second ECG", "ECG 2"), or to the last one.
    """
    if not seconds:
        return []
    which = [(found.start(), _number(found, len(seconds))) for found in _WHICH.finditer(text)]
    kept = []
    for one in mentions(text, max(seconds)):
        ecg = next((number for at, number in reversed(which) if at < one.span[0]), len(seconds) - 1)
        if one.start < seconds[ecg]:
            kept.append(Span(ecg, one.start, min(one.end, seconds[ecg]), one.span))
    return kept


def _number(found: re.Match[str], count: int) -> int:
    word = (found[1] or found[2]).lower()
    place = int(word) - 1 if word.isdigit() else ORDINALS.index(word) if word in ORDINALS else count - 1
    return min(max(place, 0), count - 1)


def leads(text: str) -> tuple[str, ...]:
    """The leads that an answer names, in canonical order, by name or by region ("inferior")."""
    found = named_leads(text)
    return tuple(lead for lead in CANONICAL_LEADS if lead in found)


def disagreements(text: str, measured: Mapping[str, float | None]) -> list[str]:
    """Sentences on what an answer says otherwise than was measured; measured: quantity -> value, None where it is not
    measurable.
    """
    found = []
    named = waves_named(text)
    for name, value in measured.items():
        if value is None or name not in named:
            continue
        asked = quantity(name)
        said = read_measurement(text, asked)
        if said is None or said.value is None:
            continue
        if asked.error(said.value, value) > asked.allowed(value):
            found.append(f"{asked.title}: the answer says {asked.write(said.value)}, measured {asked.write(value)}")
    for key in sorted(find(text) & NEEDS.keys()):
        name, least, most = NEEDS[key]
        value = measured.get(name)
        if value is None:
            continue
        asked = quantity(name)
        away = max(least - value, value - most, 0.0)
        if away > asked.allowed(value):
            found.append(f"{BY_KEY[key].name}: does not go with a measured {asked.title} of {asked.write(value)}")
    return found
