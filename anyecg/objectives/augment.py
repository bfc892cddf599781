"""Random changes of training clips, so that an encoder learns what stays the same: off unless an objective says so."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from anyecg.config.checks import Checks
from anyecg.types import CANONICAL_LEADS, ConfigError, InputSpec

WANDER = (0.1, 0.5)  # Hz of a baseline's wander


@dataclass(frozen=True)
class Augmentation:
    """Random changes of each training clip; 0 leaves it as it is.

    lead_dropout: share of clips with all but a few random leads absent; leads_kept: the fewest and the most that stay;
    gain: deviation of the logarithm of a factor on all leads; wander, noise: the largest amplitude of a baseline's
    wander and the largest deviation of white noise, in the units of the scaled signal.
    """

    lead_dropout: float = 0.0
    leads_kept: list[int] = field(default_factory=lambda: [2, 2])
    gain: float = 0.0
    wander: float = 0.0
    noise: float = 0.0

    def __post_init__(self) -> None:
        with Checks(self) as check:
            self.checks(check)

    def checks(self, check: Checks) -> None:
        check.number("lead_dropout", least=0, most=1)
        check.number("gain", "wander", "noise", least=0)
        if len(self.leads_kept) != 2 or not 1 <= self.leads_kept[0] <= self.leads_kept[1] <= len(CANONICAL_LEADS):
            check.wrong("leads_kept", f"the fewest and the most leads that stay, such as [2, 6], not {self.leads_kept}")

    @property
    def any(self) -> bool:
        """Whether anything is changed."""
        return any((self.lead_dropout, self.gain, self.wander, self.noise))

    def require(self, spec: InputSpec) -> None:
        """ConfigError where an encoder takes no signal of the twelve leads, which is what can be changed."""
        if self.any and (spec.kind, spec.leads) != ("signal", CANONICAL_LEADS):
            raise ConfigError(
                "stages: lead_dropout, gain, wander and noise of a stage's objective need an encoder that takes the "
                "signal of all twelve leads; set them to 0"
            )

    def __call__(self, clips: Tensor, lead_mask: Tensor, fs: float) -> tuple[Tensor, Tensor]:
        """clips `[N, 12, T]` at `fs` Hz and lead_mask bool `[N, 12]`, changed; an absent lead stays zero."""
        clips, lead_mask = drop_leads(clips, lead_mask, self.lead_dropout, self.leads_kept)
        if not (self.gain or self.wander or self.noise) or not len(clips):
            return clips, lead_mask
        count, leads, samples = clips.shape

        def uniform(*shape: int) -> Tensor:
            return torch.rand(*shape, device=clips.device)

        if self.gain:
            clips = clips * (self.gain * torch.randn(count, 1, 1, device=clips.device)).exp()
        if self.wander:
            low, high = WANDER
            cycles = (low + (high - low) * uniform(count, 1, 1)) * torch.arange(samples, device=clips.device) / fs
            clips = clips + self.wander * uniform(count, leads, 1) * torch.sin(
                2 * math.pi * (cycles + uniform(count, leads, 1))
            )
        if self.noise:
            clips = clips + self.noise * uniform(count, 1, 1) * torch.randn_like(clips)
        return clips * lead_mask[..., None], lead_mask


def drop_leads(signal: Tensor, lead_mask: Tensor, share: float, kept: Sequence[int] = (2, 2)) -> tuple[Tensor, Tensor]:
    """About `share` of the clips with all but a few random leads absent, `kept[0]` to `kept[1]` of those present;
    signal `[N, 12, T]`, lead_mask `[N, 12]`.
    """
    if not share:
        return signal, lead_mask
    drawn = torch.rand(lead_mask.shape, device=signal.device) + 2.0 * ~lead_mask  # those that are absent come last
    rank = drawn.argsort(1).argsort(1)
    whole = torch.rand(len(signal), 1, device=signal.device) >= share
    few = torch.randint(kept[0], kept[1] + 1, (len(signal), 1), device=signal.device)
    seen = whole | (rank < few)
    return signal * seen[..., None], lead_mask & seen


def shift(signal: Tensor, fs: float, most: float) -> Tensor:
    """Each clip `[N, L, T]` moved by up to `most` seconds either way; what leaves one end comes in at the other."""
    if not most or not len(signal):
        return signal
    samples = signal.shape[-1]
    by = torch.randint(-round(most * fs), round(most * fs) + 1, (len(signal), 1), device=signal.device)
    where = (torch.arange(samples, device=signal.device)[None] - by) % samples
    return signal.gather(2, where[:, None].expand_as(signal))
