"""Filters that published encoders see signals through, made once for each rate."""

from __future__ import annotations

import functools

import numpy as np
from scipy.signal import butter, sosfiltfilt

ORDER = 4  # of the Butterworth filter, which is run forwards and backwards


def band_pass(signal: np.ndarray, fs: float, low: float, high: float) -> np.ndarray:
    """`[L, T]` at `fs` Hz without what lies outside `low` to `high` Hz, without delay; float32."""
    if signal.shape[1] < 2:
        return np.zeros_like(signal, dtype=np.float32)
    sections = _sections(fs, low, high)
    padding = min(3 * (2 * len(sections) + 1), signal.shape[1] - 1)
    return sosfiltfilt(sections, signal.astype(np.float64), axis=1, padlen=padding).astype(np.float32)


@functools.lru_cache
def _sections(fs: float, low: float, high: float) -> np.ndarray:
    return butter(ORDER, (low, high), "bandpass", fs=fs, output="sos")
