"""Intervals and axes of a drawn beat, as an ECG machine would print them."""

from __future__ import annotations

import numpy as np

from anyecg.simulate.beat import end, onset
from anyecg.simulate.heart import DOWER, Wave, dipole

R_AT = 420  # ms from the start of the representative beat to its R wave
MISSING = 29999  # MIMIC-IV-ECG's number for "not measured"


def axis(waves: list[Wave], part: str) -> float | None:
    """Frontal axis of a part of the beat, degrees (0 to the left, 90 to the feet); None when it has no such part."""
    chosen = [wave for wave in waves if wave.part == part]
    if not chosen:
        return None
    one, two = DOWER[:2] @ dipole(chosen, np.array([0.6]), np.ones(1), 500.0, 700)
    net_one = one.max() + one.min()
    net_foot = (two - one / 2).max() + (two - one / 2).min()
    return float(np.degrees(np.arctan2(net_foot * 2 / np.sqrt(3), net_one)))


def axis_findings(waves: list[Wave]) -> frozenset[str]:
    """Left (beyond -30 degrees) or right (beyond 90) axis deviation of the QRS."""
    angle = axis(waves, "QRS")
    if angle is None:
        return frozenset()
    if -90 <= angle < -30:
        return frozenset({"left_axis_deviation"})
    if 90 < angle <= 180:
        return frozenset({"right_axis_deviation"})
    return frozenset()


def machine(waves: list[Wave], rr: float) -> dict[str, int]:
    """The measurement columns of `machine_measurements.csv`: ms within the representative beat, and degrees."""
    parts = {wave.part for wave in waves}

    def at(edge, part: str) -> int:
        return R_AT + round(1000 * edge(waves, part)) if part in parts else MISSING

    def angle(part: str) -> int:
        value = axis(waves, part)
        return MISSING if value is None else round(value)

    return {
        "rr_interval": round(1000 * rr),
        "p_onset": at(onset, "P"),
        "p_end": at(end, "P"),
        "qrs_onset": at(onset, "QRS"),
        "qrs_end": at(end, "QRS"),
        "t_end": at(end, "T"),
        "p_axis": angle("P"),
        "qrs_axis": angle("QRS"),
        "t_axis": angle("T"),
    }
