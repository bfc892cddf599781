"""The U-Net of the segmenter."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Double(nn.Sequential):
    """Twice a convolution, batch norm, ReLU: `[N, dim_in, T]` -> `[N, dim, T]`."""

    def __init__(self, dim_in: int, dim: int, kernel: int) -> None:
        parts: list[nn.Module] = []
        for first in (dim_in, dim):
            parts += [nn.Conv1d(first, dim, kernel, padding=kernel // 2), nn.BatchNorm1d(dim), nn.ReLU()]
        super().__init__(*parts)


class UNet(nn.Module):
    """Moskalenko, Zolotykh and Osipov 2020 (arXiv 2001.04689): fully convolutional, any length.

    167,344 parameters of one lead and four classes.
    """

    def __init__(self, leads: int, classes: int, channels: Sequence[int] = (4, 8, 16, 32, 64), kernel: int = 9) -> None:
        super().__init__()
        pairs = list(zip(channels[-2::-1], channels[:0:-1]))  # (above, below), from the bottom up
        self.down = nn.ModuleList(Double(a, b, kernel) for a, b in zip((leads, *channels), channels))
        self.rise = nn.ModuleList(nn.ConvTranspose1d(below, below, 8, stride=2, padding=3) for _, below in pairs)
        self.up = nn.ModuleList(Double(below + above, above, kernel) for above, below in pairs)
        self.last = nn.Conv1d(channels[0], classes, 1)

    def forward(self, x: Tensor) -> Tensor:
        """`[N, leads, T]` -> logits `[N, classes, T]`."""
        passed: list[Tensor] = []
        for number, block in enumerate(self.down):
            x = block(x if number == 0 else F.max_pool1d(x, 2))
            passed.append(x)
        passed.pop()
        for rise, block in zip(self.rise, self.up):
            skip, x = passed.pop(), rise(x)
            x = block(torch.cat([skip, F.pad(x, (0, skip.shape[-1] - x.shape[-1]))], dim=1))
        return self.last(x)
