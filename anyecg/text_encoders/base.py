"""What every frozen text encoder promises: texts to unit vectors, each text encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class TextEncoder:
    """Texts to unit vectors of size `dim`. A subclass has a frozen dataclass `Config`, is built as `TextEncoder(cfg)`
    and writes `_encode`."""

    dim: int

    def __init__(self) -> None:
        self._known: dict[str, Tensor] = {}

    def encode(self, texts: Sequence[str]) -> Tensor:
        """n texts -> float32 `[n, dim]` on the CPU, L2-normalised, without gradient; a text seen before is not computed again."""
        new = list(dict.fromkeys(text for text in texts if text not in self._known))
        if new:
            self._known.update(zip(new, self._encode(new)))
        return torch.stack([self._known[text] for text in texts]) if len(texts) else torch.zeros(0, self.dim)

    def _encode(self, texts: list[str]) -> Tensor:
        """n >= 1 different texts -> float32 `[n, dim]`, L2-normalised, on the CPU."""
        raise NotImplementedError
