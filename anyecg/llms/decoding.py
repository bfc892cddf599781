"""Greedy decoding that stops row by row: what has ended is no longer computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

STILL = (
    0.5  # a batch shrinks when no more than this share of its rows still write: copying the cache costs about a step
)

Step = Callable[[Tensor, Tensor, Any], tuple[Tensor, Any]]


def greedy(
    step: Step,
    embed: Callable[[Tensor], Tensor],
    embeds: Tensor,
    mask: Tensor,
    limit: int,
    stops: Tensor,
    pad: int,
    beside: Any = None,
    watch: Callable[[Tensor], bool] | None = None,
) -> Tensor:
    """New token ids int64 `[B, n]`, n at most `limit`; a row has `pad` after its end.

    step: `(embeds [B, t, dim], mask [B, T], cache) -> (logits [B, V] of the last place, cache)`, the cache None at
    first and one of transformers' after; embed: ids to embeddings; embeds, mask: the left-padded prompts; stops int64
    `[k]`: ids that end a row;
    beside: what else holds the batch's rows and drops them by `batch_select_indices`, as a cache does; watch: gets the
    ids so far, int64 `[B, k]`, after each place, and ends all rows there where it returns True.
    """
    rows, cache = torch.arange(len(embeds), device=embeds.device), None  # which row of the batch each one here is
    written = torch.full((len(embeds), limit), pad, device=embeds.device)
    going = torch.ones_like(rows, dtype=torch.bool)
    for place in range(limit):
        logits, cache = step(embeds, mask, cache)
        token = logits.argmax(-1).masked_fill(~going, pad)
        written[rows, place] = token
        going = going & ~torch.isin(token, stops)
        left = int(going.sum())
        stopped = watch is not None and watch(written[:, : place + 1])
        if not left or stopped:
            return written[:, : place + 1]
        if left <= STILL * len(rows):
            kept = going.nonzero()[:, 0]
            cache.batch_select_indices(kept)
            if beside is not None:
                beside.batch_select_indices(kept)
            rows, token, mask, going = rows[kept], token[kept], mask[kept], going[kept]
        embeds, mask = embed(token[:, None]), torch.cat([mask, mask.new_ones(len(mask), 1)], 1)
    return written
