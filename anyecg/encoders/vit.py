"""The paper's ECG encoder: a vision transformer over (1, 200) patches of twelve leads."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.encoders.base import Encoder
from anyecg.encoders.patches import PatchConfig, PatchEmbedding, check_patches, initialise, only

SIZES = {  # dim, layers, heads, mlp
    "base": (768, 12, 12, 3072),
    "small": (384, 12, 6, 1536),
    "tiny": (128, 4, 4, 512),
}


@dataclass(frozen=True)
class ViTConfig(PatchConfig):
    size: str = "base"  # base (the paper), small, tiny
    stem: int = 0  # channels of convolutions ahead of the patches (0: none, as in the paper)
    mask_absent: bool = False  # hide the patches of absent leads from attention (the paper does not)
    dropout: float = 0.1  # after the embedding, the attention and the MLP
    dim: int | None = None  # size of a token; None here and below: as `size` says
    layers: int | None = None  # transformer blocks
    heads: int | None = None  # of an attention
    mlp: int | None = None  # width of the hidden layer of an MLP

    def check(self, check: Checks) -> None:
        check.among("size", SIZES)
        check.number("dim", "layers", "heads", "mlp", least=1)
        check.number("dropout", least=0, below=1)
        super().check(check)
        check_patches(check, self, self.stem)
        if not check.problems and self.shape[0] % self.shape[2]:
            check.wrong("dim", f"{self.shape[0]} is not a multiple of heads: {self.shape[2]}")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Size of a token, layers, heads, width of an MLP."""
        given = (self.dim, self.layers, self.heads, self.mlp)
        return tuple(usual if own is None else own for own, usual in zip(given, SIZES[self.size], strict=True))


class Block(nn.Module):
    """Pre-norm attention and MLP, `[N, P, dim]` to the same; mask bool `[N, 1, 1, P]`, True where a key is seen."""

    def __init__(self, dim: int, heads: int, mlp: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.out = nn.Sequential(nn.Linear(dim, dim), nn.Dropout(dropout))
        self.norm2 = nn.LayerNorm(dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, mlp), nn.GELU(), nn.Dropout(dropout), nn.Linear(mlp, dim), nn.Dropout(dropout)
        )

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        clips, tokens, dim = x.shape
        qkv = self.qkv(self.norm1(x)).view(clips, tokens, 3, self.heads, dim // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [N, heads, P, dim / heads]
        attended = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(attended.transpose(1, 2).reshape(clips, tokens, dim))
        return x + self.mlp(self.norm2(x))


class ViT(Encoder):
    """Vision transformer over patches of one lead with lead and time embeddings (the paper's).

    The tokens are the states before the final norm, which the published checkpoints hand to the connector;
    `pooled` is the final norm of [CLS], which contrastive pre-training uses (paper: ECG Encoder).
    """

    Config = ViTConfig

    def __init__(self, cfg: ViTConfig) -> None:
        super().__init__()
        dim, layers, heads, mlp = cfg.shape
        self.embed = PatchEmbedding(dim, self.input, cfg.patch_samples, cfg.lead_embedding, cfg.dropout, cfg.stem)
        self.blocks = nn.ModuleList(Block(dim, heads, mlp, cfg.dropout) for _ in range(layers))
        self.blocks.apply(initialise)
        self.norm = nn.LayerNorm(dim)
        self.mask_absent = cfg.mask_absent
        self.dim, self.prefix, self.patches = dim, 1, self.embed.patches

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        x = self.embed(clips)
        mask = self._seen(lead_mask) if self.mask_absent else None
        for block in self.blocks:
            x = block(x, mask)
        return x

    def _seen(self, lead_mask: Tensor) -> Tensor:
        patches = lead_mask.repeat_interleave(self.embed.times, dim=1)  # [N, 60]
        cls = torch.ones_like(patches[:, :1])
        return torch.cat([cls, patches], dim=1)[:, None, None, :]

    def patch_samples(self, clips: Tensor) -> Tensor:
        return self.embed.samples(clips)

    def encode_seen(self, clips: Tensor, lead_mask: Tensor, seen: Tensor) -> Tensor:
        x = self.embed.seen(clips, seen)
        mask = only(self._seen(lead_mask)[:, 0, 0], seen)[:, None, None] if self.mask_absent else None
        for block in self.blocks:
            x = block(x, mask)
        return x

    def pooled(self, tokens: Tensor) -> Tensor:
        return self.norm(tokens[:, 0])
