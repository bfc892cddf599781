"""A view: every ECG played backwards."""

import numpy as np

from anyecg.evaluation.views.base import View
from anyecg.types import ECGSample


class Backwards(View):
    """The last sample first: rates stay, P waves come after the beat."""

    label = short = "played backwards"

    def see(
        self, signal: np.ndarray, mask: np.ndarray, sample: ECGSample, record: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        return signal[:, ::-1].copy(), mask
