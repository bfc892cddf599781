"""ECG-CoCa's encoder (of ECG-Chat and GEM), with its released weights where a file of them is given."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.encoders.base import Encoder
from anyecg.encoders.merl import LEADS
from anyecg.encoders.released import Layout, ReleasedConfig, fill
from anyecg.types import InputSpec

DIM, HEADS, PATCH = 768, 12, 50  # PATCH: samples of all leads in a token, 0.1 s
AHEAD = r"(?:ecg\.)?"
LAYOUT = Layout(
    "ECG-CoCa",
    inside=("state_dict",),
    names=(
        (AHEAD + r"conv1\.weight", "patch.weight"),
        (AHEAD + "class_embedding", "cls"),
        (AHEAD + "positional_embedding", "position"),
        (AHEAD + r"ln_pre\.(.+)", r"before.\1"),
        (AHEAD + r"ln_post\.(.+)", r"norm.\1"),
        (AHEAD + r"transformer\.resblocks\.(\d+)\.ln_([12])\.(.+)", r"blocks.\1.norm\2.\3"),
        (AHEAD + r"transformer\.resblocks\.(\d+)\.attn\.in_proj_(.+)", r"blocks.\1.attn.qkv.\2"),
        (AHEAD + r"transformer\.resblocks\.(\d+)\.attn\.out_proj\.(.+)", r"blocks.\1.attn.proj.\2"),
        (AHEAD + r"transformer\.resblocks\.(\d+)\.mlp\.c_fc\.(.+)", r"blocks.\1.mlp.fc1.\2"),
        (AHEAD + r"transformer\.resblocks\.(\d+)\.mlp\.c_proj\.(.+)", r"blocks.\1.mlp.fc2.\2"),
    ),
    # the projection to the space shared with text, the text encoder and the decoder of captions
    dropped=(AHEAD + "proj", r"(text|text_decoder)\..+", r"logit_(scale|bias)"),
)


@dataclass(frozen=True)
class CocaConfig(ReleasedConfig):
    layers: int = 12  # transformer blocks; the release has 12

    def check(self, check: Checks) -> None:
        super().check(check)
        check.number("layers", least=1)


class ECGCoCa(Encoder):
    """The ECG tower of ECG-Chat's CoCa (Zhao et al. 2024, arXiv 2408.08849): a token each 0.1 s of all leads, and a
    [CLS].

    Ten seconds at 500 Hz in millivolts, leads as MIMIC-IV-ECG's files have them, of which nearly all of its
    training is; 101 tokens of 768 behind the last norm; 85,596,672 parameters.
    """

    Config = CocaConfig

    @classmethod
    def input_spec(cls, cfg: CocaConfig) -> InputSpec:
        return InputSpec(fs=500, scaling="millivolt", leads=LEADS)

    def __init__(self, cfg: CocaConfig) -> None:
        super().__init__()
        leads, samples = self.input.shape
        self.dim, self.prefix, self.patches = DIM, 1, samples // PATCH
        self.patch = nn.Conv1d(leads, DIM, PATCH, PATCH, bias=False)
        self.cls = nn.Parameter(DIM**-0.5 * torch.randn(DIM))
        self.position = nn.Parameter(DIM**-0.5 * torch.randn(1 + self.patches, DIM))
        self.before, self.norm = nn.LayerNorm(DIM), nn.LayerNorm(DIM)
        self.blocks = nn.Sequential(
            *(Block(DIM, HEADS, qkv_bias=True, norm_layer=nn.LayerNorm) for _ in range(cfg.layers))
        )
        fill(self, cfg.weights, LAYOUT)

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """`[N, 12, 5000]` -> `[N, 101, 768]`."""
        x = self.patch(clips).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), 1, -1), x], dim=1) + self.position
        return self.norm(self.blocks(self.before(x)))
