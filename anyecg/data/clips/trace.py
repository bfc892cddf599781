"""Clips that are stretches of the signal itself."""

from __future__ import annotations

import numpy as np

from anyecg.data.clips.base import Clips
from anyecg.registry import registry
from anyecg.types import CANONICAL_LEADS, ConfigError, InputSpec


class TraceClips(Clips):
    """The scaled signal in clips `[leads, samples]` one after the other, the last padded with zeros (the paper's
    Dynamic ECG Input).
    """

    def __init__(self, spec: InputSpec) -> None:
        super().__init__(spec)
        self.rows = [CANONICAL_LEADS.index(lead) for lead in spec.leads]
        self.samples = round(spec.seconds * spec.fs)  # of a clip
        self.scale = registry("scaling")[spec.scaling]
        if spec.shape != (len(self.rows), self.samples):
            raise ConfigError(
                f"encoder: a signal of {len(self.rows)} leads and {self.samples} samples a clip has no shape "
                f"{spec.shape}; "
                "leave the shape of its InputSpec out"
            )

    def make(self, signal: np.ndarray, lead_mask: np.ndarray, key: str = "") -> np.ndarray:
        count, mask = self.count(signal.shape[1] / self.spec.fs), lead_mask[self.rows]
        # whatever the scaling, an absent lead is zero
        scaled = np.where(mask[:, None], self.scale(signal[self.rows], mask), 0.0)
        padded = np.zeros((len(self.rows), count * self.samples), np.float32)
        kept = min(scaled.shape[1], padded.shape[1])
        padded[:, :kept] = scaled[:, :kept]
        return np.ascontiguousarray(padded.reshape(len(self.rows), count, self.samples).swapaxes(0, 1))
