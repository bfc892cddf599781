"""What every frozen text encoder promises: texts to unit vectors, the latest texts encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

KEPT = 4096  # texts whose vectors stay at hand: 6 MB of 384 numbers each


class TextEncoder:
    """Texts to unit vectors of size `dim`. A subclass has a frozen dataclass `Config`, is built as `TextEncoder(cfg)`
    and writes `_encode`. `source`: folder or id of the transformer inside, whose tokens BERTScore compares; None
    without one."""

    dim: int
    source: str | None = None

    def __init__(self) -> None:
        self._known: dict[str, Tensor] = {}

    @classmethod
    def outline(cls, cfg) -> int | None:
        """`dim` without reading weights or asking a hub; None where that cannot tell it."""
        return None

    def encode(self, texts: Sequence[str]) -> Tensor:
        """n texts -> float32 `[n, dim]` on the CPU, L2-normalised, without gradient; one of the last texts seen is
        not computed again.
        """
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, self._encode(new)))
        vectors = torch.stack([self._known[text] for text in texts]) if len(texts) else torch.zeros(0, self.dim)
        for text in list(self._known)[:-KEPT]:
            del self._known[text]
        return vectors

    def _encode(self, texts: list[str]) -> Tensor:
        """n >= 1 different texts -> float32 `[n, dim]`, L2-normalised, on the CPU."""
        raise NotImplementedError
