"""An encoder that sees an ECG as a small picture, and the clip maker that draws it: what a package outside anyecg
would bring.
"""

from dataclasses import dataclass

import numpy as np
from torch import nn

from anyecg.data.clips.base import Clips
from anyecg.encoders.base import Encoder
from anyecg.types import InputSpec

SHAPE = (3, 24, 40)


class PictureClips(Clips):
    """The leads as rows of brightness, uint8 `[3, 24, 40]`; without an ECG, white paper."""

    def make(self, signal, lead_mask, key=""):
        count = self.count(signal.shape[1] / self.spec.fs)
        width = round(self.spec.fs * self.spec.seconds)
        padded = np.zeros((12, count * width), np.float32)
        kept = min(signal.shape[1], padded.shape[1])
        padded[:, :kept] = (signal * lead_mask[:, None])[:, :kept]
        columns = padded.reshape(12, count, 40, width // 40).max(axis=3).swapaxes(0, 1)  # [S, 12, 40], mV
        rows = np.clip(128 + 60 * columns, 0, 255).astype(np.uint8).repeat(2, axis=1)
        return np.repeat(rows[:, None], 3, axis=1)

    def blank(self, count):
        return np.full((count, *self.spec.shape), 255, np.uint8)


class PictureEncoder(Encoder):
    """Twelve patches of a picture, no [CLS]."""

    @dataclass(frozen=True)
    class Config:
        width: int = 16

    @classmethod
    def input_spec(cls, cfg):
        return InputSpec(kind="tests.data.clips.picture:PictureClips", scaling="millivolt", shape=SHAPE)

    def __init__(self, cfg):
        super().__init__()
        self.conv = nn.Conv2d(3, cfg.width, (8, 10), (8, 10))
        self.dim, self.prefix, self.patches = cfg.width, 0, 12

    def forward(self, clips, lead_mask):
        return self.conv(clips.to(self.conv.weight.dtype) / 255).flatten(2).transpose(1, 2)
