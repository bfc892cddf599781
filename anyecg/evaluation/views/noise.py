"""White noise in place of each lead, of the same rate, length, mean and power."""

import numpy as np

from anyecg.data.chance import chance
from anyecg.evaluation.views.base import View
from anyecg.types import ECGSample


class Noise(View):
    """Gaussian noise of each lead's mean and standard deviation, independent between leads; absent ones stay."""

    label = "noise of the same rate and power"
    short = "noise"
    colour = "#b7a99a"
    seeded = True

    def see(
        self, signal: np.ndarray, mask: np.ndarray, sample: ECGSample, record: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng(chance(seed, "noise", sample.id, record).getrandbits(64))
        drawn = rng.standard_normal(signal.shape, dtype=np.float32)
        noise = signal.mean(axis=1, keepdims=True) + signal.std(axis=1, keepdims=True) * drawn
        return np.where(mask[:, None], noise, signal), mask
