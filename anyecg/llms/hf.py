"""Any causal LM of the hub or of a folder."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PretrainedConfig

from anyecg.config.checks import Checks
from anyecg.config.shipped import experiments
from anyecg.llms.base import LanguageModel, LLMConfig, context_of
from anyecg.llms.chat import Chat
from anyecg.llms.quantized import KINDS, check_rows, lacking, loading
from anyecg.types import ConfigError

ARCHITECTURES = experiments() / "architectures"  # configs of LLMs whose weights are gated

DTYPES = ("float32", "bfloat16")


@dataclass(frozen=True)
class HFConfig(LLMConfig):
    path: str = "meta-llama/Meta-Llama-3-8B-Instruct"  # a hub id or a folder (default: the paper's)
    dtype: str = "bfloat16"  # of the weights: float32 or bfloat16
    attention: str | None = (
        None  # transformers' attn_implementation (sdpa, eager, ...); None: SDPA where the family has it
    )
    # 4bit: the frozen weights in 4 bits by bitsandbytes, computed in `dtype` (QLoRA); None: as they are
    quantize: str | None = None

    def checks(self, check: Checks) -> None:
        super().checks(check)
        check.among("dtype", DTYPES)
        check.among("quantize", KINDS)
        if self.quantize and self.tuning == "full":
            check.wrong("quantize", "4-bit weights cannot be trained; write tuning: lora, or quantize: null")


class HFLanguageModel(LanguageModel):
    """Any causal LM by hub id or folder."""

    Config = HFConfig

    def __init__(
        self, cfg: HFConfig, texts: Callable[[], Iterable[str]] | None = None, cache: Path | None = None
    ) -> None:
        for message in self.lacking(cfg):
            raise ConfigError(message)
        with told(cfg.path):
            tokenizer = AutoTokenizer.from_pretrained(cfg.path, trust_remote_code=False)
            dtype = getattr(torch, cfg.dtype)
            model, found = AutoModelForCausalLM.from_pretrained(
                cfg.path,
                dtype=dtype,
                attn_implementation=cfg.attention,
                output_loading_info=True,
                trust_remote_code=False,
                **loading(cfg.quantize, dtype),
            )
        if getattr(model, "_hf_peft_config_loaded", False):
            raise ConfigError(
                f"llm.path: '{cfg.path}' is an adapter, which would be trained over; give the folder of the model "
                f"that it is merged into"
            )
        if missing := sorted(found["missing_keys"]):
            raise ConfigError(
                f"llm.path: '{cfg.path}' lacks {len(missing)} of the model's weights, such as {missing[0]}; is the "
                f"download complete?"
            )
        check_rows(model)
        super().__init__(cfg, model, tokenizer, cfg.path)

    @classmethod
    def lacking(cls, cfg: HFConfig) -> Iterator[str]:
        yield from lacking(cfg.quantize)

    @classmethod
    def reader(cls, cfg: HFConfig, texts: Callable[[], Iterable[str]], cache: Path) -> tuple[Chat, int]:
        with told(cfg.path):
            tokenizer = AutoTokenizer.from_pretrained(cfg.path, trust_remote_code=False)
            return Chat(tokenizer, cfg.chat), context_of(
                AutoConfig.from_pretrained(cfg.path, trust_remote_code=False), tokenizer
            )

    @classmethod
    def architecture(cls, cfg: HFConfig, cache: Path | None = None) -> PretrainedConfig:
        """From the folder at `path`; else as it is shipped for that hub id (experiments/architectures); else from
        the hub.
        """
        shipped = ARCHITECTURES / f"{cfg.path.replace('/', '--')}.json"
        known = not Path(cfg.path).is_dir() and shipped.exists()
        with told(cfg.path):
            config = (
                AutoConfig.for_model(**json.loads(shipped.read_text()))
                if known
                else AutoConfig.from_pretrained(cfg.path, trust_remote_code=False)
            )
        config.name_or_path, config.dtype = cfg.path, getattr(torch, cfg.dtype)
        return config


@contextlib.contextmanager
def told(path: str) -> Iterator[None]:
    """ConfigError where a path cannot be loaded."""
    try:
        yield
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        raise ConfigError(
            f"llm.path: '{path}' cannot be loaded ({str(error).splitlines()[0]}); give the folder of a downloaded "
            "causal LM, or choose llm=smollm2 (real weights from a package) or llm=tiny (trained in the run)"
        ) from error
