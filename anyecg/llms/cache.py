"""A cache that stores nothing, for passes over a whole text that need none."""

from __future__ import annotations

from torch import Tensor
from transformers import Cache, DynamicCache, PretrainedConfig
from transformers.cache_utils import DynamicLayer


class NoCache(Cache):
    """Keys and values go through it as they are.

    A model of transformers that is given neither a mask nor a cache looks in every forward pass whether a row holds
    several texts, which waits for the device. Given a cache, it takes every row for one text and does not look.
    """

    def __init__(self) -> None:
        super().__init__(layers=[])

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args, **kwargs
    ) -> tuple[Tensor, Tensor]:
        return key_states, value_states


def takes_no_cache(config: PretrainedConfig) -> bool:
    """Whether all layers of this architecture are attention, whose keys and values are all that they would cache."""
    return all(isinstance(layer, DynamicLayer) for layer in DynamicCache(config=config).layers)
