"""ST-MEM's encoder, with its released weights where a file of them is given and its licence is kept to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from timm.models.vision_transformer import Block
from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.data.clips.filters import band_pass
from anyecg.data.clips.scaling import zscore
from anyecg.encoders.base import Encoder
from anyecg.encoders.ecg_jepa import waves
from anyecg.encoders.released import Layout, NonCommercialConfig, fill
from anyecg.types import InputSpec

FS, BAND = 250.0, (0.67, 40.0)  # Hz
DIM, HEADS = 768, 12
PATCH, TIMES = 75, 30  # samples of a patch, patches of a lead: 9 s
LAYOUT = Layout(
    "ST-MEM",
    inside=("model",),
    names=(
        (r"(?:encoder\.)?to_patch_embedding\.([123])\.(.+)", r"embed.\1.\2"),
        (r"(?:encoder\.)?pos_embedding", "position"),
        (r"(?:encoder\.)?sep_embedding", "separator"),
        (r"(?:encoder\.)?lead_embeddings\.(\d+)", r"leads.\1"),
        (r"(?:encoder\.)?block(\d+)\.attn\.norm\.(.+)", r"blocks.\1.norm1.\2"),
        (r"(?:encoder\.)?block(\d+)\.attn\.fn\.to_qkv\.(.+)", r"blocks.\1.attn.qkv.\2"),
        (r"(?:encoder\.)?block(\d+)\.attn\.fn\.to_out\.0\.(.+)", r"blocks.\1.attn.proj.\2"),
        (r"(?:encoder\.)?block(\d+)\.ff\.norm\.(.+)", r"blocks.\1.norm2.\2"),
        (r"(?:encoder\.)?block(\d+)\.ff\.fn\.net\.0\.(.+)", r"blocks.\1.mlp.fc1.\2"),
        (r"(?:encoder\.)?block(\d+)\.ff\.fn\.net\.3\.(.+)", r"blocks.\1.mlp.fc2.\2"),
        (r"(?:encoder\.)?norm\.(.+)", r"norm.\1"),
    ),
    dropped=(
        r"(encoder\.)?head\..+",
        r"(to_decoder_embedding|decoder_.+|decoder|mask_embedding)(\..+)?",  # of the whole file: the decoder
    ),
)


@dataclass(frozen=True)
class STMemConfig(NonCommercialConfig):
    layers: int = 12  # transformer blocks; the release has 12

    def check(self, check: Checks) -> None:
        super().check(check)
        check.number("layers", least=1)


class STMem(Encoder):
    """ST-MEM (Na et al. 2024): patches of 0.3 s of twelve leads between separators; 360 tokens of 768; 85,150,614
    parameters.

    At 250 Hz, from 0.67 to 40 Hz, over the deviation of all leads together. It takes 9 s: of a clip of 10 s, the middle
    (its authors average three crops). `pooled` is the norm of the tokens' mean, the tokens are the states before it.
    """

    Config = STMemConfig

    @classmethod
    def input_spec(cls, cfg: STMemConfig) -> InputSpec:
        return InputSpec(fs=FS, scaling=f"{__name__}:scaled")

    def __init__(self, cfg: STMemConfig) -> None:
        super().__init__()
        leads = self.input.shape[0]
        self.embed = nn.Sequential(
            nn.Unflatten(2, (TIMES, PATCH)), nn.LayerNorm(PATCH), nn.Linear(PATCH, DIM), nn.LayerNorm(DIM)
        )
        self.position = nn.Parameter(waves(torch.arange(TIMES + 2), DIM)[None], requires_grad=False)
        self.separator = nn.Parameter(0.02 * torch.randn(DIM))
        self.leads = nn.ParameterList(nn.Parameter(0.02 * torch.randn(DIM)) for _ in range(leads))
        self.blocks = nn.ModuleList(
            Block(DIM, HEADS, qkv_bias=True, norm_layer=nn.LayerNorm) for _ in range(cfg.layers)
        )
        self.norm = nn.LayerNorm(DIM)
        self.dim, self.prefix, self.patches = DIM, 0, leads * TIMES
        fill(self, cfg.weights, LAYOUT)

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """`[N, 12, 2500]` -> `[N, 360, 768]`, lead by lead."""
        spare = clips.shape[2] - TIMES * PATCH
        x = self.embed(clips[..., spare // 2 : spare // 2 + TIMES * PATCH])  # [N, leads, times, dim]
        between = self.separator.expand(*x.shape[:2], 1, -1)
        x = torch.cat([between, x, between], dim=2) + self.position[:, None] + torch.stack([*self.leads])[:, None]
        shape = x.shape
        x = x.flatten(1, 2)
        for block in self.blocks:
            x = block(x)
        return x.view(shape)[:, :, 1:-1].flatten(1, 2)

    def pooled(self, tokens: Tensor) -> Tensor:
        return self.norm(tokens.mean(dim=1))


def scaled(signal: np.ndarray, present: np.ndarray) -> np.ndarray:
    """`[L, T]` mV at 250 Hz -> its band over the deviation of the present leads together."""
    return zscore(band_pass(signal, FS, *BAND), present)
