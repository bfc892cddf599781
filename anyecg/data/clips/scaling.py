"""Scalings of a window's signal, before it is cut into clips: `scale(signal [L, T] mV, present bool [L]) -> [L, T]`.

Which of an ECG's facts survive depends on the scaling. `lead` and `lead_minmax` (and `lead_zscore`) bring every lead to
the same range: voltages, ratios between leads and with them the electrical axis are gone. `gain`, `minmax` and `zscore`
treat the present leads alike, so ratios between leads survive; `millivolt` leaves the voltages themselves, `centred`
all but each lead's offset. Absent leads are not looked at.
"""

from __future__ import annotations

import numpy as np

from anyecg.registry import Registry

MOST = 5.0  # mV from the median that `centred` lets through: no heart gives more
FLAT = 1e-6  # mV: a lead that never leaves its median by more is flat

scalings = Registry(
    "scaling",
    {
        name: f"anyecg.data.clips.scaling:{name}"
        for name in ("lead", "lead_minmax", "lead_zscore", "gain", "minmax", "zscore", "millivolt", "centred")
    },
)


def lead(signal: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Each lead less its median, over its largest magnitude: [-1, 1]; a flat lead is zero (the default)."""
    centred = _centred(signal)
    peak = np.abs(centred).max(axis=1, keepdims=True)
    return _over(centred, peak)


def lead_minmax(signal: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Each lead from its least to its greatest value to [-1, 1], as anyECG-chat's released checkpoints had it; a
    flat lead is zero.
    """
    low, span = signal.min(axis=1, keepdims=True), np.ptp(signal, axis=1, keepdims=True)
    return np.where(span > FLAT, (signal - low) / np.maximum(span, FLAT) * 2 - 1, 0.0).astype(np.float32)


def lead_zscore(signal: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Each lead less its mean, over its standard deviation; a flat lead is zero."""
    centred = signal - signal.mean(axis=1, keepdims=True)
    return _over(centred, centred.std(axis=1, keepdims=True))


def gain(signal: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Each lead less its median, all over the one largest magnitude of the record: [-1, 1], with the leads' ratios
    kept.
    """
    centred = _centred(signal)
    return _over(centred, np.abs(centred[present]).max(initial=0.0))


def minmax(signal: np.ndarray, present: np.ndarray) -> np.ndarray:
    """The record's least to its greatest value, all leads together, to [0, 1] (as MEIT's code does for
    MIMIC-IV-ECG).
    """
    shown = signal[present]
    if not shown.size:
        return np.zeros_like(signal)
    low = shown.min()
    return _over(signal - low, shown.max() - low)


def zscore(signal: np.ndarray, present: np.ndarray) -> np.ndarray:
    """The record less its mean, over its standard deviation, all leads together."""
    shown = signal[present]
    if not shown.size:
        return np.zeros_like(signal)
    return _over(signal - shown.mean(), shown.std())


def millivolt(signal: np.ndarray, present: np.ndarray) -> np.ndarray:
    """As recorded, in mV."""
    return signal.astype(np.float32)


def centred(signal: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Each lead less its median, in mV, between -5 and 5: voltages without the amplifier's offset."""
    return np.clip(_centred(signal), -MOST, MOST).astype(np.float32)


def _centred(signal: np.ndarray) -> np.ndarray:
    return signal - np.median(signal, axis=1, keepdims=True)


def _over(signal: np.ndarray, size: np.ndarray | float) -> np.ndarray:
    """float32 `signal / size`, zero where the size is that of a flat line."""
    return np.where(size > FLAT, signal / np.maximum(size, FLAT), 0.0).astype(np.float32)
