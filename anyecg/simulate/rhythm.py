"""When the heart beats: R times, what each beat is, and what the atria do in between."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Ectopy:
    """How often beats come early.

    Attributes:
        gap: mean number of conducted beats between two ectopic events; None for none.
        couplets, runs: share of ventricular events that are pairs, and runs of 3 to 6 beats.
        bigeminy: share of events that begin an episode in which every second beat is ectopic, 4 to 9 times.
    """

    gap: float | None = None
    couplets: float = 0.12
    runs: float = 0.0
    bigeminy: float = 0.0


@dataclass(frozen=True)
class Beats:
    """A train of beats.

    Attributes:
        times: `[B]` R times, s (some lie outside the record: their tails reach in).
        kinds: `[B]` "N" conducted, "V" ventricular, "A" atrial ectopic.
    """

    times: np.ndarray
    kinds: np.ndarray


def mean_rr(findings: Collection[str], rng: np.random.Generator) -> float:
    """A mean RR interval that fits the rhythm, s."""
    if "sinus_bradycardia" in findings:
        return 60 / rng.uniform(40, 56)
    if "sinus_tachycardia" in findings:
        return 60 / rng.uniform(106, 138)
    if "atrial_fibrillation" in findings:
        return 60 / rng.uniform(62, 132)
    if "atrial_flutter" in findings:
        return float(rng.choice([2, 3, 4], p=[0.3, 0.3, 0.4])) * rng.uniform(0.19, 0.215)
    if "sinus_arrhythmia" in findings:
        return 60 / rng.uniform(63, 82)
    return 60 / rng.uniform(64, 95)


def beats(
    findings: Collection[str], rr: float, seconds: float, ventricular: Ectopy, atrial: Ectopy, rng: np.random.Generator
) -> Beats:
    """Beat times of one record, from before its start to after its end."""
    count = int((seconds + 6) / rr * 1.5) + 12
    steps = _intervals(findings, rr, count, rng)
    times, kinds = [], []
    now, i = -rng.uniform(1.2, 1.2 + rr), 0
    wait = {"V": _wait(ventricular, rng), "A": _wait(atrial, rng)}
    episode = 0  # ectopic beats still to come in an episode of bigeminy
    while now < seconds + 1.5 and i < count - 1:
        times.append(now)
        kinds.append("N")
        step = steps[i]
        i += 1
        wait = {kind: left - 1 for kind, left in wait.items()}
        if wait["V"] <= 0:
            now = _ventricular(times, kinds, now, step, ventricular, rng)
            episode = _episode(ventricular, episode, rng)
            wait = {"V": 1.0 if episode else _wait(ventricular, rng), "A": max(wait["A"], 2.0 * episode + 2.0)}
        elif wait["A"] <= 0:
            early = now + max(0.62 * step * rng.uniform(0.94, 1.08), 0.32)
            times.append(early)
            kinds.append("A")
            now = early + step * rng.uniform(1.08, 1.2)
            episode = _episode(atrial, episode, rng)
            wait = {"V": max(wait["V"], 2.0 * episode + 2.0), "A": 1.0 if episode else _wait(atrial, rng)}
        else:
            now += step
    return Beats(np.array(times), np.array(kinds))


def _ventricular(times: list, kinds: list, now: float, step: float, ectopy: Ectopy, rng: np.random.Generator) -> float:
    """Append one ventricular event after the beat at `now`; returns the next conducted beat's time."""
    draw = rng.random()
    number = int(rng.integers(3, 7)) if draw < ectopy.runs else 2 if draw < ectopy.runs + ectopy.couplets else 1
    at = now + max(step * rng.uniform(0.56, 0.66), 0.34)
    for _ in range(number):
        times.append(at)
        kinds.append("V")
        last, at = at, at + rng.uniform(0.36, 0.44)
    if number == 1:
        return now + 2 * step  # the sinus node is not reset: a full compensatory pause
    return last + step * rng.uniform(1.25, 1.4)


def _episode(ectopy: Ectopy, left: int, rng: np.random.Generator) -> int:
    """How many ectopic beats an episode of bigeminy has left after one more; 0 outside an episode."""
    if left:
        return left - 1
    return int(rng.integers(3, 9)) if ectopy.bigeminy and rng.random() < ectopy.bigeminy else 0


def _wait(ectopy: Ectopy, rng: np.random.Generator) -> float:
    return np.inf if ectopy.gap is None else 1.5 + rng.exponential(ectopy.gap)


def _intervals(findings: Collection[str], rr: float, count: int, rng: np.random.Generator) -> np.ndarray:
    if "atrial_fibrillation" in findings:
        return rr * np.clip(rng.lognormal(-0.03, 0.26, count), 0.36 / rr if rr > 0.36 else 0.9, 1.9)
    if "atrial_flutter" in findings:
        return np.full(count, rr)
    depth = rng.uniform(0.16, 0.22) if "sinus_arrhythmia" in findings else rng.uniform(0.008, 0.02)
    breath = np.sin(2 * np.pi * rng.uniform(0.17, 0.24) * np.arange(count) * rr + rng.uniform(0, 2 * np.pi))
    return rr * (1 + depth * breath + 0.008 * rng.normal(size=count))


def fibrillation(length: int, fs: float, rng: np.random.Generator) -> np.ndarray:
    """f waves: `[3, T]` dipole of several wandering 5-8 Hz oscillations, largest in V1 and II, mV."""
    t = np.arange(length) / fs
    knots = np.arange(0, length / fs + 2, 0.5)
    out = np.zeros((3, length))
    for direction, weight in (((-0.045, 0.02, -0.085), 1.0), ((0.02, 0.075, 0.0), 0.9)):
        rate = rng.uniform(5.2, 7.5) + np.interp(t, knots, rng.normal(0, 0.6, len(knots)))
        swell = np.interp(t, knots, rng.uniform(0.45, 1.25, len(knots)))
        angle = 2 * np.pi * np.cumsum(rate) / fs + rng.uniform(0, 2 * np.pi)
        out += np.array(direction)[:, None] * weight * swell * (np.sin(angle) + 0.35 * np.sin(2 * angle + 0.7))
    return out


def flutter(length: int, fs: float, cycle: float, start: float) -> np.ndarray:
    """F waves: `[3, T]` dipole of a sawtooth, negative in II, III, aVF and positive in V1, mV."""
    turn = ((np.arange(length) / fs - start) / cycle) % 1.0
    tooth = np.where(turn < 0.68, 0.5 - turn / 0.68, -0.5 + (turn - 0.68) / 0.32)
    return np.array((-0.03, 0.30, -0.05))[:, None] * tooth
