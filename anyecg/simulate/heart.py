"""One moving cardiac dipole, and the twelve leads it projects to.

Axes in the body: x to the patient's left, y to the feet, z to the back; unit mV (Frank-lead voltage).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")

# Dower's transform of a Frank vectorcardiogram, for the eight independent leads.
DOWER = np.array(
    [
        [0.632, -0.235, 0.059],  # I
        [0.235, 1.066, -0.132],  # II
        [-0.515, 0.157, -0.917],  # V1
        [0.044, 0.164, -1.387],  # V2
        [0.882, 0.098, -1.277],  # V3
        [1.213, 0.127, -0.601],  # V4
        [1.125, 0.127, -0.086],  # V5
        [0.831, 0.076, 0.230],  # V6
    ]
)


@dataclass(frozen=True)
class Wave:
    """One bump of the dipole, relative to the R time of its beat.

    Attributes:
        part: "P", "QRS", "ST" or "T".
        at: centre, s (for "ST": where it begins).
        rise, fall: standard deviations before and after the centre, s (for "ST": `fall` is its length).
        vector: `[3]`, mV.
    """

    part: str
    at: float
    rise: float
    fall: float
    vector: tuple[float, float, float]

    def turned(self, rotation: np.ndarray, scale: float = 1.0) -> Wave:
        """The wave with its vector rotated by a `[3, 3]` matrix and scaled."""
        return replace(self, vector=tuple(scale * (rotation @ np.array(self.vector))))

    @property
    def span(self) -> tuple[float, float]:
        """Where the wave is not zero, s relative to R."""
        if self.part == "ST":
            return self.at - 0.03, self.at + self.fall + 0.12
        return self.at - 4 * self.rise, self.at + 4 * self.fall

    def shape(self, t: np.ndarray) -> np.ndarray:
        """Unit amplitude at times `t` (s relative to R), same shape as `t`."""
        if self.part == "ST":
            return 0.5 * (np.tanh((t - self.at) / 0.012) - np.tanh((t - self.at - self.fall) / 0.05))
        u = t - self.at
        return np.exp(-0.5 * (u / np.where(u < 0, self.rise, self.fall)) ** 2)


def dipole(
    waves: list[Wave], times: np.ndarray, gains: np.ndarray, fs: float, length: int, out: np.ndarray | None = None
) -> np.ndarray:
    """The dipole of a train of like beats.

    Args:
        waves: the beat's waves.
        times: `[B]` R times, s.
        gains: `[B]` scale of each beat.
        fs: Hz.
        length: samples T.
        out: `[3, T]` to add to; new when None.

    Returns:
        `[3, T]`, mV.
    """
    out = np.zeros((3, length)) if out is None else out
    if len(times) == 0:
        return out
    for wave in waves:
        start, stop = wave.span
        first = np.floor((times + start) * fs).astype(int)
        index = first[:, None] + np.arange(int(np.ceil((stop - start) * fs)) + 2)
        value = wave.shape(index / fs - times[:, None]) * gains[:, None]
        inside = (index >= 0) & (index < length)
        curve = np.bincount(index[inside], weights=value[inside], minlength=length)
        out += np.array(wave.vector)[:, None] * curve
    return out


def leads(independent: np.ndarray) -> np.ndarray:
    """All twelve leads from the eight independent ones, by Einthoven's and Goldberger's relations.

    Args:
        independent: `[8, T]` I, II, V1-V6, mV.

    Returns:
        `[12, T]` in the order of `LEADS`, mV.
    """
    one, two = independent[0], independent[1]
    limb = np.stack([one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2])
    return np.concatenate([limb, independent[2:]])


def rotation(frontal: float, horizontal: float = 0.0) -> np.ndarray:
    """`[3, 3]` turning the dipole clockwise in the frontal plane and backwards in the horizontal one (degrees)."""
    a, b = np.radians([frontal, horizontal])
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    tilt = np.array([[np.cos(b), 0, -np.sin(b)], [0, 1, 0], [np.sin(b), 0, np.cos(b)]])
    return tilt @ turn
