"""Flamingo's fusion: gated cross-attention to the ECGs before layers of the LLM, which itself stays as it is."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from anyecg.config.checks import Checks
from anyecg.fusion.base import Fusion
from anyecg.types import END_ID, Beside, ConfigError, ECGBatch

ATTENDS = ("all", "last")
NOWHERE = 2**31 - 1  # the number of an ECG that no text stands after


@dataclass(frozen=True)
class CrossConfig:
    """Which layers get a block, and its sizes."""

    every: int = 1  # a block before every n-th layer of the LLM, the n-th first
    heads: int = 8  # of the cross-attention
    head_dim: int = 64  # size of each
    mlp: int | None = None  # width of a block's MLP (None: four times the LLM's)
    attends: str = "all"  # what a token sees: all ECGs before it, or the last one only (Flamingo)
    ecgs: int = 16  # ECGs of a question that have a number of their own (attends: all)

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("every", "heads", "head_dim", "mlp", "ecgs", least=1)
            check.among("attends", ATTENDS)


class Cross(Fusion):
    """Gated cross-attention before every n-th layer of the LLM (Flamingo); best over the `resampler` connector.

    arXiv 2204.14198, section 2.2: x + tanh(a) attention(x, ECG), then x + tanh(b) MLP(x), with a and b 0 before
    training, so that the untrained model is the LLM over the text alone. In the text an ECG is its two markers; the
    second and what follows see it. Unlike there, a token that sees no ECG passes the MLP by as well, so that it does
    not matter what else is in a batch. Where a token sees all ECGs before it, the ECG's number in its question is told
    by a learned vector on its tokens.
    """

    Config = CrossConfig

    def __init__(self, cfg: CrossConfig, llm: Any, record: int, clip: int) -> None:
        super().__init__(cfg, llm, record, clip)
        self.record, self.clip, self.last = record, clip, cfg.attends == "last"
        layers, width = llm.layers()
        chosen = layers[cfg.every - 1 :: cfg.every]
        if not chosen:
            raise ConfigError(f"fusion.every: {cfg.every}, but {llm.config_name} has {len(layers)} layers")
        self.numbers = None if self.last else nn.Parameter(torch.zeros(cfg.ecgs, llm.dim))
        self.blocks = nn.ModuleList(
            Block(width, llm.dim, cfg.heads, cfg.head_dim, cfg.mlp or 4 * width) for _ in chosen
        )
        self._seen: Seen | None = None
        for number, layer in enumerate(chosen):
            layer.register_forward_pre_hook(functools.partial(self._before, number), with_kwargs=True)

    def _before(
        self, number: int, layer: nn.Module, args: tuple, kwargs: dict[str, Any]
    ) -> tuple[tuple, dict[str, Any]] | None:
        """A layer's arguments, its hidden states through the block before it. The block is recomputed in the
        backward pass where the layers are.
        """
        seen = self._seen
        if seen is None:
            return None
        states = args[0] if args else kwargs["hidden_states"]
        inputs = (states, *seen.keys[number], seen.visible[:, -states.shape[1] :])
        block = self.blocks[number]
        states = (
            checkpoint(block, *inputs, use_reentrant=False)
            if seen.recompute and torch.is_grad_enabled()
            else block(*inputs)
        )
        return ((states, *args[1:]), kwargs) if args else (args, kwargs | {"hidden_states": states})

    @contextlib.contextmanager
    def beside(self, llm: Any, batch: ECGBatch, tokens: Tensor) -> Iterator[Seen | None]:
        if not len(batch.rows):
            yield None
            return
        padded, numbers = self._by_row(batch, tokens)
        ended = (batch.input_ids == END_ID).cumsum(1)  # ECGs that stand before each token of the text
        visible = numbers[:, None] == ended[..., None] - 1 if self.last else numbers[:, None] < ended[..., None]
        self._seen = Seen([block.keys(padded) for block in self.blocks], visible, llm.checkpointing)
        try:
            yield self._seen
        finally:
            self._seen = None

    def _by_row(self, batch: ECGBatch, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens of all ECGs of each question `[B, M, d]`, padded at the end, and the number of each one's ECG in
        its question, int64 `[B, M]`.
        """
        rows, device = batch.rows, tokens.device
        longest = max(sum(self.record + self.clip * count for count in row) for row in batch.clip_counts)
        clips = torch.zeros_like(rows).index_add(0, batch.owner, torch.ones_like(batch.owner))
        sizes = self.record + self.clip * clips  # tokens of each record
        number = torch.arange(len(rows), device=device) - torch.searchsorted(rows, rows)
        of = torch.repeat_interleave(sizes, output_size=len(tokens))  # the record of each token
        lengths = torch.zeros(len(batch.ids), dtype=torch.long, device=device).index_add(0, rows, sizes)
        place = torch.arange(len(tokens), device=device) - (lengths.cumsum(0) - lengths)[rows[of]] + rows[of] * longest
        if self.numbers is not None:
            tokens = tokens + self.numbers[number.clamp(max=len(self.numbers) - 1)][of].to(tokens.dtype)
        padded = tokens.new_zeros(len(batch.ids) * longest, tokens.shape[1]).index_copy(0, place, tokens)
        numbers = torch.full((len(padded),), NOWHERE, device=device).index_copy(0, place, number[of])
        return padded.view(len(batch.ids), longest, -1), numbers.view(-1, longest)


