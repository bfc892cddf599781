"""Frozen weights in 4 bits under LoRA (QLoRA, arXiv 2305.14314), by bitsandbytes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import torch
from transformers import BitsAndBytesConfig

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
