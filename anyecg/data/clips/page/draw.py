"""A page of ECG paper drawn from millivolts: grid, traces, calibration pulses, lead names, printed scales."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from anyecg.data.clips.page.font import lay, word
from anyecg.data.clips.page.ink import COLUMNS, FULL, UNITS, Ink, blend, lines
from anyecg.types import CANONICAL_LEADS, ConfigError

PAPERS = {"letter": (27940, 21590), "a4": (29700, 21000)}  # width and height, in 1/100 mm
Colour = tuple[int, int, int]
GRIDS: dict[str, tuple[Colour | None, Colour | None, Colour]] = {  # of the fine and the bold lines, of the paper
    "red": ((248, 205, 201), (235, 158, 152), (255, 252, 251)),
    "pink": ((250, 216, 228), (240, 170, 196), (255, 251, 253)),
    "orange": ((250, 220, 196), (238, 180, 134), (255, 252, 247)),
    "brown": ((229, 211, 196), (205, 174, 150), (253, 250, 246)),
    "green": ((207, 232, 210), (152, 203, 160), (250, 254, 250)),
    "blue": ((207, 222, 242), (152, 182, 222), (250, 252, 255)),
    "grey": ((226, 226, 226), (190, 190, 190), (254, 254, 254)),
    "none": (None, None, (255, 255, 255)),
}
BLACK = (24, 24, 28)
INKS = {"black": BLACK, "blue": (26, 40, 110), "grey": (78, 78, 82)}
LIMBS, CHEST = CANONICAL_LEADS[:6], CANONICAL_LEADS[6:]
COLUMNS_OF_THREE = [CANONICAL_LEADS[start : start + 3] for start in range(0, 12, 3)]
LAYOUTS: dict[
    str, tuple[list[tuple[str, ...]], int]
] = {  # columns of leads, each shown for its share of the time, and full-length leads below
    "3x4": (COLUMNS_OF_THREE, 0),
    "3x4+1": (COLUMNS_OF_THREE, 1),
    "3x4+3": (COLUMNS_OF_THREE, 3),
    "6x2": ([LIMBS, CHEST], 0),
    "6x2+1": ([LIMBS, CHEST], 1),
    "12x1": ([CANONICAL_LEADS], 0),
    "strip": ([], 0),  # every lead at its full length, in as many lines as that takes
}
FULL_LENGTH = ("II", "V1", "V5", "I", "V2", "V6", "aVF", "V3", "V4", "III", "aVL", "aVR")  # the best for rhythm first
TRACE = 25000  # 1/100 mm of trace across a page
RIGHT = 800  # 1/100 mm right of it
PULSE = 500, 900  # the calibration pulse's width, and how far left of the trace it begins, in 1/100 mm
TOP, FOOT = 2600, 1100  # 1/100 mm above the first and below the last lane
TALLEST = 4200  # 1/100 mm of a lane
FINE, BOLD = 12, 24  # 1/100 mm: how thick grid lines are
LETTER = 280  # 1/100 mm: how high a capital is
SPARSE = 3  # leads: fewer make a page of strips


@dataclass(frozen=True)
class Style:
    """How a page looks. paper, layout, grid, ink: of `PAPERS`, `LAYOUTS`, `GRIDS`, `INKS`; speed: mm a second; gain:
    mm a mV; pen: thickness of the trace in 1/100 mm; scales: print speed and gain; header: lines printed at the top.
    """

    paper: str = "letter"
    layout: str = "3x4+1"
    grid: str = "red"
    ink: str = "black"
    speed: int = 25
    gain: int = 10
    pen: int = 30
    scales: bool = True
    header: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cell:
    """A stretch of a lead on a page: samples `first` to `last` from `x` on, its baseline at `y` (1/100 mm)."""

    lead: int
    first: int
    last: int
    x: int
    y: int


def page_seconds(style: Style) -> float:
    """How long a trace runs across a page."""
    return TRACE / 100 / style.speed


def cells(style: Style, present: Sequence[bool], samples: int, fs: float) -> tuple[list[Cell], list[int], int]:
    """What is drawn where: the cells of leads that are there, the baselines (1/100 mm) and the height of a lane."""
    columns, full = LAYOUTS[style.layout]
    there = [lead for lead in range(12) if present[lead]]
    width, height = PAPERS[style.paper]
    left, across = width - RIGHT - TRACE, round(page_seconds(style) * fs)
    if not columns or len(there) < SPARSE:
        turns = max(1, -(-samples // across)) if not columns else 1
        lanes = [(lead, turn) for turn in range(turns) for lead in there]
        pitch = min(TALLEST, (height - TOP - FOOT) // max(1, len(lanes)))
        base = [TOP + pitch * row + pitch // 2 for row in range(len(lanes))]
        found = [
            Cell(lead, turn * across, min(samples, (turn + 1) * across), left, base[row])
            for row, (lead, turn) in enumerate(lanes)
        ]
        return found, base, pitch
    strips = [lead for lead in map(CANONICAL_LEADS.index, FULL_LENGTH) if present[lead]][:full]
    rows = len(columns[0]) + full
    pitch = min(TALLEST, (height - TOP - FOOT) // rows)
    top = TOP + (height - TOP - FOOT - pitch * rows) // 2
    base = [top + pitch * row + pitch // 2 for row in range(rows)]
    part = across / len(columns)
    found = []
    for number, leads in enumerate(columns):
        first, last = round(number * part), min(samples, round((number + 1) * part))
        x = left + number * TRACE // len(columns)
        found += [
            Cell(lead, first, last, x, base[row])
            for row, lead in enumerate(map(CANONICAL_LEADS.index, leads))
            if present[lead] and first < last
        ]
    found += [Cell(lead, 0, min(samples, across), left, base[len(columns[0]) + row]) for row, lead in enumerate(strips)]
    return found, base, pitch


def draw(signal: np.ndarray, present: np.ndarray, fs: float, style: Style, scale: int) -> np.ndarray:
    """A page as uint8 `[H, W, 3]`; the same bits on every machine.

    signal: mV `[12, T]` at `fs` Hz, of which what does not fit the page is left out; present: bool `[12]`, False where
    a lead is neither drawn nor named; scale: 1/1000 pixel a mm. ConfigError for a style that is none.
    """
    for key, known in (("paper", PAPERS), ("layout", LAYOUTS), ("grid", GRIDS), ("ink", INKS)):
        if getattr(style, key) not in known:
            raise ConfigError(f"{key}: '{getattr(style, key)}' is unknown (known: {', '.join(known)})")
    height, width = page_size(style.paper, scale)
    picture = _paper(style.paper, style.grid, scale).copy()
    microvolts = np.rint(signal * 1000).astype(np.int64)
    ink = Ink(height, width)
    shown, bases, pitch = cells(style, list(present), signal.shape[1], fs)
    pen = max(style.pen * scale * UNITS // 100_000, UNITS * 3 // 4)
    spacing = style.speed * scale * COLUMNS, round(fs * 1000)
    left = PAPERS[style.paper][0] - RIGHT - TRACE
    for cell in shown:
        part = microvolts[cell.lead, cell.first : cell.last]
        if not len(part):
            continue
        middle = np.partition(part, len(part) // 2)[len(part) // 2]
        level = cell.y * scale * UNITS // 100_000 - (part - middle) * (style.gain * scale * UNITS) // 1_000_000
        ink.trace(cell.x * scale * COLUMNS // 100_000, level, spacing, pen)
    for base in bases:
        _pulse(ink, left - PULSE[1], base, style.gain, scale, pen)
    covered = ink.coverage()
    for text, x, y in _words(style, shown, pitch, left):
        drawn = word(text, LETTER * scale * 64 // 100_000, max(pen * 64 // UNITS, 56))
        lay(covered, drawn, x * scale // 100_000, y * scale // 100_000 - len(drawn))
    blend(picture, covered, INKS[style.ink])
    return picture


def page_size(paper: str, scale: int) -> tuple[int, int]:
    """Height and width of a page in pixels."""
    width, height = PAPERS[paper]
    return (height * scale + 50_000) // 100_000, (width * scale + 50_000) // 100_000


def fitting(paper: str, height: int, width: int) -> int:
    """The greatest scale, in 1/1000 pixel a mm, at which a page fits so many pixels."""
    across, down = PAPERS[paper]
    return min(width * 100_000 // across, height * 100_000 // down)


@lru_cache(maxsize=64)
def _paper(paper: str, grid: str, scale: int) -> np.ndarray:
    """Empty paper with its grid, uint8 `[H, W, 3]`."""
    height, width = page_size(paper, scale)
    fine, bold, ground = GRIDS[grid]
    picture = np.empty((height, width, 3), np.uint8)
    picture[:] = ground
    if fine is None or bold is None:
        return picture
    left = (PAPERS[paper][0] - RIGHT - TRACE) * scale // 100 % (5 * scale)  # a bold line where traces begin
    for colour, step, thick in ((fine, scale, FINE), (bold, 5 * scale, BOLD)):
        # a line thinner than a pixel is as faint as it is thin
        across = lines(width, left, step, thick * scale // 100, FULL).astype(np.int64)
        down = lines(height, 0, step, thick * scale // 100, FULL).astype(np.int64)
        both = FULL - (FULL - across)[None, :] * (FULL - down)[:, None] // FULL
        blend(picture, np.minimum(both * 3, FULL), colour)
    return picture


def _pulse(ink: Ink, x: int, y: int, gain: int, scale: int, pen: int) -> None:
    """A calibration pulse of one millivolt: `PULSE` wide, a point each tenth of a mm."""
    width = PULSE[0] // 10
    up = y - gain * 100
    points = np.full(width + 30, y, np.int64)
    points[15 : 15 + width] = up
    ink.trace(x * scale * COLUMNS // 100_000, points * scale * UNITS // 100_000, (scale * COLUMNS, 10_000), pen)


def _words(style: Style, shown: Sequence[Cell], pitch: int, left: int) -> Iterator[tuple[str, int, int]]:
    """Each printed word, with its left end and its baseline in 1/100 mm."""
    above = min(1500, pitch // 2 - 100) if pitch > 1600 else pitch // 2 - 150
    for cell in shown:
        if cell.first == 0 or style.layout != "strip":
            yield CANONICAL_LEADS[cell.lead], cell.x + 100, cell.y - above + LETTER
    height = PAPERS[style.paper][1]
    if style.scales:
        yield f"{style.speed} mm/s", left, height - 350
        yield f"{style.gain} mm/mV", left + 3500, height - 350
    for row, text in enumerate(style.header):
        yield text, left + 9000 * (row // 4), 750 + 480 * (row % 4)
