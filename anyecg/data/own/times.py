"""A column of time: seconds, and the sampling rate that they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from anyecg.data.own.formats import Request
from anyecg.types import DataError

JITTER = 0.7  # of a sample: times rounded to milliseconds step so unevenly; a sample lost or doubled is a whole one
COARSE = 1.5  # samples: times that step by so many were rounded to more than a sample
SLOWEST = 25.0  # Hz: a column of time that says less counts milliseconds and does not say so
DAY = 86_400.0


def seconds_of(column: pd.Series, scale: float, numbers: Callable[[], np.ndarray]) -> np.ndarray:
    """float64 `[T]` seconds: numbers times `scale`, times of day ("0:00.002", over midnight), or dates with times."""
    if pd.api.types.is_numeric_dtype(column):
        return numbers() * scale
    cells = column.astype(str).str.strip(" '[]").str.replace(",", ".", regex=False)
    if cells.str.fullmatch(r"[-+]?\d*\.?\d+([eE][-+]?\d+)?").all():
        return cells.to_numpy(float) * scale
    if not cells.str.match(r"\d{4}-").all():
        parts = cells.str.split(":", expand=True)
        weights = [60.0**power for power in range(parts.shape[1] - 1, -1, -1)]
        times = np.sum(
            [pd.to_numeric(parts[index], errors="coerce") * weight for index, weight in enumerate(weights)], axis=0
        )
        return times + DAY * np.cumsum(np.diff(times, prepend=times[:1]) < -DAY / 2)
    stamps = pd.to_datetime(cells, errors="coerce", utc=True, format="ISO8601")
    return np.where(stamps.isna(), np.nan, (stamps - stamps.iloc[0]).dt.total_seconds())


def rate_of(path: Path, times: np.ndarray, numbers: Sequence[int], request: Request) -> float:
    """Hz of samples at these seconds; a whole number where that fits every time within a sample."""
    steps = np.diff(times)
    if steps.size < 2 or not times[-1] > times[0]:
        raise DataError(f"{path}: its column of time does not rise; without it, pass fs= (Hz)")
    found = steps.size / (times[-1] - times[0])
    coarse = _rounded(times, found)
    if coarse:
        rate = _whole(found, times.size, coarse)
        request.note(f"its times are rounded to {coarse:g} s, which is more than a sample; {rate:g} Hz by their number")
        return _fast(path, rate)
    uneven = np.flatnonzero(~(np.abs(steps * found - 1) < JITTER))
    if uneven.size:
        raise DataError(
            f"{path}: irregular in time: a step of {steps[uneven[0]]:g} s at line {numbers[uneven[0] + 1]}, "
            f"{1 / found:g} s on average; resample it to a regular rate"
        )
    drift = [np.ptp(times * rate - np.arange(times.size)) for rate in (round(found), found)]
    if drift[1] >= 1:
        raise DataError(
            f"{path}: irregular in time: its rate changes, {found:g} Hz on average; resample it to a regular rate"
        )
    return _fast(path, float(round(found)) if drift[0] < 1 else found)


def _fast(path: Path, rate: float) -> float:
    if rate < SLOWEST:
        raise DataError(f"{path}: its column of time says {rate:g} Hz; if it counts milliseconds, name it 'ms'")
    return rate


def _rounded(times: np.ndarray, found: float) -> float:
    """Seconds that times were rounded to, where that is more than a sample and explains all of them; else 0."""
    steps = np.diff(times)
    rising = steps[steps > 1e-12]
    quantum = float(rising.min()) if rising.size else 0.0
    if quantum * found < COARSE or (steps < -1e-9).any():
        return 0.0
    grid = np.abs(steps / quantum - np.rint(steps / quantum)).max()
    line = times[0] + np.arange(times.size) / found
    return quantum if grid < 0.01 and np.abs(times - line).max() < 1.5 * quantum else 0.0


def _whole(found: float, count: int, quantum: float) -> float:
    """The roundest rate within what the rounding leaves open."""
    span = count / found
    low, high = (count - 1) / (span + quantum), (count - 1) / max(span - 2 * quantum, 1e-9)
    for step in (1000.0, 500.0, 250.0, 100.0, 50.0, 10.0, 5.0, 2.0, 1.0):
        rate = round(found / step) * step
        if rate and low <= rate <= high:
            return float(rate)
    return float(round(found)) if low <= round(found) <= high else found
