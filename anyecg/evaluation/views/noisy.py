"""Noise in growing measure: MEIT's, over a share of the time, and true signal-to-noise ratios; each with another
patient's ECG beside it, so that an answer that bears noise can be told from one that does not look.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from anyecg.data.chance import chance
from anyecg.evaluation.views.base import View
from anyecg.evaluation.views.shuffled import Shuffled
from anyecg.types import ECGSample

DEVIATION = 0.1  # MEIT's largest, of the range of a record's samples, all leads together


class Noisy(View):
    """The record with noise added to the leads that are there; level: how much."""

    colour = "#a89078"
    seeded = True
    strict = False
    level: ClassVar[float]
    what: ClassVar[str]  # of a label, with {level}
    short_level: ClassVar[str]  # the level alone
    patient: ClassVar[str] = ""  # of a label: whose ECG it is, where it is another's

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if hasattr(cls, "level"):
            cls.tick = cls.short_level.format(level=cls.level)
            cls.label = cls.what.format(level=cls.level) + cls.patient
            cls.short = cls.tick + cls.patient

    def see(
        self, signal: np.ndarray, mask: np.ndarray, sample: ECGSample, record: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        if mask.any() and signal.shape[1]:
            draw = chance(seed, self.axis, self.level, sample.id, record).getrandbits(64)
            signal[mask] += self.noise(signal[mask], np.random.default_rng(draw))
        return signal, mask

    def noise(self, signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """What is added to the leads that are there: float32 `[leads, T]` mV to the same."""
        raise NotImplementedError


class ShareOfTime(Noisy):
    """MEIT's noise (arXiv 2403.04945, by its published code): one stretch, at a random place and of a random length up
    to `level` of the record, with Gaussian noise, the same in all leads.

    Its deviation is drawn up to a tenth of the record's range: MEIT adds it to the signal scaled to [0, 1], so in
    millivolts it is that of the range over all leads.
    """

    axis = "longest share of the time with noise"
    what = "noise in up to {level:.0%} of the time"
    short_level = "{level:.0%}"

    def noise(self, signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        samples = signal.shape[1]
        length = round(rng.uniform(0.0, self.level) * samples)
        start = int(rng.integers(0, samples - length + 1))
        deviation = rng.uniform(0.0, DEVIATION) * float(np.ptp(signal))
        added = np.zeros_like(signal)
        added[:, start : start + length] = deviation * rng.standard_normal(length, dtype=np.float32)
        return added


class Ratio(Noisy):
    """White noise over the whole record, drawn for each lead, `level` decibels below the lead's power about its mean.

    MEIT's axis is called a signal-to-noise ratio and is a share of the time: this is the ratio itself. A flat lead gets
    none.
    """

    axis = "signal-to-noise ratio"
    what = "signal-to-noise ratio of {level:.0f} dB"
    short_level = "{level:.0f} dB"

    def noise(self, signal: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        drawn = rng.standard_normal(signal.shape, dtype=np.float32)
        drawn /= np.sqrt(np.square(drawn).mean(axis=1, keepdims=True))  # of power one, not nearly so
        return drawn * signal.std(axis=1, keepdims=True) * np.float32(10 ** (-self.level / 20))


class Other(Shuffled):
    """The same noise over another patient's ECG."""

    line = "shuffled"
    colour = "#c3c9d0"
    patient = ", another patient's ECG"


class ShareOther05(Other, ShareOfTime):
    """Up to 5 % of the time, of another patient's ECG."""

    level = 0.05


class Share05(ShareOfTime):
    """Up to 5 % of the time."""

    level = 0.05
    against = "noisy_time_05_shuffled"


class ShareOther10(Other, ShareOfTime):
    """Up to 10 % of the time, of another patient's ECG."""

    level = 0.10


class Share10(ShareOfTime):
    """Up to 10 % of the time."""

    level = 0.10
    against = "noisy_time_10_shuffled"


class ShareOther15(Other, ShareOfTime):
    """Up to 15 % of the time, of another patient's ECG."""

    level = 0.15


class Share15(ShareOfTime):
    """Up to 15 % of the time."""

    level = 0.15
    against = "noisy_time_15_shuffled"


class ShareOther20(Other, ShareOfTime):
    """Up to 20 % of the time, of another patient's ECG."""

    level = 0.20


class Share20(ShareOfTime):
    """Up to 20 % of the time."""

    level = 0.20
    against = "noisy_time_20_shuffled"


class RatioOther20(Other, Ratio):
    """20 dB, of another patient's ECG."""

    level = 20.0


class Ratio20(Ratio):
    """20 dB."""

    level = 20.0
    against = "noisy_20_db_shuffled"


class RatioOther10(Other, Ratio):
    """10 dB, of another patient's ECG."""

    level = 10.0


class Ratio10(Ratio):
    """10 dB."""

    level = 10.0
    against = "noisy_10_db_shuffled"


class RatioOther5(Other, Ratio):
    """5 dB, of another patient's ECG."""

    level = 5.0


class Ratio5(Ratio):
    """5 dB."""

    level = 5.0
    against = "noisy_5_db_shuffled"


class RatioOther0(Other, Ratio):
    """0 dB, of another patient's ECG: as much noise as signal."""

    level = 0.0


class Ratio0(Ratio):
    """0 dB: as much noise as signal."""

    level = 0.0
    against = "noisy_0_db_shuffled"
