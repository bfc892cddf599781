"""Models of a few million parameters of many families, as `tiny` is of Llama: what a recipe over backbones is tried
with where there are no weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from transformers import AutoConfig, PretrainedConfig

from anyecg.config.checks import Checks
from anyecg.llms.tiny import TinyConfig, TinyLlama

NAMES = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "max_position_embeddings")
GPT = ("n_embd", "n_layer", "n_head", "n_inner", "n_positions")
# how the library's config of a family calls size of an embedding, layers, heads, width of an MLP, context; "": none
FAMILIES = {
    "llama": NAMES,
    "mistral": NAMES,
    "qwen2": NAMES,
    "phi": NAMES,
    "gpt_neox": NAMES,
    "opt": ("hidden_size", "num_hidden_layers", "num_attention_heads", "ffn_dim", "max_position_embeddings"),
    "gpt2": GPT,
    "gptj": GPT,
    "gpt_neo": ("hidden_size", "num_layers", "num_heads", "intermediate_size", "max_position_embeddings"),
    "bloom": ("hidden_size", "n_layer", "n_head", "", ""),
}


@dataclass(frozen=True)
class TinyFamilyConfig(TinyConfig):
    family: str = "gpt2"  # llama, mistral, qwen2, phi, gpt_neox, opt, gpt2, gptj, gpt_neo, bloom

    def checks(self, check: Checks) -> None:
        super().checks(check)
        check.among("family", FAMILIES)


class TinyFamily(TinyLlama):
    """A model of about 2 M parameters of a family by name, its tokenizer and weights trained within the run."""

    Config = TinyFamilyConfig
    called = "tiny_family"

    @classmethod
    def sized(cls, cfg: TinyFamilyConfig, vocab: int) -> PretrainedConfig:
        """The library's config of these sizes."""
        sizes = (cfg.dim, cfg.layers, cfg.heads, cfg.mlp, cfg.context)
        own = {name: size for name, size in zip(FAMILIES[cfg.family], sizes, strict=True) if name}
        more: dict[str, dict[str, Any]] = {
            "mistral": {"num_key_value_heads": cfg.heads},
            "qwen2": {"num_key_value_heads": cfg.heads},
            "opt": {"word_embed_proj_dim": cfg.dim},
            "gptj": {"rotary_dim": cfg.dim // cfg.heads // 2 * 2},
            "gpt_neo": {"attention_types": [[["global"], cfg.layers]]},
        }
        return AutoConfig.for_model(
            cfg.family,
            vocab_size=vocab,
            tie_word_embeddings=True,
            initializer_range=0.7 * cfg.dim**-0.5,  # the library's 0.02 suits widths of thousands
            **own,
            **more.get(cfg.family, {}),
        )
