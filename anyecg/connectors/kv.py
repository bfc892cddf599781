"""MEIT's projector: one unit vector of an LLM's head size a record, once for each head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from anyecg.config.checks import Checks
from anyecg.connectors.base import Connector
from anyecg.types import ConfigError

NORMS = ("batch", "layer", "none")


@dataclass(frozen=True)
class KVConfig:
    """width: of the vector, the LLM's head size (None: that of the experiment's LLM); norm: behind each of the two
    layers. MEIT's is batch (none for GPT-NeoX), whose statistics are those of a micro-batch; a layer norm has as many
    parameters and no company.
    """

    width: int | None = None
    norm: str = "layer"  # batch (MEIT's), layer, none

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("width", least=1)
            check.among("norm", NORMS)


class KV(Connector):
    """Two layers with a ReLU between, a unit vector, and its copies for all heads (MEIT, arXiv 2403.04945).

    The encoder's tokens of a clip are averaged first; a record's vector is the average over its clips, again of length
    one in each head.
    """

    Config = KVConfig
    enters = "kv"

    def __init__(self, cfg: KVConfig, dim_in: int, dim_out: int) -> None:
        super().__init__()
        self.width = cfg.width or dim_out
        if dim_out % self.width:
            raise ConfigError(f"connector.width: {self.width} does not divide the LLM's width of {dim_out}")
        self.copies = dim_out // self.width
        self.layers = nn.Sequential(
            nn.Linear(dim_in, dim_in),
            norm(cfg.norm, dim_in),
            nn.ReLU(),
            nn.Linear(dim_in, self.width),
            norm(cfg.norm, self.width),
        )

    @classmethod
    def of(cls, cfg: KVConfig, encoder: Any, llm: Any) -> KV:
        """Between these two: as wide as the LLM's layers. ConfigError for a `width` that is not its head size."""
        (_, width), size = llm.layers(), llm.head_size()
        if cfg.width not in (None, size):
            raise ConfigError(f"connector.width: {cfg.width}, but a head of {llm.config_name} has {size}; leave it out")
        return cls(KVConfig(size, cfg.norm), encoder.dim, width)

    def tokens(self, prefix: int, patches: int) -> tuple[int, int]:
        return 1, 0

    def forward(self, x: Tensor) -> Tensor:
        return self._tile(self.layers(x.mean(1)))[:, None]

    def records(self, x: Tensor, prefix: int, owner: Tensor, counts: Sequence[int]) -> Tensor:
        merged = super().records(x, prefix, owner, counts)
        return merged if max(counts, default=1) == 1 else self._tile(merged[:, : self.width])

    def _tile(self, x: Tensor) -> Tensor:
        """Unit vectors along `[n, width]`, `copies` times: `[n, dim_out]`."""
        return F.normalize(x, dim=-1).repeat(1, self.copies)


class BatchNorm(nn.BatchNorm1d):
    """Batch norm that takes its running statistics where a pass has one clip alone, which has none of its own."""

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) == 1:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        return super().forward(x)


def norm(name: str, dim: int) -> nn.Module:
    """The norm of `[n, dim]` that one of `NORMS` means."""
    kinds: dict[str, Callable[[int], nn.Module]] = {"batch": BatchNorm, "layer": nn.LayerNorm}
    return kinds[name](dim) if name in kinds else nn.Identity()
