"""A flat line in place of each lead, of the same rate, length and power."""

import numpy as np

from anyecg.evaluation.views.base import View
from anyecg.types import ECGSample


class FlatLine(View):
    """Each lead at its root mean square in mV, all leads present that were."""

    label = "flat line of the same rate and power"
    short = "flat line"
    colour = "#a3a09b"

    def see(
        self, signal: np.ndarray, mask: np.ndarray, sample: ECGSample, record: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        power = np.sqrt(np.mean(np.square(signal), axis=1, keepdims=True))
        return np.where(mask[:, None], power, signal).astype(np.float32), mask
