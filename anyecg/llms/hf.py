"""Any causal LM of the hub or of a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from anyecg.llms.base import LanguageModel, LLMConfig
from anyecg.types import ConfigError


@dataclass(frozen=True)
class HFConfig(LLMConfig):
    path: str = "meta-llama/Meta-Llama-3-8B-Instruct"  # a hub id or a folder (default: the paper's)
    dtype: str = "bfloat16"  # of the weights: float32 or bfloat16
    attention: str | None = None  # transformers' attn_implementation (sdpa, eager, ...); None: SDPA where the family has it


class HFLanguageModel(LanguageModel):
    """Any causal LM by hub id or folder."""

    Config = HFConfig

    def __init__(
        self, cfg: HFConfig, texts: Callable[[], Iterable[str]] | None = None, cache: Path | None = None
    ) -> None:
        if cfg.dtype not in ("float32", "bfloat16"):
            raise ConfigError(f"llm.dtype: '{cfg.dtype}' is neither float32 nor bfloat16")
        try:
            tokenizer = AutoTokenizer.from_pretrained(cfg.path)
            model = AutoModelForCausalLM.from_pretrained(
                cfg.path, dtype=getattr(torch, cfg.dtype), attn_implementation=cfg.attention
            )
        except (OSError, ValueError, ImportError) as error:
            raise ConfigError(
                f"llm.path: '{cfg.path}' cannot be loaded ({str(error).splitlines()[0]}); give the folder of a downloaded "
                "causal LM, or choose llm=smollm2 (real weights from a package) or llm=tiny (trained in the run)"
            ) from error
        super().__init__(cfg, model, tokenizer, cfg.path)
