"""ECG-JEPA's encoder, with its released weights where a file of them is given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.encoders.base import Encoder
from anyecg.encoders.released import Layout, ReleasedConfig, fill
from anyecg.types import InputSpec

LEADS = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")
DIM, HEADS = 768, 16
PATCH, TIMES = 50, 50  # samples of a patch, patches of a lead
LAYOUT = Layout(
    "ECG-JEPA",
    inside=("encoder",),
    names=((r"W_P\.(.+)", r"project.\1"), (r"pos_embed", "position"), (r"encoder_blocks\.(blocks\..+)", r"\1")),
)


@dataclass(frozen=True)
class JepaConfig(ReleasedConfig):
    layers: int = 12  # transformer blocks; the release has 12

    def check(self, check: Checks) -> None:
        super().check(check)
        check.number("layers", least=1)


class ECGJepa(Encoder):
    """ECG-JEPA (Kim 2024, arXiv 2410.08559): patches of 0.2 s of eight leads, 400 tokens of 768; 85,374,720 parameters.

    Ten seconds at 250 Hz in millivolts. A patch attends to those of its lead and those of its time, and its position is
    added ahead of every block.
    """

    Config = JepaConfig
    seen: Tensor

    @classmethod
    def input_spec(cls, cfg: JepaConfig) -> InputSpec:
        return InputSpec(fs=250, scaling="millivolt", leads=LEADS)

    def __init__(self, cfg: JepaConfig) -> None:
        super().__init__()
        self.project = nn.Linear(PATCH, DIM)
        patches = len(LEADS) * TIMES
        lead, time = torch.arange(patches) // TIMES, torch.arange(patches) % TIMES
        at = torch.cat([waves(lead, DIM // 2), waves(time, DIM // 2)], dim=1)
        self.position = nn.Parameter(at, requires_grad=False)  # the release's own are in its file
        self.register_buffer(
            "seen", (lead[:, None] == lead) | (time[:, None] == time), persistent=False
        )  # [400, 400], True where attended to
        self.blocks = nn.ModuleList(Block(DIM, HEADS, norm_layer=nn.LayerNorm) for _ in range(cfg.layers))
        self.norm = nn.LayerNorm(DIM)
        self.dim, self.prefix, self.patches = DIM, 0, patches
        fill(self, cfg.weights, LAYOUT)

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """`[N, 8, 2500]` -> `[N, 400, 768]`, lead by lead."""
        x = self.project(clips.unflatten(2, (TIMES, PATCH)).flatten(1, 2))
        for block in self.blocks:
            x = block(x + self.position, attn_mask=self.seen)
        return self.norm(x)


def waves(at: Tensor, dim: int) -> Tensor:
    """Sines and cosines of places int64 `[P]`: `[P, dim]`."""
    angles = at[:, None] * 10_000.0 ** (-torch.arange(dim // 2) / (dim // 2))
    return torch.cat([angles.sin(), angles.cos()], dim=1)
