"""A fusion whose ECG tokens enter the text through a learned gate."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from anyecg.fusion.tokens import Tokens
from anyecg.types import ECGBatch


class GatedTokens(Tokens):
    """ECG tokens in the text, scaled by a gate that opens in training."""

    @dataclass(frozen=True)
    class Config:
        """start: the gate's first value, before the hyperbolic tangent."""

        start: float = 0.5

    def __init__(self, cfg: Config, llm: Any, record: int, clip: int) -> None:
        super().__init__(cfg, llm, record, clip)
        self.gate = nn.Parameter(torch.tensor([cfg.start]))  # in the group "fusion", which a stage's `trains` names

    def embed(self, llm: Any, batch: ECGBatch, tokens: Tensor) -> Tensor:
        """Tokens `[P, d_llm]` in their positions of `[B, T, d_llm]`."""
        return super().embed(llm, batch, tokens * self.gate.tanh())
