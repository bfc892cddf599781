"""Logits and cross-entropy in one kernel, by whichever library of this machine has it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from anyecg.types import ConfigError

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]  # hidden [M, dim], weight [V, dim], targets [M] -> the summed loss


def fused(device: torch.device) -> Loss:
    """Torch's `linear_cross_entropy` (2.15), else Liger's kernel on a GPU; ConfigError where there is neither."""
    if hasattr(F, "linear_cross_entropy"):
        return by_torch
    if device.type == "cuda" and importlib.util.find_spec("liger_kernel"):
        return by_liger
    raise ConfigError(
        f"trainer.fused_loss: needs torch 2.15 or newer, this is {torch.__version__}; or, on a GPU, "
        "pip install liger-kernel"
    )


def by_torch(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    return F.linear_cross_entropy(hidden, weight, targets, reduction="sum")


def by_liger(hidden: Tensor, weight: Tensor, targets: Tensor) -> Tensor:
    from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss

    return LigerFusedLinearCrossEntropyLoss(reduction="sum")(weight, hidden, targets)
