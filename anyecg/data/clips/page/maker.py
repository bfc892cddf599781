"""Clips that are pictures of ECG paper: a page for each stretch of time, as it is or in tiles."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from anyecg.config.checks import Checks
from anyecg.data.chance import chance
from anyecg.data.clips.base import Clips
from anyecg.data.clips.page import draw
from anyecg.data.clips.page.distort import distort
from anyecg.data.clips.page.measure import header
from anyecg.data.clips.page.tiles import canvas, padded, scaled, tiles
from anyecg.types import ConfigError, InputSpec

PENS = (22, 42)  # 1/100 mm: the range of pens that are drawn
KEYS: dict[str, Mapping[str, object]] = {
    "papers": draw.PAPERS,
    "layouts": draw.LAYOUTS,
    "grids": draw.GRIDS,
    "inks": draw.INKS,
}


@dataclass(frozen=True)
class PageConfig:
    """How pages look: shares (of any sum) of each choice, drawn for each record by `seed` and its name alone.

    The default is ecg-image-kit's standard page. PULSE does not publish its shares but three: about as many distorted
    pages as standard ones, one of fifty without a grid, some with a printed header (section 2.1, appendix C).
    """

    papers: dict[str, float] = field(default_factory=lambda: {"letter": 1.0})  # letter, A4
    layouts: dict[str, float] = field(default_factory=lambda: {"3x4+1": 1.0})  # rows and columns of leads
    grids: dict[str, float] = field(default_factory=lambda: {"red": 1.0})  # colour of the lines, or none
    inks: dict[str, float] = field(default_factory=lambda: {"black": 1.0})  # colour of the trace
    speeds: dict[str, float] = field(default_factory=lambda: {"25": 1.0})  # mm a second
    gains: dict[str, float] = field(default_factory=lambda: {"10": 1.0})  # mm a mV
    distorted: float = 0.0  # share of pages that are distorted
    strength: float = 1.0  # of distortions: 0 none, 1 as in `distort`
    scales: bool = True  # whether speed and gain are printed
    header: bool = False  # whether rate and axis, as measured, are printed: text that an answer can be read off
    dpi: int | None = (
        None  # scanned at so many dots an inch before it is made to fit (None: as fine as the encoder sees)
    )
    seed: int = 0  # of the choices and distortions of each record

    def __post_init__(self) -> None:
        with Checks(self) as check:
            for key, known in KEYS.items():
                check.among(key, known)
            check.among("speeds", ("25", "50"))
            check.among("gains", ("5", "10", "20"))
            check.number("distorted", least=0, most=1)
            check.number("strength", least=0, most=2)
            check.number("dpi", least=10, most=1200)
            for key in (*KEYS, "speeds", "gains"):
                check.number(key, least=0)
                if not sum(getattr(self, key).values()) > 0:
                    check.wrong(key, "at least one share above 0")

    def style(self, rng: random.Random) -> draw.Style:
        """One page's look."""
        return draw.Style(
            paper=_choice(rng, self.papers),
            layout=_choice(rng, self.layouts),
            grid=_choice(rng, self.grids),
            ink=_choice(rng, self.inks),
            speed=int(_choice(rng, self.speeds)),
            gain=int(_choice(rng, self.gains)),
            pen=rng.randint(*PENS),
            scales=self.scales,
        )


