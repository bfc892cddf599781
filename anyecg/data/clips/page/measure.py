"""What a cart measures and prints at the top of a page, from millivolts: rate and electrical axis."""

from __future__ import annotations

import numpy as np
from scipy.signal import find_peaks

from anyecg.types import CANONICAL_LEADS

REFRACTORY = 0.3  # s


def beats(signal: np.ndarray, present: np.ndarray, fs: float) -> np.ndarray:
    """Samples of the QRS complexes: int64 `[n]`; signal: mV `[12, T]`; present: bool `[12]`."""
    if not present.any() or signal.shape[1] < 3:
        return np.zeros(0, np.int64)
    steep = np.abs(np.diff(signal[present].astype(np.float64), axis=1)).sum(axis=0)
    width = max(1, round(0.08 * fs))
    energy = np.convolve(steep, np.ones(width) / width, "same")
    return find_peaks(energy, height=0.4 * np.quantile(energy, 0.99), distance=max(1, round(REFRACTORY * fs)))[0]


def rate(signal: np.ndarray, present: np.ndarray, fs: float) -> int | None:
    """Beats a minute; None where fewer than two are found."""
    found = beats(signal, present, fs)
    return round(60 * fs * (len(found) - 1) / (found[-1] - found[0])) if len(found) > 1 else None


def axis(signal: np.ndarray, present: np.ndarray, fs: float) -> int | None:
    """Electrical axis in degrees, from the net areas of the QRS complexes in I and aVF; None where a lead is absent."""
    first, foot = CANONICAL_LEADS.index("I"), CANONICAL_LEADS.index("aVF")
    found, half = beats(signal, present, fs), round(0.06 * fs)
    if not (present[first] and present[foot] and len(found)):
        return None
    nets = []
    for lead in (first, foot):
        level = signal[lead] - np.median(signal[lead])
        nets.append(np.mean([level[max(0, beat - half) : beat + half].sum() for beat in found]))
    return round(float(np.degrees(np.arctan2(nets[1] * 2 / np.sqrt(3), nets[0]))))


def header(signal: np.ndarray, present: np.ndarray, fs: float) -> tuple[str, ...]:
    """The lines of a printed header."""
    found = {"VENT. RATE": (rate(signal, present, fs), "BPM"), "QRS AXIS": (axis(signal, present, fs), "DEG")}
    return tuple(f"{name} {value} {unit}" for name, (value, unit) in found.items() if value is not None)
