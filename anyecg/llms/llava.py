"""The LLM inside a checkpoint of LLaVA's layout, such as LLaVA-1.6's or PULSE-7B's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

from anyecg.llms.base import LanguageModel, context_of
from anyecg.llms.chat import Chat
from anyecg.llms.hf import HFConfig, HFLanguageModel, told
from anyecg.types import ConfigError

VISION = ("model.mm_projector.", "model.vision_tower.", "model.image_newline")  # what else such a checkpoint holds


@dataclass(frozen=True)
class LlavaConfig(HFConfig):
    path: str = "PULSE-ECG/PULSE-7B"  # a folder of LLaVA's layout (`model_type: llava_llama`), or a hub id
    chat: str = "vicuna"


class LlavaLlama(HFLanguageModel):
    """The Llama of a LLaVA checkpoint (LLaVA-1.6, PULSE-7B), without its eyes."""

    Config = LlavaConfig

    def __init__(
        self, cfg: LlavaConfig, texts: Callable[[], Iterable[str]] | None = None, cache: Path | None = None
    ) -> None:
        with told(cfg.path):
            tokenizer = AutoTokenizer.from_pretrained(cfg.path)
            model, found = LlamaForCausalLM.from_pretrained(
                cfg.path,
                config=llama(cfg.path),
                dtype=getattr(torch, cfg.dtype),
                attn_implementation=cfg.attention,
                output_loading_info=True,
            )
        strange = sorted(name for name in found["unexpected_keys"] if not name.startswith(VISION))
        for names, what in ((sorted(found["missing_keys"]), "lacks"), (strange, "has no place for")):
            if names:
                raise ConfigError(f"llm.path: '{cfg.path}' {what} {len(names)} weights of a Llama, such as {names[0]}")
        LanguageModel.__init__(self, cfg, model, tokenizer, cfg.path)

    @classmethod
    def reader(cls, cfg: LlavaConfig, texts: Callable[[], Iterable[str]], cache: Path) -> tuple[Chat, int]:
        with told(cfg.path):
            tokenizer = AutoTokenizer.from_pretrained(cfg.path)
            return Chat(tokenizer, cfg.chat), context_of(llama(cfg.path), tokenizer)

    @classmethod
    def architecture(cls, cfg: LlavaConfig, cache: Path | None = None) -> LlamaConfig:
        with told(cfg.path):
            config = llama(cfg.path)
        config.name_or_path, config.dtype = cfg.path, getattr(torch, cfg.dtype)
        return config


def llama(path: str) -> LlamaConfig:
    """The Llama's own settings in LLaVA's config.json."""
    values, _ = LlamaConfig.get_config_dict(path)
    known = set(LlamaConfig().to_dict()) | {"num_key_value_heads"}
    return LlamaConfig(**{key: value for key, value in values.items() if key in known and key != "model_type"})
