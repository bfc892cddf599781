"""The smallest connector: one linear layer."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from anyecg.connectors.base import Connector


@dataclass(frozen=True)
class LinearConfig:
    """Nothing to set: both widths come from the encoder and the LLM."""


class Linear(Connector):
    """One linear layer."""

    Config = LinearConfig

    def __init__(self, cfg: LinearConfig, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.layer = nn.Linear(dim_in, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)
