"""ECG-FM's encoder, with its released weights where a file of them is given."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from transformers import HubertConfig
from transformers.models.hubert.modeling_hubert import HubertEncoder

from anyecg.config.checks import Checks
from anyecg.encoders.base import Encoder
from anyecg.encoders.released import Layout, ReleasedConfig, fill, nothing
from anyecg.types import InputSpec

WIDTH, CONVOLUTIONS = 256, 4  # channels; convolutions of two samples, stride 2
DIM = 768
NAMES = (  # of fairseq-signals' wav2vec 2.0, behind whatever is ahead of them
    (r"feature_extractor\.conv_layers\.(\d)\.0\.weight", r"convolutions.\1.0.weight"),
    (r"feature_extractor\.conv_layers\.0\.2\.(.+)", r"convolutions.0.1.\1"),
    (r"layer_norm\.(.+)", r"norm.\1"),
    (r"post_extract_proj\.(.+)", r"project.\1"),
    (r"conv_pos\.pos_conv\.0\.bias", "encoder.pos_conv_embed.conv.bias"),
    (
        r"conv_pos\.pos_conv\.0\.(?:weight_g|parametrizations\.weight\.original0)",
        "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    ),
    (
        r"conv_pos\.pos_conv\.0\.(?:weight_v|parametrizations\.weight\.original1)",
        "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
    ),
    (r"encoder\.layers\.(\d+)\.self_attn\.(.+)", r"encoder.layers.\1.attention.\2"),
    (r"encoder\.layers\.(\d+)\.self_attn_layer_norm\.(.+)", r"encoder.layers.\1.layer_norm.\2"),
    (r"encoder\.layers\.(\d+)\.fc1\.(.+)", r"encoder.layers.\1.feed_forward.intermediate_dense.\2"),
    (r"encoder\.layers\.(\d+)\.fc2\.(.+)", r"encoder.layers.\1.feed_forward.output_dense.\2"),
    (r"(encoder\.(?:layer_norm|layers\.\d+\.final_layer_norm)\..+)", r"\1"),
)
DROPPED = (r"mask_emb", r"(quantizer|project_q|final_proj)\..+")  # what pre-training compares states with
LAYOUT = Layout("ECG-FM", inside=("model",), names=NAMES, dropped=DROPPED)


@dataclass(frozen=True)
class ECGFMConfig(ReleasedConfig):
    layers: int = 12  # transformer blocks; the release has 12
    dropout: float = 0.1  # after attention, MLP and positions

    def check(self, check: Checks) -> None:
        super().check(check)
        check.number("layers", least=1)
        check.number("dropout", least=0, below=1)


class Wav2Vec(Encoder):
    """Four convolutions of two samples, a convolution for positions, transformer blocks with their norms behind: a
    token each 32 ms.

    The trunk that ECG-FM and MELP share; transformers' HuBERT has the same blocks.
    """

    layout: Layout

    def __init__(self, cfg: ECGFMConfig) -> None:
        super().__init__()
        leads, samples = self.input.shape
        self.convolutions = nn.Sequential(
            *(
                nn.Sequential(
                    nn.Conv1d(WIDTH if number else leads, WIDTH, 2, 2, bias=False),
                    nn.Identity() if number else nn.GroupNorm(WIDTH, WIDTH),
                    nn.GELU(),
                )
                for number in range(CONVOLUTIONS)
            )
        )
        self.norm, self.project = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, DIM)
        sizes: dict[str, Any] = {"hidden_size": DIM, "num_hidden_layers": cfg.layers, "attn_implementation": "sdpa"}
        sizes |= {"hidden_dropout": cfg.dropout, "attention_dropout": cfg.dropout}
        self.encoder = HubertEncoder(HubertConfig(**sizes, activation_dropout=0.0, layerdrop=0.0))
        self.dim, self.prefix, self.patches = DIM, 0, samples // 2**CONVOLUTIONS
        fill(self, cfg.weights, self.layout)

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """`[N, 12, samples]` -> `[N, samples / 16, 768]`."""
        if not len(clips):
            return nothing(self, clips)
        x = self.project(self.norm(self.convolutions(clips).transpose(1, 2)))
        return self.encoder(x).last_hidden_state


class ECGFM(Wav2Vec):
    """ECG-FM (McKeen et al. 2024, arXiv 2408.05178): 5 s at 500 Hz, each lead over its deviation; 156 tokens of 768.

    90,373,248 parameters: the 90.9 million of the published file less what pre-training compares states with. A record
    of ten seconds is two clips, whose tokens a model averages as its authors do.
    """

    Config = ECGFMConfig
    layout = LAYOUT

    @classmethod
    def input_spec(cls, cfg: ECGFMConfig) -> InputSpec:
        return InputSpec(fs=500, seconds=5, scaling="lead_zscore")
