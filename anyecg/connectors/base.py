"""What every connector promises to the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from anyecg.types import ConfigError


class Connector(nn.Module):
    """Encoder tokens to what a fusion brings into the LLM. A subclass has a frozen dataclass `Config`, built as
    `Connector(cfg, dim_in, dim_out)`.

    enters: the kind of its output, which a fusion of the same `enters` takes; "tokens": vectors of the LLM's width.

    A connector that works clip by clip overrides `forward`, and `tokens` if it changes their number. One that works
    over all clips of a record overrides `records` too; what it computes there with its own parameters goes through
    `self(...)`, since engines that shard parameters make them whole when the module is called.
    """

    enters = "tokens"

    @classmethod
    def of(cls, cfg: Any, encoder: Any, llm: Any) -> Connector:
        """The connector between an encoder and a `LanguageModel`. Here: from a token's width to an embedding's."""
        return cls(cfg, encoder.dim, llm.dim)

    def tokens(self, prefix: int, patches: int) -> tuple[int, int]:
        """Tokens out for an encoder's [CLS] and patch tokens of a clip: (a record, more for each of its clips).
        Here: [CLS] averaged, patches kept.
        """
        return prefix, patches

    def forward(self, x: Tensor) -> Tensor:
        """Clips `[N, P, dim_in]`, each by itself -> `[N, P', dim_out]`, P' the sum of `tokens`; N may be 0."""
        raise NotImplementedError

    def records(self, x: Tensor, prefix: int, owner: Tensor, counts: Sequence[int]) -> Tensor:
        """Tokens of all records, one record after the other: `[sum(a + b * S), dim_out]` for S clips a record, (a, b)
        as `tokens` says.

        x `[N, P, dim_in]`: an encoder's tokens of N clips, `prefix` [CLS] tokens first; owner int64 `[N]`: the record
        of each, ascending from 0; counts: clips of each record, on the host. Here: the leading tokens averaged over a
        record's clips, then the others, clip by clip. Nothing waits for the device.
        """
        tokens = self(x)
        n, width, dim = tokens.shape
        once, each = self.tokens(prefix, x.shape[1] - prefix)
        if width != once + each:
            raise ValueError(
                f"{type(self).__name__}: gives {width} tokens a clip, its method tokens says {once} + {each}"
            )
        first = torch.searchsorted(owner, owner)  # the first clip of each clip's record
        clips = torch.searchsorted(owner, owner, right=True) - first
        at_once = (once * owner + each * first)[:, None] + torch.arange(once, device=owner.device)
        at_each = (once * (owner + 1) + each * torch.arange(n, device=owner.device))[:, None] + torch.arange(
            each, device=owner.device
        )
        merged = tokens.new_zeros(once * len(counts) + each * n, dim)
        average = tokens[:, :once] / clips[:, None, None].to(tokens.dtype)
        merged = merged.index_add(0, at_once.flatten(), average.reshape(-1, dim))
        return merged.index_copy(0, at_each.flatten(), tokens[:, once:].reshape(-1, dim))


def attention_width(dim: int | None, heads: int, dim_in: int) -> int:
    """The width of a connector's attention: `dim`, or the encoder's where there is none; ConfigError where `heads` do
    not divide it.
    """
    width = dim or dim_in
    if width % heads:
        raise ConfigError(
            f"connector.heads: {heads} do not divide the encoder's width of {width}; set connector.heads or "
            f"connector.dim"
        )
    return width
