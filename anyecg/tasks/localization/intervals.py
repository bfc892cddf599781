"""Intervals in seconds as arrays `[k, 2]`: their union, their overlap, intersection over union."""

from __future__ import annotations

import numpy as np


def union(intervals: np.ndarray, seconds: float) -> np.ndarray:
    """The union of intervals `[n, 2]` in seconds, cut to [0, seconds], as disjoint sorted intervals `[k, 2]`."""
    merged: list[list[float]] = []
    for start, end in sorted(np.clip(np.asarray(intervals, float).reshape(-1, 2), 0.0, seconds).tolist()):
        if merged and start <= merged[-1][1]:
            merged[-1][1] = max(merged[-1][1], end)
        elif end > start:
            merged.append([start, end])
    return np.array(merged).reshape(-1, 2)


def iou(said: np.ndarray, true: np.ndarray) -> float:
    """Intersection over union of two unions of disjoint intervals, 0 to 1; 1 if both are empty."""
    if not len(said) and not len(true):
        return 1.0
    shared = overlap(said, true).sum()
    return float(shared / (np.diff(said).sum() + np.diff(true).sum() - shared))


def overlap(said: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Seconds that interval i of `said` shares with interval j of `true`: `[len(said), len(true)]`."""
    return np.maximum(
        0.0, np.minimum(said[:, None, 1], true[None, :, 1]) - np.maximum(said[:, None, 0], true[None, :, 0])
    )
