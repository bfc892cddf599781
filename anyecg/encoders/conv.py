"""A small residual network over all leads at once, one token for each 0.4 s: fast and strong on thousands of ECGs."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyecg.config.checks import Checks
from anyecg.encoders.base import Encoder, SignalConfig

GROUPS = 8  # of a group norm
STEM = 15  # samples of the first convolution, whose stride is 4


@dataclass(frozen=True)
class ConvConfig(SignalConfig):
    """widths: channels of the stem and of each block; kernels, strides: of each block, in samples of its input;
    dropout: of tokens. At 100 Hz the defaults give a token each 40 samples and 1.1 M parameters.
    """

    scaling: str = "centred"
    widths: list[int] = field(default_factory=lambda: [48, 64, 128, 256, 256])
    kernels: list[int] = field(default_factory=lambda: [7, 5, 5, 3])
    strides: list[int] = field(default_factory=lambda: [2, 1, 5, 1])
    dropout: float = 0.1

    def check(self, check: Checks) -> None:
        super().check(check)
        check.number("dropout", least=0, below=1)
        if not len(self.widths) - 1 == len(self.kernels) == len(self.strides):
            check.wrong("widths", "one more than kernels and strides: the stem's, then each block's")
        if any(width < GROUPS or width % GROUPS for width in self.widths):
            check.wrong("widths", f"multiples of {GROUPS}, not {self.widths}")
        if any(kernel < 1 or kernel % 2 == 0 for kernel in self.kernels) or any(stride < 1 for stride in self.strides):
            check.wrong("kernels", "odd, and strides of at least 1")


class ConvNet(Encoder):
    """A residual 1-D network with group norms over all leads at once: a token each 40 samples by default.

    Group norms, unlike batch norms, leave no statistics behind: a clip's tokens depend on no other clip, and a stage
    that freezes the encoder freezes all of it. The channels that lie past a clip's end see zeros.
    """

    Config = ConvConfig

    def __init__(self, cfg: ConvConfig) -> None:
        super().__init__()
        leads, samples = self.input.shape
        self.stem = nn.Sequential(
            nn.Conv1d(leads, cfg.widths[0], STEM, 4, STEM // 2), nn.GroupNorm(GROUPS, cfg.widths[0]), nn.ReLU()
        )
        length, blocks = -(-samples // 4), []
        for into, out, kernel, stride in zip(cfg.widths, cfg.widths[1:], cfg.kernels, cfg.strides, strict=False):
            blocks.append(Block(into, out, kernel, stride))
            length = -(-length // stride)
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.LayerNorm(cfg.widths[-1])
        self.dropout = nn.Dropout(cfg.dropout)
        self.dim, self.prefix, self.patches = cfg.widths[-1], 0, length

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """`[N, leads, samples]` -> `[N, patches, dim]`."""
        if not len(clips):  # a convolution of nothing has no kernel
            nothing = clips.sum() + torch.stack([p.sum() for p in self.parameters()]).sum()
            return clips.new_zeros(0, self.patches, self.dim) + nothing
        return self.dropout(self.norm(self.blocks(self.stem(clips)).transpose(1, 2)))


class Block(nn.Module):
    """`[N, C, T]` to `[N, out, ceil(T / stride)]`; it begins as its shortcut."""

    def __init__(self, into: int, out: int, kernel: int, stride: int) -> None:
        super().__init__()
        last = nn.GroupNorm(GROUPS, out)
        nn.init.zeros_(last.weight)
        self.layers = nn.Sequential(
            nn.Conv1d(into, out, kernel, stride, kernel // 2),
            nn.GroupNorm(GROUPS, out),
            nn.ReLU(),
            nn.Conv1d(out, out, kernel, 1, kernel // 2),
            last,
        )
        self.stride = stride
        self.shortcut = nn.Conv1d(into, out, 1) if into != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        beside = F.avg_pool1d(x, self.stride, ceil_mode=True) if self.stride > 1 else x
        return (self.layers(x) + self.shortcut(beside)).relu()
