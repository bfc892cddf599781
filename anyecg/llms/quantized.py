"""Frozen weights in 4 bits under LoRA (QLoRA, arXiv 2305.14314), by bitsandbytes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from transformers import BitsAndBytesConfig

from anyecg.types import ConfigError

KINDS = ("4bit",)


def lacking(kind: str | None) -> Iterator[str]:
    """What this machine lacks for it, a message each."""
    if kind is not None and importlib.util.find_spec("bitsandbytes") is None:
        yield (
            f"llm.quantize: {kind} needs bitsandbytes, which is not installed; pip install 'anyecg[qlora]', or set "
            "llm.quantize=null"
        )


def loading(kind: str | None, dtype: torch.dtype) -> dict[str, Any]:
    """What `from_pretrained` takes beside: NF4 with scales that are quantized themselves, computed in `dtype`, on the
    GPU there is (quantized where it lies; bitsandbytes computes on a CPU too, slowly).
    """
    if kind is None:
        return {}
    settings = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    device = torch.cuda.current_device() if torch.cuda.is_available() else "cpu"
    return {"quantization_config": settings, "device_map": {"": device}}


def check_rows(model: nn.Module) -> None:
    """ConfigError where a quantized matrix of a loaded model may be read wrongly. bitsandbytes 0.50 cuts a matrix into
    blocks of 64 numbers across its rows, but its AVX-512 kernels begin anew with each row when they read: rows of 32,
    96 or 160 come back 0.2 to 0.4 off (relative norm; 0.1 is right). On a GPU it reads as it wrote, whatever the rows.
    """
    for name, module in model.named_modules():
        weight = getattr(module, "weight", None)
        state = getattr(weight, "quant_state", None)
        if state is not None and weight.device.type == "cpu" and state.shape[-1] % state.blocksize:
            raise ConfigError(
                f"llm.quantize: on a CPU, bitsandbytes misreads 4-bit rows whose length is no multiple of "
                f"{state.blocksize}, and {name} has rows of {state.shape[-1]}; set llm.quantize=null, or run on a GPU"
            )
