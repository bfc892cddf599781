"""ECGFounder's encoder (Net1D), of twelve leads or one, with its released weights where a file of them is given."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from anyecg.config.checks import Checks
from anyecg.data.clips.filters import band_pass
from anyecg.data.clips.scaling import zscore
from anyecg.encoders.base import Encoder
from anyecg.encoders.released import Layout, ReleasedConfig, fill, nothing
from anyecg.types import CANONICAL_LEADS, InputSpec

FS, BAND = 500.0, (0.67, 40.0)  # Hz
STEM, WIDTHS, BLOCKS = 64, (64, 160, 160, 400, 400, 1024, 1024), (2, 2, 2, 3, 3, 4, 4)  # of each stage
KERNEL, GROUP = 16, 16  # samples of a convolution, channels of its groups
LAYOUT = Layout(
    "ECGFounder (is `lead` the file's?)",
    inside=("state_dict",),
    names=(
        (r"first_conv\.conv\.(.+)", r"stem.\1"),
        (r"stage_list\.(\d)\.block_list\.(\d)\.(conv\d)\.conv\.(.+)", r"stages.\1.\2.\3.\4"),
        (r"stage_list\.(\d)\.block_list\.(\d)\.se_(fc\d)\.(.+)", r"stages.\1.\2.\3.\4"),
    ),
    # batch norms that the published network has and passes over, and the classes
    dropped=(r"first_bn\..+", r"stage_list\.\d\.block_list\.\d\.bn\d\..+", r"dense\..+"),
)


@dataclass(frozen=True)
class FounderConfig(ReleasedConfig):
    lead: str | None = None  # the one lead of 1_lead_ECGFounder.pth, which was trained on I; null: all twelve
    filtered: bool = True  # see 0.67 to 40 Hz alone, as pre-training did; false: the signal as it is

    def check(self, check: Checks) -> None:
        super().check(check)
        if self.lead is not None:
            check.among("lead", CANONICAL_LEADS)


class ECGFounder(Encoder):
    """ECGFounder's Net1D (Li et al. 2024, arXiv 2410.04133): 10 s at 500 Hz, 20 tokens of 1,024.

    From 0.67 to 40 Hz, over the deviation of all leads together. The published network of 30,819,014 parameters less
    its classes and less the batch norms that it has and passes over.
    """

    Config = FounderConfig

    @classmethod
    def input_spec(cls, cfg: FounderConfig) -> InputSpec:
        leads = CANONICAL_LEADS if cfg.lead is None else (cfg.lead,)
        return InputSpec(fs=FS, scaling=f"{__name__}:scaled" if cfg.filtered else "zscore", leads=leads)

    def __init__(self, cfg: FounderConfig) -> None:
        super().__init__()
        leads, length = self.input.shape
        self.stem = nn.Conv1d(leads, STEM, KERNEL, 2)
        length, into, stages = -(-length // 2), STEM, []
        for width, count in zip(WIDTHS, BLOCKS, strict=True):
            blocks = [Block(into, width, 2, first=not stages), *(Block(width, width, 1) for _ in range(count - 1))]
            stages.append(nn.Sequential(*blocks))
            length, into = -(-length // 2), width
        self.stages = nn.Sequential(*stages)
        self.dim, self.prefix, self.patches = into, 0, length
        fill(self, cfg.weights, LAYOUT)

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """`[N, leads, 5000]` -> `[N, 20, 1024]`."""
        if not len(clips):
            return nothing(self, clips)
        return self.stages(F.silu(convolved(self.stem, clips))).transpose(1, 2)


class Block(nn.Module):
    """Three convolutions (1, 16 and 1 samples) with activations ahead, channels weighed by their means, and a shortcut:
    `[N, into, T]` to `[N, width, ceil(T / stride)]`.

    first: the first block of the network, whose input was activated already.
    """

    def __init__(self, into: int, width: int, stride: int, first: bool = False) -> None:
        super().__init__()
        self.stride, self.first = stride, first
        self.conv1 = nn.Conv1d(into, width, 1)
        self.conv2 = nn.Conv1d(width, width, KERNEL, stride, groups=width // GROUP)
        self.conv3 = nn.Conv1d(width, width, 1)
        self.fc1, self.fc2 = nn.Linear(width, width // 2), nn.Linear(width // 2, width)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv1(x if self.first else F.silu(x))
        out = self.conv3(F.silu(convolved(self.conv2, F.silu(out))))
        weights = self.fc2(F.silu(self.fc1(out.mean(dim=2)))).sigmoid()
        out = out * weights[:, :, None]
        if self.stride > 1:  # the larger of two samples
            x = F.max_pool1d(F.pad(x, (0, self.stride - 1)), self.stride)
        more = out.shape[1] - x.shape[1]
        return out + F.pad(x, (0, 0, more // 2, more - more // 2))


def convolved(convolution: nn.Conv1d, x: Tensor) -> Tensor:
    """`[N, C, T]` to `[N, C', ceil(T / stride)]`: padded with zeros, the odd one behind."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    spare = max(0, (-(-x.shape[2] // stride) - 1) * stride + kernel - x.shape[2])
    return convolution(F.pad(x, (spare // 2, spare - spare // 2)))


def scaled(signal: np.ndarray, present: np.ndarray) -> np.ndarray:
    """`[L, T]` mV at 500 Hz -> its band over the deviation of the present leads together."""
    return zscore(band_pass(signal, FS, *BAND), present)
