"""What a clip maker does for an encoder, and the clip makers that there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np

from anyecg.registry import Registry, registry
from anyecg.types import DataError, InputSpec

TOLERANCE = 0.1  # s beyond a full clip that make no clip of their own

makers = Registry(
    "clip",
    {
        "signal": "anyecg.data.clips.trace:TraceClips",
        "page": "anyecg.data.clips.page.maker:PageClips",
        "tiles": "anyecg.data.clips.page.maker:TileClips",
        "pair": "anyecg.data.clips.pair:PairClips",
    },
)


class Clips(ABC):
    """Makes the clips of one record's window. A subclass is built as `Clips(spec)` and refuses a spec that it cannot
    make.
    """

    def __init__(self, spec: InputSpec) -> None:
        self.spec = spec

    def count(self, seconds: float) -> int:
        """How many clips a window of so many seconds makes, at least one; up to 0.1 s more than full clips makes
        none of its own.
        """
        samples, clip, over = (
            round(seconds * self.spec.fs),
            round(self.spec.seconds * self.spec.fs),
            round(TOLERANCE * self.spec.fs),
        )
        return max(1, -(-(samples - over) // clip))

    def made_by(self) -> tuple[Any, ...]:
        """The classes and functions whose source makes the clips: they are found by name, not by import."""
        return (type(self), registry("scaling")[self.spec.scaling])

    @abstractmethod
    def make(self, signal: np.ndarray, lead_mask: np.ndarray, key: str = "") -> np.ndarray:
        """`[S, *shape]` with S = `count(seconds)`, from mV `[12, T]` at `spec.fs` and bool `[12]`, False where a lead
        is absent.

        key: a name of the window, of which a maker that draws anything at random (how a page looks) makes its seed.
        """

    def pictured(self, pixels: np.ndarray) -> np.ndarray:
        """The clips `[S, *shape]` of a picture uint8 `[H, W, 3]`; DataError of a maker whose clips are no pictures."""
        raise DataError(
            f"it is a picture, and the model's encoder takes the signal (clips of the kind '{self.spec.kind}'); give "
            f"the recording itself, or ask a model whose encoder takes pictures, such as clip or page_vit"
        )

    def blank(self, count: int) -> np.ndarray:
        """`count` clips without an ECG, as the blind control shows them: `[count, *shape]`."""
        return np.zeros((count, *self.spec.shape), np.float32)
