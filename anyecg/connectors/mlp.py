"""The paper's connector: two linear layers with a GELU between."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from anyecg.connectors.base import Connector


@dataclass(frozen=True)
class MLPConfig:
    """Nothing to set: both widths come from the encoder and the LLM."""


class MLP(Connector):
    """Two layers with GELU (the paper's)."""

    Config = MLPConfig

    def __init__(self, cfg: MLPConfig, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(dim_in, dim_out), nn.GELU(), nn.Linear(dim_out, dim_out))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