class PageClips(Clips):
    """Pages of ECG paper, uint8 `[S, 3, H, W]`, one for each `spec.seconds`; `spec.settings`: a `PageConfig`.

    Pages are drawn from millivolts at the resolution of the clips, so `spec.scaling` has to be "millivolt". At 50 mm/s
    a page shows the first half of its stretch, as much as the paper is wide. The window's name decides how its pages
    look; nothing depends on the order in which pages are drawn.
    """

    each = 1  # clips a page

    def __init__(self, spec: InputSpec) -> None:
        super().__init__(spec)
        self.cfg = PageConfig() if spec.settings is None else spec.settings
        if not isinstance(self.cfg, PageConfig):
            raise ConfigError(f"encoder: the settings of pages are a PageConfig, not {type(self.cfg).__name__}")
        if len(spec.shape) != 3 or spec.shape[0] != 3 or spec.scaling != "millivolt":
            raise ConfigError(
                f"encoder: pages are clips (3, height, width) in the scaling millivolt, not {spec.shape} in "
                f"'{spec.scaling}'"
            )
        _, self.height, self.width = spec.shape

    def count(self, seconds: float) -> int:
        return super().count(seconds) * self.each

    def make(self, signal: np.ndarray, lead_mask: np.ndarray, key: str = "") -> np.ndarray:
        samples = round(self.spec.seconds * self.spec.fs)
        pages = super().count(signal.shape[1] / self.spec.fs)
        parts = [signal[:, number * samples : (number + 1) * samples] for number in range(pages)]
        return np.concatenate(
            [self.clips(self.page(part, lead_mask, key, number)) for number, part in enumerate(parts)]
        )

    def page(self, signal: np.ndarray, lead_mask: np.ndarray, key: str = "", number: int = 0) -> np.ndarray:
        """A page uint8 `[H, W, 3]` at the resolution of the clips; number: which page of its record."""
        style = self.cfg.style(chance(self.cfg.seed, "page", key))  # the pages of a record look alike
        if self.cfg.header:
            style = replace(style, header=header(signal, lead_mask, self.spec.fs))
        scale = draw.fitting(style.paper, *self.room(style.paper))
        drawn_at = scale if self.cfg.dpi is None else self.cfg.dpi * 10_000 // 254
        picture = draw.draw(signal, lead_mask, self.spec.fs, style, drawn_at)
        if drawn_at != scale:
            picture = scaled(picture, draw.page_size(style.paper, scale))
        rng = chance(self.cfg.seed, "distorted", key, number)
        return distort(picture, rng, self.cfg.strength) if rng.random() < self.cfg.distorted else picture

    def room(self, paper: str) -> tuple[int, int]:
        """Height and width in pixels that a page of this paper is made to fit."""
        return self.height, self.width

    def clips(self, picture: np.ndarray) -> np.ndarray:
        """The clips of a picture, drawn or of a user's: uint8 `[H, W, 3]` of any size to `[each, 3, height, width]`."""
        return padded(picture, self.height, self.width, ground=255).transpose(2, 0, 1)[None]

    def pictured(self, pixels: np.ndarray) -> np.ndarray:
        return self.clips(pixels)

    def blank(self, count: int) -> np.ndarray:
        """Empty paper with the grid that is the commonest, nothing drawn or printed on it."""
        paper, grid = (max(shares, key=lambda name: shares[name]) for shares in (self.cfg.papers, self.cfg.grids))
        style = draw.Style(paper=paper, grid=grid, layout="strip", scales=False)
        scale = draw.fitting(paper, *self.room(paper))
        empty = draw.draw(np.zeros((12, 1), np.float32), np.zeros(12, bool), self.spec.fs, style, scale)
        return np.concatenate([self.clips(empty)] * max(1, -(-count // self.each)))[:count]


class TileClips(PageClips):
    """Pages in AnyRes's overview and square tiles (PULSE, LLaVA-1.6), drawn at the tiles' resolution."""

    def __init__(self, spec: InputSpec) -> None:
        super().__init__(spec)
        if self.height != self.width:
            raise ConfigError(f"encoder: tiles are square, not {self.height} x {self.width}")
        sizes = {self.room(paper) for paper in self.cfg.papers}
        if len(sizes) > 1:
            raise ConfigError("page.papers: pages of these papers have different numbers of tiles; choose one")
        (down, across) = sizes.pop()
        self.each = 1 + down * across // self.height**2

    def room(self, paper: str) -> tuple[int, int]:
        across, down = draw.PAPERS[paper]
        return canvas(down, across, self.height)

    def clips(self, picture: np.ndarray) -> np.ndarray:
        return tiles(picture, self.height)


def _choice(rng: random.Random, shares: Mapping[str, float]) -> str:
    return rng.choices(list(shares), list(shares.values()))[0]