class Seen(Beside):
    """The ECGs of a batch as the blocks see them.

    keys: of each block, keys and values `[B, heads, M, head_dim]`; visible: bool `[B, T, M]`, whose last row holds for
    all that is generated; recompute: whether a block is computed again in the backward pass.
    """

    def __init__(self, keys: list[tuple[Tensor, Tensor]], visible: Tensor, recompute: bool) -> None:
        self.keys, self.visible, self.recompute = keys, visible, recompute

    def batch_select_indices(self, indices: Tensor) -> None:
        self.keys = [(k[indices], v[indices]) for k, v in self.keys]
        self.visible = self.visible[indices]


class Block(nn.Module):
    """Gated cross-attention and a gated MLP on hidden states of the LLM, in the block's own precision."""

    def __init__(self, width: int, source: int, heads: int, head_dim: int, mlp: int) -> None:
        super().__init__()
        self.heads, inner = heads, heads * head_dim
        self.norm, self.norm_source, self.norm_mlp = nn.LayerNorm(width), nn.LayerNorm(source), nn.LayerNorm(width)
        self.q, self.kv, self.out = (
            nn.Linear(width, inner, bias=False),
            nn.Linear(source, 2 * inner, bias=False),
            nn.Linear(inner, width, bias=False),
        )
        self.mlp = nn.Sequential(nn.Linear(width, mlp, bias=False), nn.GELU(), nn.Linear(mlp, width, bias=False))
        self.gate, self.gate_mlp = nn.Parameter(torch.zeros(1)), nn.Parameter(torch.zeros(1))

    def keys(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values `[B, heads, M, head_dim]` of ECG tokens `[B, M, source]`."""
        k, v = self.kv(self.norm_source(tokens.to(self.gate.dtype))).chunk(2, -1)
        return self._split(k), self._split(v)

    def forward(self, states: Tensor, k: Tensor, v: Tensor, visible: Tensor) -> Tensor:
        """States `[B, t, width]` that have looked at what is visible, bool `[B, t, M]`; where nothing is, the
        attention adds 0.
        """
        sees = visible.any(-1, keepdim=True)
        x = states.to(self.gate.dtype)
        q = self._split(self.q(self.norm(x)))
        attended = F.scaled_dot_product_attention(q, k.to(q.dtype), v.to(q.dtype), attn_mask=(visible | ~sees)[:, None])
        x = x + torch.tanh(self.gate) * self.out(attended.transpose(1, 2).flatten(2)) * sees
        x = x + torch.tanh(self.gate_mlp) * self.mlp(self.norm_mlp(x)) * sees
        return x.to(states.dtype)

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
