"""Clips that are two pictures of one stretch of time: what one encoder takes beside what another takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from anyecg.data.clips import clips
from anyecg.data.clips.base import Clips
from anyecg.types import ConfigError, InputSpec

SIDES = ("trace", "page")


@dataclass(frozen=True)
class Both:
    """The settings of an InputSpec of the kind "pair". without: the side that is left out, if any."""

    trace: InputSpec
    page: InputSpec
    without: str = ""

    def sides(self) -> tuple[InputSpec, InputSpec]:
        """What the first and the second encoder take."""
        return self.trace, self.page


class PairClips(Clips):
    """One vector a clip, float32 `[S, n + k * m + 2]`: the n numbers of the trace's clip, those of the k clips that the
    page's maker makes of the same stretch (of tiles there are several), and for each side 1 where it is there, else 0.

    The pages of one stretch are drawn under the window's own name: they look as they do for the page's encoder alone.
    ConfigError where a stretch makes more than one clip of the trace.
    """

    def __init__(self, spec: InputSpec) -> None:
        super().__init__(spec)
        if not isinstance(spec.settings, Both):
            raise ConfigError(f"encoder: the settings of a pair are a Both, not {type(spec.settings).__name__}")
        self.both: Both = spec.settings
        self.makers = [clips(side) for side in self.both.sides()]
        self.each = [maker.count(spec.seconds) for maker in self.makers]
        if self.each[0] != 1:
            raise ConfigError(f"encoder.trace: takes {self.each[0]} clips of {spec.seconds:g} s; one is wanted")
        if spec.shape != (width(self.both, self.each),):
            raise ConfigError(f"encoder: a pair has the shape ({width(self.both, self.each)},), not {spec.shape}")

    def made_by(self) -> tuple[Any, ...]:
        return (*super().made_by(), *(code for maker in self.makers for code in maker.made_by()))

    def make(self, signal: np.ndarray, lead_mask: np.ndarray, key: str = "") -> np.ndarray:
        count = self.count(signal.shape[1] / self.spec.fs)
        parts = [
            maker.blank(count * each) if self.both.without == side else maker.make(signal, lead_mask, key)
            for side, maker, each in zip(SIDES, self.makers, self.each, strict=True)
        ]
        return self.joined(parts, [side != self.both.without for side in SIDES])

    def pictured(self, pixels: np.ndarray) -> np.ndarray:
        """A picture alone: its trace is not there."""
        page = self.makers[1].pictured(pixels)
        return self.joined([self.makers[0].blank(len(page) // self.each[1]), page], [False, True])

    def blank(self, count: int) -> np.ndarray:
        """Neither side is there."""
        blanks = [maker.blank(count * each) for maker, each in zip(self.makers, self.each, strict=True)]
        return self.joined(blanks, [False, False])

    def joined(self, parts: list[np.ndarray], there: list[bool]) -> np.ndarray:
        """The sides' clips, trace `[S, ...]` and page `[S * k, ...]`, as vectors `[S, *spec.shape]`."""
        count = len(parts[0])
        if not count:
            return np.zeros((0, *self.spec.shape), np.float32)
        flags = np.tile(np.asarray(there, np.float32), (count, 1))
        return np.concatenate([*(part.reshape(count, -1) for part in parts), flags], axis=1, dtype=np.float32)


def width(both: Both, each: list[int]) -> int:
    """Numbers of a pair's clip."""
    return sum(int(np.prod(side.shape)) * count for side, count in zip(both.sides(), each, strict=True)) + len(SIDES)


def pair_of(trace: InputSpec, page: InputSpec) -> InputSpec:
    """The InputSpec of two encoders over the same stretch; ConfigError where theirs is not the same."""
    for what, first, second in (("fs", trace.fs, page.fs), ("seconds", trace.seconds, page.seconds)):
        if first != second:
            raise ConfigError(f"encoder: trace and page are of one stretch, but their {what} is {first} and {second}")
    both = Both(trace, page)
    each = [clips(side).count(trace.seconds) for side in both.sides()]
    return InputSpec("pair", trace.fs, trace.seconds, trace.scaling, trace.leads, (width(both, each),), both)
