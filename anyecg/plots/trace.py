"""ECGs drawn as on paper: the grid, a calibration pulse, lead names; stretches shaded and beats marked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from anyecg.types import CANONICAL_LEADS, InputSpec

GAIN = 10.0  # mm a mV
SPEED, SLOW = 25.0, 12.5  # mm a second: of what fits a line of ten seconds, and of what is longer
MARGIN, END = 10.0, 3.0  # mm left of the traces, for the calibration pulse, and right of them
LINE = 10.0 * SPEED  # mm of trace on a line
WIDEST = MARGIN + LINE + END  # mm, of a panel
OVERHANG = 0.05  # of a line: what makes no line of its own
# mV above and below a baseline: a pulse fits; what lies beyond runs on, as on paper
LEAST, MOST = ((1.1, 0.6), (3.5, 3.5))
BEATS, LANE, TIMES = 5.0, 4.0, 4.0  # mm of the beats above a line, of a lane of intervals and of the seconds below it
ROWS = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
# where rhythm is read, best lead first
RHYTHM = ("II", "V1", "V5", "I", "V2", "V6", "aVF", "V3", "V4", "III", "aVL", "aVR")
PAPER, MINOR, MAJOR, INK, QUIET = "#fffaf8", "#f9e3de", "#efbfb6", "#16181d", "#8a8a8a"
TRUE = "#1b7837"

Intervals = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Panel:
    """A piece of ECG paper, at least so many mm wide and high, and what draws it.

    draw(axes, height, scale): into axes that become `width` by `height` mm; scale: a mm of it in mm of the picture.
    """

    width: float
    height: float
    draw: Callable[[Axes, float, float], None]


@dataclass(frozen=True)
class Beat:
    """An annotation above the trace: seconds from its start, its symbol, and whether it is what is asked for."""

    time: float
    symbol: str
    asked: bool = False


def rhythm_leads(signal: np.ndarray, lead_mask: np.ndarray, count: int = 2) -> list[int]:
    """The canonical indices of the leads that a long strip shows: II and V1, or the next best that are there and not
    flat.
    """
    there = [lead for lead in map(CANONICAL_LEADS.index, RHYTHM) if lead_mask[lead]]
    return sorted(sorted(there, key=lambda lead: np.ptp(signal[lead]) < 0.05)[:count])


def strips(
    signal: np.ndarray,
    names: Sequence[str],
    *,
    fs: float = InputSpec.fs,
    shaded: Intervals = (),
    beats: Sequence[Beat] = (),
    lanes: Mapping[str, tuple[Intervals | None, str]] | None = None,
) -> Panel:
    """Leads under each other: ten seconds on a line at 25 mm/s, or lines of twenty at 12.5 mm/s.

    signal: `[L, T]`, mV, at `fs` Hz; names: L; shaded: `[start, end]` in seconds; lanes: name -> (intervals, colour),
    bars below each line, None for what could not be read.
    """
    lanes = lanes or {}
    traces = signal - np.median(signal, axis=1, keepdims=True)
    seconds = signal.shape[1] / fs
    speed = SPEED if seconds * SPEED <= LINE * (1 + OVERHANG) else SLOW
    lines = max(1, math.ceil(seconds * speed / LINE - OVERHANG))
    each = max(LINE / speed, seconds / lines)
    room = [_room(trace) for trace in traces]
    tall = bool(beats) * BEATS + sum(up + down for up, down in room) + LANE * len(lanes) + TIMES
    width = MARGIN + min(seconds, each) * speed + END

    def draw(axes: Axes, height: float, scale: float) -> None:
        paper(axes, width, height, scale)
        for line in range(lines):
            first, last = line * each, min(seconds, (line + 1) * each)
            top = height - line * tall
            place = _Line(axes, scale, first, last, speed, fs)
            bottom = top - tall + TIMES + LANE * len(lanes)
            place.shade(shaded, bottom, top)
            if beats:
                place.mark(beats, top - BEATS + 0.8)
                top -= BEATS
            for trace, name, (up, down) in zip(traces, names, room):
                base = top - up
                pulse(axes, base, scale)
                axes.text(2.0, base - 1.6, name, fontsize=_size(9, scale), color=INK, va="top", weight="bold")
                place.plot(trace, base)
                top -= up + down
            for name, (intervals, colour) in lanes.items():
                place.bars(name, intervals, colour, top - LANE)
                top -= LANE
            place.seconds(top)

    return Panel(width, lines * tall, draw)


def twelve_leads(signal: np.ndarray, lead_mask: np.ndarray, *, fs: float = InputSpec.fs, rhythm: bool = True) -> Panel:
    """The clinical page: three rows of four leads, a quarter of the time each, and lead II (or the next best) below if
    `rhythm`.

    signal: `[12, T]`, mV, at `fs` Hz, canonical order, about ten seconds; lead_mask: bool `[12]`.
    """
    traces = signal - np.median(signal, axis=1, keepdims=True)
    samples = signal.shape[1]
    edges = [round(samples * quarter / 4) for quarter in range(5)]
    cells = [
        [(lead, edges[column], edges[column + 1]) for column, lead in enumerate(map(CANONICAL_LEADS.index, row))]
        for row in ROWS
    ]
    if rhythm:
        cells.append([(rhythm_leads(signal, lead_mask, 1)[0], 0, samples)])
    room = [np.max([_room(traces[lead, first:last]) for lead, first, last in row], axis=0) for row in cells]
    width = MARGIN + samples / fs * SPEED + END

    def draw(axes: Axes, height: float, scale: float) -> None:
        paper(axes, width, height, scale)
        top = height - 2
        for row, (up, down) in zip(cells, room):
            base = top - up
            pulse(axes, base, scale)
            for lead, first, last in row:
                x = MARGIN + np.arange(first, last) / fs * SPEED
                if lead_mask[lead]:
                    axes.plot(x, base + GAIN * traces[lead, first:last], color=INK, linewidth=_line(scale))
                if first:
                    axes.plot([x[0], x[0]], [base - 2, base + 2], color=INK, linewidth=_line(scale))
                words = CANONICAL_LEADS[lead] + ("" if lead_mask[lead] else " (absent)")
                axes.text(
                    x[0] + 1,
                    base + min(up, 16),
                    words,
                    fontsize=_size(9, scale),
                    va="top",
                    weight="bold",
                    color=INK if lead_mask[lead] else QUIET,
                )
            top -= up + down

    return Panel(width, float(np.sum(room)) + 4, draw)


def paper(axes: Axes, width: float, height: float, scale: float) -> None:
    """A sheet of so many mm: bold lines every 5 mm, and fine ones every mm where they can be told apart in print."""
    axes.set_facecolor(PAPER)
    axes.set(xlim=(0, width), ylim=(0, height), xticks=[], yticks=[])
    for step, colour, thickness in ((1.0, MINOR, 0.35), (5.0, MAJOR, 0.6)):
        if step * scale >= 0.5:
            axes.vlines(np.arange(0, width, step), 0, height, colour, linewidth=thickness * scale, zorder=0)
            axes.hlines(np.arange(height, 0, -step), 0, width, colour, linewidth=thickness * scale, zorder=0)
    for spine in axes.spines.values():
        spine.set(color=MAJOR, linewidth=0.6 * scale)


def pulse(axes: Axes, base: float, scale: float) -> None:
    """One millivolt, 5 mm wide."""
    axes.plot([2, 3, 3, 8, 8, 9], base + np.array([0, 0, GAIN, GAIN, 0, 0]), color=INK, linewidth=_line(scale))


@dataclass(frozen=True)
class _Line:
    """One line of a strip, from `first` to `last` seconds."""

    axes: Axes
    scale: float
    first: float
    last: float
    speed: float
    fs: float

    def x(self, time: float) -> float:
        return MARGIN + (time - self.first) * self.speed

    def inside(self, intervals: Intervals) -> list[tuple[float, float]]:
        """The parts of intervals that lie on this line, in mm: (left, width)."""
        cut = ((max(start, self.first), min(end, self.last)) for start, end in intervals)
        return [(self.x(start), (end - start) * self.speed) for start, end in cut if end > start]

    def shade(self, intervals: Intervals, bottom: float, top: float) -> None:
        for left, width in self.inside(intervals):
            self.axes.add_patch(
                Rectangle((left, bottom), width, top - bottom, facecolor=TRUE, alpha=0.13, linewidth=0, zorder=1)
            )
            self.axes.vlines([left, left + width], bottom, top, TRUE, linewidth=0.7 * self.scale, alpha=0.7, zorder=1)

    def mark(self, beats: Sequence[Beat], y: float) -> None:
        for beat in beats:
            if self.first <= beat.time < self.last:
                self.axes.text(
                    self.x(beat.time),
                    y,
                    beat.symbol,
                    fontsize=_size(8, self.scale),
                    ha="center",
                    parse_math=False,
                    color=TRUE if beat.asked else QUIET,
                    weight="bold" if beat.asked else "normal",
                )

    def plot(self, trace: np.ndarray, base: float) -> None:
        first, last = round(self.first * self.fs), round(self.last * self.fs)
        x = MARGIN + np.arange(last - first) / self.fs * self.speed
        self.axes.plot(x, base + GAIN * trace[first:last], color=INK, linewidth=_line(self.scale))

    def bars(self, name: str, intervals: Intervals | None, colour: str, bottom: float) -> None:
        self.axes.text(0.6, bottom + LANE / 2, name, fontsize=_size(6.6, self.scale), color=colour, va="center")
        if intervals is not None and len(intervals):
            self.axes.broken_barh(self.inside(intervals), (bottom + 0.7, LANE - 1.4), color=colour, linewidth=0)
        else:
            self.axes.text(
                self.x((self.first + self.last) / 2),
                bottom + LANE / 2,
                "unreadable" if intervals is None else "none",
                fontsize=_size(7, self.scale),
                color=colour,
                ha="center",
                va="center",
                style="italic",
            )

    def seconds(self, y: float) -> None:
        how: dict[str, Any] = {"fontsize": _size(7.5, self.scale), "color": QUIET, "va": "top"}
        self.axes.text(2.0, y - 1.0, "s", **how)
        for time in range(math.ceil(self.first), math.floor(self.last) + 1, 1 if self.speed == SPEED else 2):
            self.axes.plot([self.x(time)] * 2, [y - 0.6, y + 0.6], color=QUIET, linewidth=_line(self.scale))
            self.axes.text(self.x(time), y - 1.0, str(time), ha="center", **how)


def _room(trace: np.ndarray) -> tuple[float, float]:
    """mm above and below the baseline that a trace needs."""
    up, down = np.clip([trace.max(), -trace.min()], LEAST, MOST)
    return float(GAIN * up + 1.5), float(GAIN * down + 1.5)


def _size(points: float, scale: float) -> float:
    return max(3.6, points * scale)


def _line(scale: float) -> float:
    return max(0.4, 0.9 * scale)
