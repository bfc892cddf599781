"""What a real recording adds to the heart: wander, muscle, mains, and leads that fail."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Faults:
    """The state of one recording.

    Attributes:
        wander, muscle, mains: amplitudes, mV (mains at `mains_hz`).
        flat, off: indices into I, II, III, aVR, aVL, aVF, V1-V6 of chest leads that read zero, or nothing (NaN).
    """

    wander: float = 0.03
    muscle: float = 0.008
    mains: float = 0.0
    mains_hz: float = 50.0
    flat: tuple[int, ...] = ()
    off: tuple[int, ...] = ()

    @classmethod
    def draw(cls, rng: np.random.Generator, broken: float = 0.04, mains_hz: float = 60.0) -> Faults:
        """A recording's state; `broken` is the chance that one chest lead has failed."""
        wander = rng.choice([rng.uniform(0.01, 0.05), rng.uniform(0.12, 0.30)], p=[0.85, 0.15])
        muscle = rng.choice([rng.uniform(0.004, 0.012), rng.uniform(0.02, 0.04)], p=[0.85, 0.15])
        mains = rng.choice([0.0, rng.uniform(0.01, 0.03)], p=[0.85, 0.15])
        lead = (int(rng.integers(6, 12)),) if rng.random() < broken else ()
        off = rng.random() < 0.5
        return cls(float(wander), float(muscle), float(mains), mains_hz, () if off else lead, lead if off else ())


def noise(count: int, length: int, fs: float, faults: Faults, rng: np.random.Generator) -> np.ndarray:
    """`[count, T]` additive noise of independent leads, mV."""
    t = np.arange(length) / fs
    out = faults.muscle * rng.normal(size=(count, length))
    if fs > 120:
        out = _smooth(out, max(int(fs / 180), 1))
    rates = rng.uniform(0.12, 0.45, size=3)
    phases = rng.uniform(0, 2 * np.pi, size=(count, 3))
    sway = np.sin(2 * np.pi * rates[None, :, None] * t + phases[:, :, None])
    out += faults.wander * np.einsum("cn,cnt->ct", rng.uniform(0.2, 0.8, size=(count, 3)), sway)
    if faults.mains and faults.mains_hz < fs / 2:
        hum = np.sin(2 * np.pi * faults.mains_hz * t + rng.uniform(0, 2 * np.pi))
        out += faults.mains * rng.uniform(0.3, 1.0, size=(count, 1)) * hum
    return out


def _smooth(x: np.ndarray, width: int) -> np.ndarray:
    if width < 2:
        return x
    total = np.cumsum(np.pad(x, ((0, 0), (width, 0))), axis=1)
    return (total[:, width:] - total[:, :-width]) / width**0.5


def break_leads(signal: np.ndarray, faults: Faults) -> np.ndarray:
    """The `[12, T]` signal with its failed leads flat or NaN (a copy when any failed)."""
    if faults.flat or faults.off:
        signal = signal.copy()
        signal[list(faults.flat)] = 0.0
        signal[list(faults.off)] = np.nan
    return signal
