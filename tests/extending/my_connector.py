"""A connector that gives the LLM a few tokens a clip."""

from dataclasses import dataclass

from torch import Tensor, nn

from anyecg.connectors.base import Connector


class Averaged(Connector):
    """The patch tokens of a clip averaged over `count` equal stretches of time, then one linear layer."""

    @dataclass(frozen=True)
    class Config:
        """count: tokens a clip."""

        count: int = 5

    def __init__(self, cfg: Config, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.count, self.layer = cfg.count, nn.Linear(dim_in, dim_out)

    def tokens(self, prefix: int, patches: int) -> tuple[int, int]:
        return 0, self.count  # none for the record as a whole, `count` for each of its clips

    def forward(self, x: Tensor) -> Tensor:
        """`[N, P, dim_in]` -> `[N, count, dim_out]`."""
        return self.layer(nn.functional.adaptive_avg_pool1d(x.transpose(1, 2), self.count).transpose(1, 2))
