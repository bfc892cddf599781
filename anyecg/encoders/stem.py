"""Convolutions ahead of the patches: what lets a small encoder see waveforms before it has seen millions of ECGs."""

from __future__ import annotations

import torch
from torch import Tensor, nn

STRIDE = 10  # samples a step of the features: 0.1 s at 100 Hz


class Stem(nn.Module):
    """Each patch with convolutional features of its lead beside it: `[N, L, T]` to `[N, L, T / patch, width]`.

    A linear patch has to learn each waveform at each place in the patch; a convolution learns it once for all places
    and leads. channels: of the features; patch: samples of one lead in a patch, which 10 divides;
    width: numbers a patch comes out with, its own samples first. A zero (absent) lead has zero features until trained.
    """

    def __init__(self, channels: int, patch: int) -> None:
        super().__init__()
        self.patch = patch
        self.width = patch + channels * (patch // STRIDE)
        convolutions = (
            nn.Conv1d(1, channels, 15, stride=5, padding=7),
            nn.Conv1d(channels, channels, 7, stride=2, padding=3),
            nn.Conv1d(channels, channels, 9, padding=4),
        )
        for layer in convolutions:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        self.layers = nn.Sequential(*(part for layer in convolutions for part in (layer, nn.GELU())))

    def forward(self, clips: Tensor) -> Tensor:
        times = clips.shape[2] // self.patch
        features = self.layers(clips.flatten(0, 1)[:, None])  # [L N, channels, T / STRIDE]
        features = features.transpose(1, 2).reshape(*clips.shape[:2], times, self.width - self.patch)
        return torch.cat([clips.unflatten(2, (times, self.patch)), features], dim=3)
