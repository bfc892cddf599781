"""The residual network of the PTB-XL benchmark, as an encoder: one token for each twelfth of a second or so."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from anyecg.config.checks import Checks
from anyecg.encoders.base import Encoder, SignalConfig

DEPTHS = {18: (1, (2, 2, 2, 2)), 34: (1, (3, 4, 6, 3)), 50: (4, (3, 4, 6, 3)), 101: (4, (3, 4, 23, 3))}
STEM = (32, 32, 64)  # channels


@dataclass(frozen=True)
class XResNet1dConfig(SignalConfig):
    """The defaults are the benchmark's: 100 Hz, depth 101, convolutions of five samples, 64 channels in each stage."""

    scaling: str = "zscore"  # of a window's signal
    depth: int = 101  # 18, 34 (two convolutions a block), 50 or 101 (three, tokens of four times the width)
    width: int = 64  # channels of a stage
    kernel: int = 5  # samples of a convolution
    dropout: float = 0.5  # of the tokens, as ahead of the benchmark's last layer

    def check(self, check: Checks) -> None:
        super().check(check)
        check.number("width", "kernel", least=1)
        check.number("dropout", least=0, below=1)
        if self.depth not in DEPTHS or self.kernel % 2 == 0:
            check.wrong("depth", f"one of {', '.join(map(str, DEPTHS))}, with an odd kernel")


class XResNet1d(Encoder):
    """xresnet1d18 to xresnet1d101 (Strodthoff et al. 2021, arXiv 2004.13701): a token each 32 samples.

    A stem of three convolutions, the first with stride 2; max-pooling; four stages of one width, the last three of
    stride 2, with pooled shortcuts; each block begins as the identity.
    """

    Config = XResNet1dConfig

    def __init__(self, cfg: XResNet1dConfig) -> None:
        super().__init__()
        expansion, counts = DEPTHS[cfg.depth]
        leads, samples = self.input.shape
        stem = [
            layer
            for number, (into, out) in enumerate(zip((leads, *STEM), STEM))
            for layer in (*normed(into, out, cfg.kernel, 1 if number else 2), nn.ReLU())
        ]
        blocks: list[nn.Module] = []
        channels = STEM[-1]
        for stage, count in enumerate(counts):
            for number in range(count):
                stride = 2 if stage and not number else 1
                blocks.append(Block(channels, cfg.width, expansion, stride, cfg.kernel))
                channels = expansion * cfg.width
        self.layers = nn.Sequential(*stem, nn.MaxPool1d(3, 2, 1), *blocks, nn.Dropout(cfg.dropout))
        self.dim, self.prefix = channels, 0
        self.patches = -(-samples // 32)  # five times halved, rounded up each time
        for module in self.modules():
            if isinstance(module, nn.Conv1d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """`[N, leads, samples]` -> `[N, samples / 32, dim]`."""
        return self.layers(clips).transpose(1, 2)


class Block(nn.Module):
    """`[N, C, T]` to `[N, expansion * width, T / stride]`."""

    def __init__(self, channels: int, width: int, expansion: int, stride: int, kernel: int) -> None:
        super().__init__()
        out = expansion * width
        first = [*normed(channels, width, 1), nn.ReLU()] if expansion > 1 else []
        middle = [*normed(width if first else channels, width, kernel, stride), nn.ReLU()]
        last = normed(width, out, 1 if expansion > 1 else kernel)
        nn.init.zeros_(last[1].weight)
        self.layers = nn.Sequential(*first, *middle, *last)
        self.stride = stride
        self.shortcut = nn.Sequential(*normed(channels, out, 1)) if channels != out else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        beside = F.avg_pool1d(x, 2, ceil_mode=True) if self.stride > 1 else x
        return (self.layers(x) + self.shortcut(beside)).relu()


def normed(into: int, out: int, kernel: int, stride: int = 1) -> tuple[nn.Conv1d, nn.BatchNorm1d]:
    """A convolution and its batch norm."""
    return nn.Conv1d(into, out, kernel, stride, kernel // 2, bias=False), nn.BatchNorm1d(out)
