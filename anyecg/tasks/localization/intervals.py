"""Intervals in seconds as arrays `[k, 2]`: their union, their overlap, intersection over union."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

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


def inside(intervals: Iterable[Sequence[float]], samples: int, fs: float) -> np.ndarray:
    """float32 `[samples]`, 1 inside the intervals, which are in seconds."""
    found = np.zeros(samples, np.float32)
    for start, end in intervals:
        found[round(start * fs) : round(end * fs)] = 1.0
    return found


def runs(likely: np.ndarray, fs: float, level: float, peak: float, shortest: float) -> np.ndarray:
    """Stretches above `level` in seconds, `[k, 2]`: gaps below `shortest` s closed, then runs below it, and those that
    nowhere reach `peak`, left out.
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[0], likely >= level, [0]]).astype(np.int8))).reshape(-1, 2)
    merged: list[list[int]] = []
    for start, end in edges.tolist():
        if merged and start - merged[-1][1] < shortest * fs:
            merged[-1][1] = end
        else:
            merged.append([start, end])
    kept = [(a, b) for a, b in merged if b - a >= shortest * fs and likely[a:b].max() >= peak]
    return np.array(kept, float).reshape(-1, 2) / fs
