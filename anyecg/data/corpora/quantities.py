"""What is measured on an ECG: the quantities' names and units, and those that follow from a beat's onsets and ends."""

from __future__ import annotations

import math

from anyecg.types import CANONICAL_LEADS

INTERVALS = ("pr_interval", "qrs_duration", "qt_interval", "qtc_interval")
AXES = ("p_axis", "qrs_axis", "t_axis")
GLOBAL = ("heart_rate", *INTERVALS, *AXES)  # one value an ECG
WAVES = ("r_amplitude", "s_amplitude", "st_level", "t_amplitude")  # a value a lead: "r_amplitude_V5"
BY_LEAD = tuple(f"{wave}_{lead}" for wave in WAVES for lead in CANONICAL_LEADS)
QUANTITIES = (*GLOBAL, *BY_LEAD)


def unit(quantity: str) -> str:
    """The unit of a quantity: "bpm", "ms", "degrees" or "mV"."""
    if quantity == "heart_rate":
        return "bpm"
    if quantity in INTERVALS:
        return "ms"
    return "degrees" if quantity in AXES else "mV"


def bazett(qt: float, rr: float) -> float:
    """QT corrected for the rate, ms, after Bazett: QT over the square root of RR in seconds; both in ms."""
    return qt / math.sqrt(rr / 1000) if rr > 0 else math.nan


def from_marks(rr: float, p_onset: float, qrs_onset: float, qrs_end: float, t_end: float) -> dict[str, float]:
    """Heart rate and `INTERVALS` of a beat by its onsets and ends, all in ms; NaN where a mark is NaN, or where one
    that should follow another does not.
    """
    qt = _between(qrs_onset, t_end)
    return {
        "heart_rate": 60_000 / rr if rr > 0 else math.nan,
        "pr_interval": _between(p_onset, qrs_onset),
        "qrs_duration": _between(qrs_onset, qrs_end),
        "qt_interval": qt,
        "qtc_interval": bazett(qt, rr),
    }


def _between(first: float, last: float) -> float:
    return last - first if last > first else math.nan
