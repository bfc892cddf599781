"""The tokens of a clip: (1, patch) pieces of each lead, with lead and time embeddings and a [CLS] in front."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.encoders.stem import STRIDE, Stem
from anyecg.types import CANONICAL_LEADS, CLIP_SAMPLES

LEADS = len(CANONICAL_LEADS)


class PatchEmbedding(nn.Module):
    """`[N, 12, 1000]` to `[N, 1 + 12 * 1000 / patch, dim]`: [CLS], then lead-major patches (paper: ECG Encoder).

    dim: size of a token; patch: samples of one lead in a patch (`check_patches` says which it may be);
    lead_embedding: whether a patch is told its lead; stem: channels of convolutions ahead of the patches, 0 for none (the
    paper). A zero (absent) lead keeps its lead embedding.
    """

    def __init__(self, dim: int, patch: int, lead_embedding: bool, dropout: float, stem: int = 0) -> None:
        super().__init__()
        self.patch = patch
        self.times = CLIP_SAMPLES // patch
        self.patches = LEADS * self.times
        self.stem = Stem(stem, patch) if stem else nn.Unflatten(2, (self.times, patch))
        width = self.stem.width if stem else patch
        self.project = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim), nn.LayerNorm(dim))
        self.cls = nn.Parameter(torch.empty(1, 1, dim))
        self.position = nn.Parameter(torch.empty(1 + self.times, dim))  # of [CLS], then of each time
        self.lead = nn.Parameter(torch.empty(LEADS, 1, dim)) if lead_embedding else None
        self.dropout = nn.Dropout(dropout)
        self.apply(initialise)
        for embedding in (self.cls, self.position, self.lead):
            if embedding is not None:
                nn.init.normal_(embedding)  # the scale of a normed patch: a token tells lead and time from the first step

    def forward(self, signal: Tensor) -> Tensor:
        x = self.project(self.stem(signal))  # [N, 12, times, dim]
        x = x + self.position[1:]
        if self.lead is not None:
            x = x + self.lead
        cls = (self.cls + self.position[0]).expand(len(signal), -1, -1)
        return self.dropout(torch.cat([cls, x.flatten(1, 2)], dim=1))


def check_patches(check: Checks, patch: int, stem: int = 0) -> None:
    """Whether a clip can be cut into patches of so many samples, with a stem of so many channels ahead of them."""
    if patch < 1 or CLIP_SAMPLES % patch:
        check.wrong("patch", f"{patch} samples do not divide a clip of {CLIP_SAMPLES}")
    if stem < 0:
        check.wrong("stem", f"at least 0 channels, not {stem}")
    elif stem and patch % STRIDE:
        check.wrong("stem", f"needs a patch that {STRIDE} divides, not {patch}")


def initialise(module: nn.Module) -> None:
    """For `Module.apply`: a linear layer's bias zero, its matrix from a truncated normal of deviation 0.7 / sqrt(inputs).

    That is 0.025 for ViT-base; a fixed 0.02 leaves narrow encoders nearly linear and slow to learn.
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.7 * module.in_features**-0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
