"""What every connector promises to the model."""

from __future__ import annotations

from torch import Tensor, nn


class Connector(nn.Module):
    """Encoder tokens to the LLM's space. A subclass has a frozen dataclass `Config`, built as `Connector(cfg, dim_in, dim_out)`.

    enters: how its output reaches the LLM; "tokens": embeddings in the text, between the ECG's markers.
    """

    enters = "tokens"

    def tokens(self, prefix: int, patches: int) -> tuple[int, int]:
        """How many [CLS] and patch tokens come out for those that go in; here: the same."""
        return prefix, patches

    def forward(self, x: Tensor) -> Tensor:
        """`[N, P, dim_in]` -> `[N, P', dim_out]`; N may be 0."""
        raise NotImplementedError
