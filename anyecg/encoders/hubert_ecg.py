"""HuBERT-ECG's encoder, with its released weights where a file of them is given and its licence is kept to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor
from transformers import HubertConfig, HubertModel

from anyecg.config.checks import Checks
from anyecg.data.clips.filters import band_pass
from anyecg.encoders.base import Encoder
from anyecg.encoders.released import Layout, NonCommercialConfig, fill, nothing
from anyecg.types import InputSpec

FS, BAND = 100.0, (0.05, 47.0)  # Hz
SIZES = {"small": (512, 8, 8), "base": (768, 12, 12), "large": (960, 16, 12)}  # size of a token, blocks, heads
KERNELS, STRIDES, WIDTH = (10, 3, 3, 2, 2), (4, 2, 2, 2, 2), 512
POSITIONS = r"encoder\.pos_conv_embed\.conv\."
LAYOUT = Layout(
    "HuBERT-ECG (is `size` the file's?)",
    inside=("model_state_dict",),
    names=(
        (POSITIONS + "weight_g", "net.encoder.pos_conv_embed.conv.parametrizations.weight.original0"),
        (POSITIONS + "weight_v", "net.encoder.pos_conv_embed.conv.parametrizations.weight.original1"),
        (r"((?:encoder|feature_extractor|feature_projection)\..+)", r"net.\1"),
    ),
    dropped=(r"masked_spec_embed", r"(final_proj|label_embedding)\..+"),  # what masked pre-training predicts with
)


@dataclass(frozen=True)
class HubertECGConfig(NonCommercialConfig):
    size: str = "small"  # small, base, large: which of the three that are published
    layers: int | None = None  # transformer blocks; null: as `size` says
    dropout: float = 0.1  # after attention, MLP and positions

    def check(self, check: Checks) -> None:
        super().check(check)
        check.among("size", SIZES)
        check.number("layers", least=1)
        check.number("dropout", least=0, below=1)


class HubertECG(Encoder):
    """HuBERT-ECG (Coppola et al. 2024): 5 s at 100 Hz from 0.05 to 47 Hz, the twelve leads laid end to end; 93 tokens.

    30.2, 92.8 or 182 million parameters without what masked pre-training predicts with. Its band is taken lead by
    lead ahead of the laying, so that no lead leaks into the next one.
    """

    Config = HubertECGConfig

    @classmethod
    def input_spec(cls, cfg: HubertECGConfig) -> InputSpec:
        return InputSpec(fs=FS, seconds=5, scaling=f"{__name__}:scaled")

    def __init__(self, cfg: HubertECGConfig) -> None:
        super().__init__()
        dim, layers, heads = SIZES[cfg.size]
        sizes: dict[str, Any] = {
            "hidden_size": dim,
            "num_hidden_layers": layers if cfg.layers is None else cfg.layers,
            "num_attention_heads": heads,
            "intermediate_size": 4 * dim,
            "conv_dim": (WIDTH,) * len(KERNELS),
            "conv_kernel": KERNELS,
            "conv_stride": STRIDES,
            "attn_implementation": "sdpa",
        }
        sizes |= dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout"), cfg.dropout)
        sizes |= dict.fromkeys(("feat_proj_dropout", "layerdrop", "mask_time_prob", "mask_feature_prob"), 0.0)
        self.net = HubertModel(HubertConfig(**sizes))
        length = self.input.shape[0] * self.input.shape[1]
        for kernel, stride in zip(KERNELS, STRIDES, strict=True):
            length = (length - kernel) // stride + 1
        self.dim, self.prefix, self.patches = dim, 0, length
        fill(self, cfg.weights, LAYOUT)

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """`[N, 12, 500]` -> `[N, 93, dim]`."""
        if not len(clips):
            return nothing(self, clips)
        x = clips.flatten(1)[:, None]
        for layer in self.net.feature_extractor.conv_layers:
            x = layer(x)
        return self.net.encoder(self.net.feature_projection(x.transpose(1, 2))).last_hidden_state


def scaled(signal: np.ndarray, present: np.ndarray) -> np.ndarray:
    """`[L, T]` mV at 100 Hz -> its band, in mV."""
    return band_pass(signal, FS, *BAND)
