"""MERL's ECG encoder (ResNet18), with its released weights where a file of them is given."""

from __future__ import annotations

from torch import Tensor, nn

from anyecg.encoders.base import Encoder
from anyecg.encoders.released import Layout, ReleasedConfig, fill
from anyecg.types import InputSpec

LEADS = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")  # aVF first, as MIMIC-IV-ECG has it
WIDTHS = (64, 128, 256, 512)  # channels of the four layers
# res18_best_ckpt.pth (everything: heads, text projection, the text encoder) or res18_best_encoder.pth
LAYOUT = Layout(
    "MERL's ResNet18",
    names=((r"ecg_encoder\.(.+)", r"\1"),),
    dropped=(r"(ecg_encoder\.)?(downconv|att_pool_head|linear[12]?|proj_t|lm_model)\..+",),
)


class Merl(Encoder):
    """MERL's ResNet18 over 10 s at 500 Hz, to [0, 1] over all leads (Liu et al. 2024, arXiv 2403.06659): 313 tokens.

    3,848,832 parameters. Its heads and text encoder are left out: a probe or a connector takes the trunk's tokens.
    """

    Config = ReleasedConfig

    @classmethod
    def input_spec(cls, cfg: ReleasedConfig) -> InputSpec:
        return InputSpec(fs=500, scaling="minmax", leads=LEADS)

    def __init__(self, cfg: ReleasedConfig) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(len(LEADS), WIDTHS[0], 7, 2, 3, bias=False), nn.BatchNorm1d(WIDTHS[0])
        into = WIDTHS[0]
        for number, width in enumerate(WIDTHS, start=1):
            stride = 1 if number == 1 else 2
            setattr(self, f"layer{number}", nn.Sequential(Block(into, width, stride), Block(width, width, 1)))
            into = width
        self.dim, self.prefix, self.patches = WIDTHS[-1], 0, 313
        fill(self, cfg.weights, LAYOUT)

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """`[N, 12, 5000]` -> `[N, 313, 512]`."""
        x = self.bn1(self.conv1(clips)).relu()
        for number in range(1, len(WIDTHS) + 1):
            x = getattr(self, f"layer{number}")(x)
        return x.transpose(1, 2)


class Block(nn.Module):
    """Two convolutions of three samples and a shortcut: `[N, into, T]` -> `[N, width, T / stride]`."""

    def __init__(self, into: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv1d(into, width, 3, stride, 1, bias=False), nn.BatchNorm1d(width)
        self.conv2, self.bn2 = nn.Conv1d(width, width, 3, 1, 1, bias=False), nn.BatchNorm1d(width)
        self.shortcut = nn.Sequential()
        if stride > 1 or into != width:
            self.shortcut = nn.Sequential(nn.Conv1d(into, width, 1, stride, bias=False), nn.BatchNorm1d(width))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn1(self.conv1(x)).relu()
        return (self.bn2(self.conv2(inner)) + self.shortcut(x)).relu()
