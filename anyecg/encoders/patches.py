"""The tokens of a clip: (1, patch) pieces of each lead, with lead and time embeddings and a [CLS] in front."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.encoders.base import SignalConfig
from anyecg.encoders.stem import STRIDE, Stem
from anyecg.types import InputSpec

RATE = 100  # Hz at which `patch` counts samples


@dataclass(frozen=True)
class PatchConfig(SignalConfig):
    """Settings of an encoder over patches. A patch is the same time at every rate, so another `fs` leaves the number
    of tokens as it is.
    """

    patch: int = 200  # hundredths of a second of one lead in a patch: its samples at 100 Hz, five times as many at 500
    lead_embedding: bool = True  # tell each patch its lead

    @property
    def patch_samples(self) -> int:
        """Samples of a patch at `fs`."""
        return round(self.patch * self.fs / RATE)


def check_patches(check: Checks, cfg: PatchConfig, stem: int = 0) -> None:
    """Whether a clip can be cut into the patches of these settings, with a stem of so many channels ahead of them."""
    if any(key in ("fs", "scaling") for key, _ in check.problems):
        return
    samples, clip = cfg.patch * cfg.fs / RATE, cfg.input.shape[1]
    if cfg.patch < 1 or samples != round(samples) or clip % round(samples):
        check.wrong(
            "patch",
            f"{cfg.patch} hundredths of a second ({samples:g} samples at {cfg.fs:g} Hz) do not divide a clip of "
            f"{clip} samples",
        )
    elif stem and round(samples) % STRIDE:
        check.wrong("stem", f"needs a patch that {STRIDE} divides, not {round(samples)} samples")
    if stem < 0:
        check.wrong("stem", f"at least 0 channels, not {stem}")


class PatchEmbedding(nn.Module):
    """`[N, L, T]` to `[N, 1 + L * T / patch, dim]`: [CLS], then lead-major patches (paper: ECG Encoder).

    dim: size of a token; spec: of the clips, L leads and T samples; patch: samples of one lead in a patch;
    lead_embedding: whether a patch is told its lead; stem: channels of convolutions ahead of the patches, 0 for none
    (the paper). A zero (absent) lead keeps its lead embedding.
    """

    def __init__(
        self, dim: int, spec: InputSpec, patch: int, lead_embedding: bool, dropout: float, stem: int = 0
    ) -> None:
        super().__init__()
        leads, samples = spec.shape
        self.patch = patch
        self.times = samples // patch
        self.patches = leads * self.times
        self.stem = Stem(stem, patch) if stem else nn.Unflatten(2, (self.times, patch))
        width = self.stem.width if stem else patch
        self.project = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, dim), nn.LayerNorm(dim))
        self.cls = nn.Parameter(torch.empty(1, 1, dim))
        self.position = nn.Parameter(torch.empty(1 + self.times, dim))  # of [CLS], then of each time
        self.lead = nn.Parameter(torch.empty(leads, 1, dim)) if lead_embedding else None
        self.dropout = nn.Dropout(dropout)
        self.apply(initialise)
        for embedding in (self.cls, self.position, self.lead):
            if embedding is not None:
                # the scale of a normed patch: a token tells lead and time from the first step
                nn.init.normal_(embedding)

    def forward(self, clips: Tensor) -> Tensor:
        x = self.project(self.stem(clips))  # [N, L, times, dim]
        x = x + self.position[1:]
        if self.lead is not None:
            x = x + self.lead
        cls = (self.cls + self.position[0]).expand(len(clips), -1, -1)
        return self.dropout(torch.cat([cls, x.flatten(1, 2)], dim=1))

    def samples(self, clips: Tensor) -> Tensor:
        """What each patch is made of: `[N, L, times, patch]`."""
        return clips.unflatten(2, (self.times, self.patch))

    def seen(self, clips: Tensor, seen: Tensor) -> Tensor:
        """[CLS] and the patches `seen`, int64 `[N, K]`: `[N, 1 + K, dim]`. The other samples are zero, so a stem
        sees nothing of them either.
        """
        shown = torch.zeros(len(clips), self.patches, dtype=clips.dtype, device=clips.device).scatter(1, seen, 1.0)
        samples = self.samples(clips)
        return only(self((samples * shown.view(*samples.shape[:3], 1)).flatten(2)), seen)


def only(tokens: Tensor, seen: Tensor) -> Tensor:
    """Of `[N, 1 + patches, ...]` the first and those `seen`, int64 `[N, K]`: `[N, 1 + K, ...]`."""
    places = torch.cat([torch.zeros_like(seen[:, :1]), seen + 1], dim=1)
    return tokens.gather(1, places.view(*places.shape, *[1] * (tokens.ndim - 2)).expand(-1, -1, *tokens.shape[2:]))


def initialise(module: nn.Module) -> None:
    """For `Module.apply`: a linear layer's bias zero, its matrix from a truncated normal of deviation 0.7 /
    sqrt(inputs).

    That is 0.025 for ViT-base; a fixed 0.02 leaves narrow encoders nearly linear and slow to learn.
    """
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.7 * module.in_features**-0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
