"""How leads stand on ECG paper, in mm: 3x4 with a rhythm strip, 6x2, or one under the other, at any speed and gain.

Time runs from left to right alike in every layout: a column shows the stretch that it would show on paper, so a place
x is the same second in all lines, and a span of seconds can be shaded wherever the sheet shows it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from anyecg.plots.trace import END, LEAST, MARGIN, MOST, ROWS, rhythm_leads
from anyecg.types import CANONICAL_LEADS, DataError

SPEEDS = (25.0, 50.0)  # mm a second
GAINS = (5.0, 10.0, 20.0)  # mm a mV
PAGE = 10.0  # s of a sheet of columns
LONGEST = 30.0  # s of a sheet whose leads stand one under the other
FEW = 6  # leads: fewer stand one under the other in any layout
SIX = (("I", "V1"), ("II", "V2"), ("III", "V3"), ("aVR", "V4"), ("aVL", "V5"), ("aVF", "V6"))
COLUMNS = {"3x4": ROWS, "6x2": SIX, "12x1": ()}  # layout -> lines of leads
AIR = 1.5  # mm above and below what a line needs
LANE = 4.0  # mm below the lines, for the seconds


@dataclass(frozen=True)
class Cell:
    """A stretch of a lead: canonical index, its seconds, and the line that it stands on."""

    lead: int
    start: float
    end: float
    line: int


@dataclass(frozen=True)
class Line:
    """mm from the top of the sheet: where a line begins, its zero, and where it ends."""

    top: float
    base: float
    bottom: float


@dataclass(frozen=True)
class Layout:
    """A sheet of `width` by `height` mm that shows the seconds from `start` to `end`.

    hidden: leads that are there and not drawn; absent: leads that the recording does not have (as canonical indices).
    """

    name: str
    speed: float
    gain: float
    start: float
    end: float
    width: float
    height: float
    lines: tuple[Line, ...]
    cells: tuple[Cell, ...]
    absent: frozenset[int] = frozenset()

    def x(self, time: float) -> float:
        """mm from the left of a second of the recording."""
        return MARGIN + (time - self.start) * self.speed

    def parts(self, start: float, end: float) -> list[tuple[Cell, float, float]]:
        """Where a span of seconds is seen: (cell, from, to) of each cell that shows some of it."""
        return [
            (cell, max(start, cell.start), min(end, cell.end))
            for cell in self.cells
            if start < cell.end and (end > cell.start or (start == end and start >= cell.start))
        ]


def lay_out(
    signal: np.ndarray,
    lead_mask: np.ndarray,
    fs: float,
    *,
    layout: str = "3x4",
    speed: float = 25.0,
    gain: float = 10.0,
    start: float = 0.0,
    hidden: Collection[str] = (),
) -> Layout:
    """The layout of a recording.

    signal: `[12, T]`, mV, canonical order, at `fs` Hz, NaN where invalid; lead_mask: bool `[12]`; layout: of
    `COLUMNS`; speed: mm/s; gain: mm/mV; start: the first second shown; hidden: names of leads that are not drawn.
    DataError for a layout that is not known.
    """
    if layout not in COLUMNS:
        raise DataError(f"layout '{layout}': one of {', '.join(COLUMNS)}")
    there = [lead for lead in range(len(lead_mask)) if lead_mask[lead] and CANONICAL_LEADS[lead] not in hidden]
    seconds = signal.shape[1] / fs
    columns = COLUMNS[layout] if lead_mask.sum() >= FEW else ()
    start = min(max(0.0, start), max(0.0, seconds - (PAGE if columns else LONGEST)))
    end = min(seconds, start + (PAGE if columns else LONGEST))
    rows: list[list[tuple[int, float, float]]] = []
    if columns:
        edges = np.linspace(start, end, len(columns[0]) + 1).tolist()
        for row in columns:
            leads = [CANONICAL_LEADS.index(name) for name in row]
            rows.append([(lead, edges[k], edges[k + 1]) for k, lead in enumerate(leads)])
        if layout == "3x4" and there:
            rows.append([(rhythm_leads(np.nan_to_num(signal), _mask(there), 1)[0], start, end)])
    else:
        rows = [[(lead, start, end)] for lead in there]
    lines, cells, top = [], [], 1.0
    for stretches in rows:
        shown = [(lead, first, last) for lead, first, last in stretches if lead in there]
        room = np.max([_room(_stretch(signal, fs, *one), gain) for one in shown], axis=0) if shown else np.array(LEAST)
        up, down = (float(part) * gain + AIR for part in room)
        cells += [Cell(lead, first, last, len(lines)) for lead, first, last in stretches if lead in there or columns]
        lines.append(Line(top, top + up, top + up + down))
        top += up + down
    width = MARGIN + (end - start) * speed + END
    absent = frozenset(lead for lead in range(len(lead_mask)) if lead not in there)
    return Layout(layout, speed, gain, start, end, width, top + LANE, tuple(lines), tuple(cells), absent)


def stretch(signal: np.ndarray, fs: float, cell: Cell) -> tuple[np.ndarray, np.ndarray]:
    """(seconds `[n]`, mV `[n]` about the lead's median) of what a cell shows; NaN where invalid."""
    first, last = _samples(signal, fs, cell.start, cell.end)
    return np.arange(first, last) / fs, _stretch(signal, fs, cell.lead, cell.start, cell.end)


def _stretch(signal: np.ndarray, fs: float, lead: int, start: float, end: float) -> np.ndarray:
    first, last = _samples(signal, fs, start, end)
    whole = signal[lead]
    return whole[first:last] - (np.nanmedian(whole) if np.isfinite(whole).any() else 0.0)


def _samples(signal: np.ndarray, fs: float, start: float, end: float) -> tuple[int, int]:
    return round(start * fs), min(round(end * fs) + 1, signal.shape[1])


def _room(trace: np.ndarray, gain: float) -> tuple[float, float]:
    """mV above and below the baseline that a line has room for: a pulse fits, what lies beyond runs on."""
    trace = trace[np.isfinite(trace)]
    if not trace.size:
        return LEAST
    up, down = np.clip([trace.max(), -trace.min()], LEAST, MOST)
    return float(up), float(down)


def _mask(leads: Sequence[int]) -> np.ndarray:
    mask = np.zeros(len(CANONICAL_LEADS), bool)
    mask[list(leads)] = True
    return mask
