"""MEIT's ECG encoder: a one-dimensional residual network over the twelve leads, pooled to one vector a clip."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.encoders.base import Encoder, SignalConfig

DEPTHS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3)}  # blocks of the four stages
BOTTLENECK = 50  # the depth from which a block is three convolutions


@dataclass(frozen=True)
class ResNet1dConfig(SignalConfig):
    """The defaults are MEIT's: 500 Hz, all leads together to [0, 1], depth 50."""

    fs: float = 500.0  # Hz of the signal; the network runs at any rate, and is another model there
    scaling: str = "minmax"
    depth: int = 50  # 18, 34 (two convolutions a block) or 50 (three)
    width: int = 64  # channels of the first stage; a token has 8 times as many (depth 50: 32 times)

    def check(self, check: Checks) -> None:
        super().check(check)
        check.number("width", least=1)
        if self.depth not in DEPTHS:
            check.wrong("depth", f"one of {', '.join(map(str, DEPTHS))}, not {self.depth}")


class ResNet1d(Encoder):
    """1-D ResNet-18, 34 or 50 (MEIT's, arXiv 2403.04945), averaged over time: one token a clip.

    A stem of one convolution (kernel 7, stride 2) without max-pooling, four stages whose first blocks have strides 1,
    2, 2, 2 in the convolution of three samples, the average over time. Its one token counts as a [CLS]: a record's is
    the average over its clips.
    """

    Config = ResNet1dConfig

    def __init__(self, cfg: ResNet1dConfig) -> None:
        super().__init__()
        leads = self.input.shape[0]
        self.stem = nn.Sequential(
            nn.Conv1d(leads, cfg.width, 7, 2, 3, bias=False), nn.BatchNorm1d(cfg.width), nn.ReLU()
        )
        blocks: list[nn.Module] = []
        channels = cfg.width
        for stage, count in enumerate(DEPTHS[cfg.depth]):
            for number in range(count):
                block = Block(channels, cfg.width * 2**stage, 2 if stage and not number else 1, cfg.depth >= BOTTLENECK)
                blocks.append(block)
                channels = block.channels
        self.blocks = nn.Sequential(*blocks)
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.dim, self.prefix, self.patches = channels, 1, 0

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """`[N, leads, samples]` -> `[N, 1, dim]`."""
        return self.pool(self.blocks(self.stem(clips))).transpose(1, 2)


class Block(nn.Module):
    """`[N, C, T]` to `[N, channels, T / stride]`: two convolutions of three samples, or one between two of one sample
    (bottleneck), and a shortcut past them.
    """

    def __init__(self, channels: int, width: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        self.channels = 4 * width if bottleneck else width
        layers = (
            [(channels, width, 1, 1), (width, width, 3, stride), (width, self.channels, 1, 1)]
            if bottleneck
            else [(channels, width, 3, stride), (width, self.channels, 3, 1)]
        )
        parts: list[nn.Module] = []
        for into, out, kernel, step in layers:
            parts += [nn.Conv1d(into, out, kernel, step, kernel // 2, bias=False), nn.BatchNorm1d(out), nn.ReLU()]
        self.layers = nn.Sequential(*parts[:-1])  # the last ReLU is behind the sum
        same = stride == 1 and channels == self.channels
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(nn.Conv1d(channels, self.channels, 1, stride, bias=False), nn.BatchNorm1d(self.channels))
        )

    def forward(self, x: Tensor) -> Tensor:
        return (self.layers(x) + self.shortcut(x)).relu()
