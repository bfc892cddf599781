"""The Perceiver resampler of Flamingo as a connector: a fixed number of tokens a record, whatever its length."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyecg.config.checks import Checks
from anyecg.connectors.base import Connector, attention_width


@dataclass(frozen=True)
class ResamplerConfig:
    """Sizes of the resampler; None: its width is the encoder's, its MLP four times as wide."""

    latents: int = 32  # tokens that come out for each record
    layers: int = 2  # blocks of cross-attention and MLP
    heads: int = 8  # of an attention
    dim: int | None = None  # size of a query (None: the encoder's)
    mlp: int | None = None  # width of the hidden layer of an MLP (None: four times `dim`)

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("latents", "layers", "heads", "dim", "mlp", least=1)
            if not check.problems and self.dim and self.dim % self.heads:
                check.wrong("dim", f"{self.dim} is not a multiple of heads: {self.heads}")


class Resampler(Connector):
    """Learned latents that attend to all clips of a record (Flamingo's Perceiver resampler); a fixed number of tokens a
    record.

    Each layer: the latents attend to the encoder's tokens and to themselves, then an MLP (arXiv 2204.14198, section
    2.1). A sinusoid of a clip's number in its record, by a learned matrix, is added to the clip's tokens: Flamingo's
    embedding of a frame's time.
    """

    Config = ResamplerConfig

    def __init__(self, cfg: ResamplerConfig, dim_in: int, dim_out: int) -> None:
        super().__init__()
        dim = attention_width(cfg.dim, cfg.heads, dim_in)
        self.number = cfg.latents  # an engine that shards leaves the parameter itself without a shape
        self.latents = nn.Parameter(torch.randn(cfg.latents, dim) * 0.02)
        self.into = nn.Linear(dim_in, dim)
        self.time = nn.Linear(dim, dim, bias=False)
        self.layers = nn.ModuleList(_Layer(dim, cfg.heads, cfg.mlp or 4 * dim) for _ in range(cfg.layers))
        self.norm, self.out = nn.LayerNorm(dim), nn.Linear(dim, dim_out)

    def tokens(self, prefix: int, patches: int) -> tuple[int, int]:
        return self.number, 0

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """Records `[R, S, P, dim_in]` of at most S clips -> `[R, latents, dim_out]`; or clips `[N, P, dim_in]`, each a
        record; R or N may be 0.

        seen: bool `[R, S]`, which clips there are (None: all).
        """
        x = x[:, None] if x.ndim == 3 else x
        r, s, p, _ = x.shape
        x = (
            self.into(x)
            + self.time(sinusoid(s, self.time.in_features, x.device).to(self.time.weight.dtype))[None, :, None]
        )
        mask = None if seen is None else seen[:, :, None].expand(r, s, p).reshape(r, s * p)
        x, latents = x.flatten(1, 2), self.latents.repeat(r, 1, 1)
        for layer in self.layers:
            latents = layer(latents, x, mask)
        return self.out(self.norm(latents))

    def records(self, x: Tensor, prefix: int, owner: Tensor, counts: Sequence[int]) -> Tensor:
        longest = max(counts, default=1)
        if longest == 1:
            return self(x).flatten(0, 1)
        first = torch.searchsorted(owner, owner)
        place = owner * longest + torch.arange(len(owner), device=owner.device) - first
        padded = x.new_zeros(len(counts) * longest, *x.shape[1:]).index_copy(0, place, x)
        seen = torch.zeros(len(padded), dtype=torch.bool, device=x.device).index_fill(0, place, True)
        return self(padded.unflatten(0, (-1, longest)), seen.view(-1, longest)).flatten(0, 1)


class _Layer(nn.Module):
    """Latents `[R, L, dim]` attend to `[R, T, dim]` and to themselves; then an MLP. mask: bool `[R, T]`, what they
    may see.
    """

    def __init__(self, dim: int, heads: int, mlp: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_latents, self.norm_x, self.norm_mlp = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.q, self.kv, self.project = (
            nn.Linear(dim, dim, bias=False),
            nn.Linear(dim, 2 * dim, bias=False),
            nn.Linear(dim, dim, bias=False),
        )
        self.mlp = nn.Sequential(nn.Linear(dim, mlp), nn.GELU(), nn.Linear(mlp, dim))

    def forward(self, latents: Tensor, x: Tensor, mask: Tensor | None) -> Tensor:
        own = self.norm_latents(latents)
        k, v = self.kv(torch.cat([self.norm_x(x), own], 1)).chunk(2, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in (self.q(own), k, v))
        allowed = None if mask is None else F.pad(mask, (0, own.shape[1]), value=True)[:, None, None]
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        latents = latents + self.project(attended.transpose(1, 2).flatten(2))
        return latents + self.mlp(self.norm_mlp(latents))


def sinusoid(n: int, dim: int, device: torch.device) -> Tensor:
    """Float32 `[n, dim]`: the numbers 0 to n - 1 as sines and cosines of falling frequencies (0 where dim is odd, in
    the last place).
    """
    half = dim // 2
    rates = torch.exp(-math.log(10_000) * torch.arange(half, device=device) / max(1, half))
    angles = torch.arange(n, device=device)[:, None] * rates
    return F.pad(torch.cat([angles.sin(), angles.cos()], 1), (0, dim - 2 * half))
