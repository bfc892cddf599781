"""Parameters of which each process may hold a part only (DeepSpeed ZeRO-3), made whole for a moment."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import torch
from torch import nn


@contextlib.contextmanager
def gathered(parameters: Iterable[nn.Parameter], write: bool = False) -> Iterator[None]:
    """Within it, these parameters are whole on every process; write: what the first process changes is kept, by all.

    Every process must enter it with the same parameters. Where none is sharded, nothing happens.
    """
    sharded = [parameter for parameter in parameters if hasattr(parameter, "ds_id")]
    if not sharded:
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters(sharded, modifier_rank=0 if write else None):
        yield


def shape_of(parameter: nn.Parameter) -> torch.Size:
    """The shape of the whole parameter, of which a process may hold a part (ZeRO-3, FSDP)."""
    return getattr(parameter, "ds_shape", getattr(parameter, "whole_shape", parameter.shape))
