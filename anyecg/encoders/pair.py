"""Two encoders of one record, its trace and its page: the idea of GEM (arXiv 2503.06073), with any two."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from anyecg.config.checks import Checks
from anyecg.config.schema import Slot, slot
from anyecg.data.clips.pair import pair_of
from anyecg.encoders.base import Encoder
from anyecg.types import InputSpec


@dataclass(frozen=True)
class PairConfig:
    """GEM's are ecg_coca and clip, its page one picture without tiles; it leaves neither out in training."""

    trace: Slot = slot("encoder", "vit")  # takes the signal
    page: Slot = slot("encoder", "page_vit")  # takes its page, drawn from the same millivolts
    dim: int = 256  # of a token: each encoder's go through a linear map of their own
    drop: float = 0.2  # chance in training that a clip is shown without its trace, and as often without its page

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("dim", least=1)
            check.number("drop", least=0, most=0.5)


class Pair(Encoder):
    """The tokens of a trace, then those of its page, each through a linear map of its own to the same size.

    In training one of the two is left out at random; where a side is not there (by that chance, in a view that
    withholds it, of a picture without its recording, or blind) one learned vector stands in all its places, so that
    answers with one of them alone have been practised. There is no [CLS]: those of the two are tokens as others are.
    """

    Config = PairConfig

    @classmethod
    def input_spec(cls, cfg: PairConfig) -> InputSpec:
        return pair_of(*(side.component.input_spec(side.config) for side in (cfg.trace, cfg.page)))

    def __init__(self, cfg: PairConfig) -> None:
        super().__init__()
        self.trace, self.page = cast(Encoder, cfg.trace.build()), cast(Encoder, cfg.page.build())
        sides = (self.trace, self.page)
        self.maps = nn.ModuleList(nn.Linear(side.dim, cfg.dim) for side in sides)
        self.absent = nn.Parameter(0.02 * torch.randn(len(sides), cfg.dim))
        trace, page = (math.prod(side.input.shape) for side in sides)
        self.sizes = [trace, self.input.shape[0] - trace - len(sides), len(sides)]  # of the parts of a clip
        pages = self.sizes[1] // page  # of one stretch
        self.tokens = [self.trace.prefix + self.trace.patches, pages * (self.page.prefix + self.page.patches)]
        self.dim, self.prefix, self.patches, self.drop = cfg.dim, 0, sum(self.tokens), cfg.drop

    def forward(self, clips: Tensor, lead_mask: Tensor) -> Tensor:
        """`[N, n]`, as `PairClips` makes them -> `[N, patches, dim]`."""
        *parts, flags = clips.split(self.sizes, dim=1)
        there = flags > 0.5
        if self.training and self.drop:
            there = there & ~self.left_out(there)
        tokens = []
        for number, side in enumerate((self.trace, self.page)):
            shown = parts[number].reshape(-1, *side.input.shape)
            masks = lead_mask.repeat_interleave(len(shown) // max(len(clips), 1), dim=0)
            seen = self.maps[number](side(shown, masks)).reshape(len(clips), self.tokens[number], self.dim)
            tokens.append(torch.where(there[:, number, None, None], seen, self.absent[number].to(seen.dtype)))
        return torch.cat(tokens, dim=1)

    def left_out(self, there: Tensor) -> Tensor:
        """Which sides of clips with both a step leaves out: bool `[N, 2]`, at most one a clip."""
        chance = torch.rand(len(there), 1, device=there.device)
        first, second = chance < self.drop, chance >= 1 - self.drop
        return torch.cat([first, second], dim=1) & there.all(dim=1, keepdim=True)
