"""What the encoders of pictures share: pages as they are drawn for them, and colours as their networks take them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from anyecg.config.checks import Checks
from anyecg.data.clips.page.maker import PageConfig
from anyecg.encoders.base import Encoder
from anyecg.types import InputSpec


@dataclass(frozen=True)
class ImageConfig:
    """Settings of an encoder that takes pictures: of ten seconds on a page."""

    page: PageConfig = field(default_factory=PageConfig)  # how the pages look that are drawn from signals
    fs: float = 100.0  # Hz of the signal that pages are drawn from; the store is built at it

    def __post_init__(self) -> None:
        with Checks(self) as check:
            self.check(check)

    def check(self, check: Checks) -> None:
        """Add what is wrong with these settings."""
        check.number("fs", least=50, most=1000)

    def spec(self, height: int, width: int, kind: str = "page") -> InputSpec:
        """Clips of so many pixels, whole pages or tiles."""
        return InputSpec(kind=kind, fs=self.fs, scaling="millivolt", shape=(3, height, width), settings=self.page)


class ImageEncoder(Encoder):
    """An encoder of pictures uint8 `[N, 3, H, W]`; a subclass says its `input_spec`, and gives `colours` to its
    network.
    """

    MEAN: ClassVar[tuple[float, ...]] = (0.5, 0.5, 0.5)
    STD: ClassVar[tuple[float, ...]] = (0.5, 0.5, 0.5)
    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...] | None = None, std: tuple[float, ...] | None = None) -> None:
        """mean, std: of each colour, 0 to 1, as the network's weights were trained."""
        super().__init__()
        for name, values in (("mean", mean or self.MEAN), ("std", std or self.STD)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    @classmethod
    def input_spec(cls, cfg: Any) -> InputSpec:
        raise NotImplementedError

    def colours(self, clips: Tensor) -> Tensor:
        """uint8 `[N, 3, H, W]` to numbers about 0, in the precision of the weights."""
        return (clips.to(self.mean.dtype) / 255 - self.mean) / self.std
