"""The Q-Former of BLIP-2 as a connector: as many tokens for each clip as it has learned queries, whatever the
encoder gives.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import Blip2QFormerConfig, Blip2QFormerModel

from anyecg.config.checks import Checks
from anyecg.connectors.base import Connector, attention_width


@dataclass(frozen=True)
class QFormerConfig:
    """Sizes of the transformer that holds the queries; None: its width is the encoder's, its MLP four times as wide."""

    queries: int = 32  # tokens that come out for each clip of 10 s
    layers: int = 2  # transformer blocks
    heads: int = 8  # of an attention
    dim: int | None = None  # size of a query (None: the encoder's)
    mlp: int | None = None  # width of the hidden layer of an MLP (None: four times `dim`)
    cross_every: int = 1  # layers from one that looks at the ECG to the next (BLIP-2 has 2)
    dropout: float = 0.0  # after the attention and the MLP

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("queries", "layers", "heads", "dim", "mlp", "cross_every", least=1)
            check.number("dropout", least=0, below=1)
            if not check.problems and self.dim and self.dim % self.heads:
                check.wrong("dim", f"{self.dim} is not a multiple of heads: {self.heads}")


class QFormer(Connector):
    """Learned queries that attend to the encoder's tokens (BLIP-2), then one linear layer; a fixed number of tokens a
    clip.

    The queries of each clip of a long record follow each other in time. There is no [CLS] among them, so none is
    averaged.
    """

    Config = QFormerConfig

    def __init__(self, cfg: QFormerConfig, dim_in: int, dim_out: int) -> None:
        super().__init__()
        dim = attention_width(cfg.dim, cfg.heads, dim_in)
        self.number = cfg.queries
        self.queries = nn.Parameter(torch.randn(1, cfg.queries, dim) * 0.02)
        self.transformer = Blip2QFormerModel(
            Blip2QFormerConfig(
                hidden_size=dim,
                num_hidden_layers=cfg.layers,
                num_attention_heads=cfg.heads,
                intermediate_size=cfg.mlp or 4 * dim,
                hidden_dropout_prob=cfg.dropout,
                attention_probs_dropout_prob=cfg.dropout,
                cross_attention_frequency=cfg.cross_every,
                encoder_hidden_size=dim_in,
            )
        )
        self.out = nn.Linear(dim, dim_out)

    def tokens(self, prefix: int, patches: int) -> tuple[int, int]:
        return 0, self.number

    def forward(self, x: Tensor) -> Tensor:
        # a blank clip: the library does not take none, and every parameter keeps a gradient
        seen = x if len(x) else F.pad(x, (0, 0, 0, 0, 0, 1))
        states = self.transformer(
            query_embeds=self.queries.expand(len(seen), -1, -1), encoder_hidden_states=seen
        ).last_hidden_state
        return self.out(states[: len(x)])
