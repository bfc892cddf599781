"""Gradient checkpointing of an LLM's layers, in train and in eval mode."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers.modeling_layers import GradientCheckpointingLayer

from anyecg.types import ConfigError


def recompute_layers(model: nn.Module) -> None:
    """Let the activations of each layer of a transformers model be computed again in the backward pass. ConfigError
    where it names no layers.

    The library's own switch does so in train mode only; a frozen LLM, through which gradients pass all the same, is in
    eval mode, so that its dropout is off. What a layer's hooks do is outside and is done once.
    """
    layers = [module for module in model.modules() if isinstance(module, GradientCheckpointingLayer)]
    if not layers:
        raise ConfigError(
            f"llm.gradient_checkpointing: {type(model).__name__} does not say what its layers are; set it to false"
        )
    for layer in layers:
        layer.forward = functools.partial(_recomputed, layer.forward)


def _recomputed(forward: Callable, *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)
