"""Rows of a batch one after the other, without padding, through an LLM whose attention keeps them apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

ATTENTION = "anyecg_packed"  # what transformers knows `attend` as
FULL = "full_attention"


class Rows:
    """Rows that stand one after the other in a sequence of P tokens.

    lengths: tokens of each; positions int64 `[1, P]`: of each token in its row; runs: (rows, tokens of each) of
    neighbours of one length. `layers`: how many layers have attended by it.
    """

    def __init__(self, lengths: Sequence[int]) -> None:
        self.runs = [(len(list(rows)), length) for length, rows in groupby(lengths)]
        self.positions = torch.cat([torch.arange(length) for length in lengths])[None]
        self.layers = 0


def attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **keywords
) -> tuple[Tensor, None]:
    """The library's SDPA, `[B, heads, T, size]` to `[B, T, heads, size]`; with `rows`, of each packed row by itself:
    queries, keys and values are `[1, heads, P, size]` then, and one call does all rows of a length.
    """
    rows: Rows | None = keywords.pop("rows", None)
    if rows is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **keywords)
    rows.layers += 1
    parts = [x.split([count * length for count, length in rows.runs], dim=2) for x in (query, key, value)]
    attended = []
    for (count, length), *run in zip(rows.runs, *parts, strict=True):
        q, k, v = (x[0].unflatten(1, (count, length)).transpose(0, 1) for x in run)  # [count, heads, length, size]
        attended.append(sdpa_attention_forward(module, q, k, v, None, **keywords)[0].flatten(0, 1))
    return torch.cat(attended)[None], None


AttentionInterface.register(ATTENTION, attend)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def packs(model: PreTrainedModel) -> bool:
    """Whether all that meets in this architecture are the tokens of a row in full causal attention, which the library
    lets another function compute.
    """
    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or [FULL])
    windows = [getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size")]
    return (
        model._supports_attention_backend
        and config._attn_implementation in ("sdpa", ATTENTION)
        and kinds == {FULL}
        and not any(windows)
    )
