"""A small image encoder from scratch: convolutions over a page of ECG paper, then a few transformer blocks."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.encoders.image import ImageConfig, ImageEncoder
from anyecg.encoders.patches import initialise
from anyecg.encoders.vit import Block
from anyecg.types import InputSpec

STRIDE = 16  # pixels of a step of the convolutions' features


@dataclass(frozen=True)
class PageViTConfig(ImageConfig):
    height: int = 384  # pixels of a page; a letter page of 512 x 396 has 1.8 pixels a mm
    width: int = 512  # pixels of a page
    channels: int = 24  # of the first convolution; the two others have twice as many each as the one before
    merge_rows: int = 2  # features of so many rows and columns make a token
    merge_columns: int = 2  # see merge_rows
    dim: int = 128  # size of a token
    layers: int = 2  # transformer blocks
    heads: int = 4  # of an attention
    mlp: int = 512  # width of the hidden layer of an MLP
    dropout: float = 0.1  # after the attention and the MLP

    def check(self, check: Checks) -> None:
        super().check(check)
        check.number("channels", "merge_rows", "merge_columns", "dim", "layers", "heads", "mlp", least=1)
        check.number("dropout", least=0, below=1)
        for key, merged in (("height", "merge_rows"), ("width", "merge_columns")):
            step = STRIDE * getattr(self, merged)
            if getattr(self, key) < step or getattr(self, key) % step:
                check.wrong(key, f"a multiple of {step} pixels ({STRIDE} x {merged}), not {getattr(self, key)}")
        if not check.problems and self.dim % self.heads:
            check.wrong("dim", f"{self.dim} is not a multiple of heads: {self.heads}")


class PageViT(ImageEncoder):
    """Convolutions and a small transformer over whole pages, from scratch (for two cores); no [CLS]."""

    Config = PageViTConfig

    @classmethod
    def input_spec(cls, cfg: PageViTConfig) -> InputSpec:
        return cfg.spec(cfg.height, cfg.width)

    def __init__(self, cfg: PageViTConfig) -> None:
        super().__init__()
        width = [cfg.channels * 2**step for step in range(3)]
        convolutions = [nn.Conv2d(3, width[0], 7, stride=4, padding=2)]
        convolutions += [nn.Conv2d(a, b, 3, stride=2, padding=1) for a, b in pairwise(width)]
        for layer in convolutions:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        self.stem = nn.Sequential(*(part for layer in convolutions for part in (layer, nn.ReLU())))
        self.rows, self.columns = cfg.height // STRIDE // cfg.merge_rows, cfg.width // STRIDE // cfg.merge_columns
        self.merge = cfg.merge_rows, cfg.merge_columns
        merged = width[-1] * cfg.merge_rows * cfg.merge_columns
        self.project = nn.Sequential(nn.LayerNorm(merged), nn.Linear(merged, cfg.dim), nn.LayerNorm(cfg.dim))
        self.row = nn.Parameter(torch.randn(self.rows, 1, cfg.dim))
        self.column = nn.Parameter(torch.randn(self.columns, cfg.dim))
        self.dropout = nn.Dropout(cfg.dropout)
        self.blocks = nn.ModuleList(Block(cfg.dim, cfg.heads, cfg.mlp, cfg.dropout) for _ in range(cfg.layers))
        self.project.apply(initialise)
        self.blocks.apply(initialise)
        self.norm = nn.LayerNorm(cfg.dim)
        self.dim, self.prefix, self.patches = cfg.dim, 0, self.rows * self.columns

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        features = self.stem(self.colours(clips))  # [N, C, H / 16, W / 16]
        n, channels = features.shape[:2]
        tall, wide = self.merge
        cut = features.view(n, channels, self.rows, tall, self.columns, wide).permute(0, 2, 4, 3, 5, 1)
        x = self.project(cut.reshape(n, self.rows, self.columns, tall * wide * channels)) + self.row + self.column
        x = self.dropout(x.flatten(1, 2))
        for block in self.blocks:
            x = block(x, None)
        return x

    def pooled(self, tokens: Tensor) -> Tensor:
        return self.norm(tokens.mean(dim=1))
