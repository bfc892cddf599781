"""Gradient checkpointing of an LLM's layers, in train and in eval mode."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts
from transformers.modeling_layers import GradientCheckpointingLayer

from anyecg.types import ConfigError

SELECTIVE = "selective"  # what matrix products and attention gave is kept, the rest is computed again
COSTLY = [  # what a selective pass keeps
    getattr(torch.ops.aten, name).default
    for name in (
        "mm",
        "addmm",
        "bmm",
        "baddbmm",
        "_scaled_dot_product_flash_attention",
        "_scaled_dot_product_flash_attention_for_cpu",
        "_scaled_dot_product_efficient_attention",
        "_scaled_dot_product_cudnn_attention",
    )
]


def recompute_layers(model: nn.Module, selective: bool = False) -> None:
    """Let the activations of each layer of a transformers model be computed again in the backward pass. ConfigError
    where it names no layers.

    selective: the results of matrix products and of attention are kept, so no product is computed twice.
    The library's own switch does so in train mode only; a frozen LLM, through which gradients pass all the same, is in
    eval mode, so that its dropout is off. What a layer's hooks do is outside and is done once.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise ConfigError(
            f"llm.gradient_checkpointing: {type(model).__name__} does not say what its layers are; set it to false"
        )
    for layer in layers:
        layer.forward = functools.partial(_recomputed, layer.forward, selective)


def _recomputed(forward: Callable, selective: bool, *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    if selective:
        kwargs["context_fn"] = functools.partial(create_selective_checkpoint_contexts, COSTLY)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)
