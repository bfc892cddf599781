"""An ECG on paper as SVG: every sample of the file, spans of seconds shaded, leads lit up."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from html import escape

import numpy as np

from anyecg.plots.layout import Cell, Layout, stretch
from anyecg.plots.trace import INK, MAJOR, MARGIN, MINOR, PAPER, QUIET
from anyecg.types import CANONICAL_LEADS

DENSEST = 25  # samples a mm (500 Hz has 20): of more, the least and the greatest of each piece are drawn
LIT = "#fff1b8"
SPAN, THINNEST = "#1b7837", 0.8  # of a shaded span; mm that a single moment is drawn wide


def sheet_svg(
    signal: np.ndarray,
    fs: float,
    layout: Layout,
    *,
    spans: Sequence[tuple[float, float]] = (),
    lit: Collection[str] = (),
    name: str = "ecg",
) -> str:
    """An `<svg>` of the layout, one unit a mm.

    signal: `[12, T]`, mV, at `fs` Hz; spans: (start, end) in seconds, each drawn wherever the sheet shows it, as
    `rect.span` with its number in `data-span`; lit: leads to point out; name: a prefix of the ids, one an SVG of a
    page. `data-speed` (mm/s), `data-gain` (mm/mV), `data-start` (s) and `data-lines` (mm, where lines end) tell a
    script what a place is.
    """
    ends = ",".join(f"{line.bottom:.2f}" for line in layout.lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="ecg-sheet" role="img" aria-label="{escape(name)}: ECG trace" '
        f'viewBox="0 0 {layout.width:.2f} {layout.height:.2f}" data-width="{layout.width:.2f}" '
        f'data-speed="{layout.speed:g}" data-gain="{layout.gain:g}" data-start="{layout.start:g}" '
        f'data-margin="{MARGIN:g}" data-lines="{ends}">',
        _grid(layout, escape(name)),
    ]
    lit = {lead.lower() for lead in lit}
    for cell in layout.cells:
        line = layout.lines[cell.line]
        lead = CANONICAL_LEADS[cell.lead]
        if lead.lower() in lit:
            parts.append(_rect("lit", layout.x(cell.start), line.top, layout.x(cell.end), line.bottom, LIT, 0.8))
    for number, (start, end) in enumerate(spans):
        for cell, first, last in layout.parts(start, end):
            line, left, right = layout.lines[cell.line], layout.x(first), layout.x(last)
            if right - left < THINNEST:
                left, right = (left + right - THINNEST) / 2, (left + right + THINNEST) / 2
            shade = _rect("span", left, line.top, right, line.bottom, SPAN, 0.2, f' data-span="{number}"')
            parts.append(shade.replace("/>", f"><title>{_words(start, end)}</title></rect>"))
    for line in layout.lines:
        parts.append(_pulse(line.base, layout.gain))
    parts += [_cell(signal, fs, layout, cell, CANONICAL_LEADS[cell.lead].lower() in lit) for cell in layout.cells]
    parts += [*_seconds(layout), "</svg>"]
    return "".join(parts)


def _words(start: float, end: float) -> str:
    return f"{start:g} s" if start == end else f"{start:g} to {end:g} s"


def _rect(kind: str, left: float, top: float, right: float, bottom: float, colour: str, opacity: float, more="") -> str:
    return (
        f'<rect class="{kind}" x="{left:.2f}" y="{top:.2f}" width="{right - left:.2f}" height="{bottom - top:.2f}" '
        f'fill="{colour}" fill-opacity="{opacity}"{more}/>'
    )


def _grid(layout: Layout, name: str) -> str:
    def pattern(key: str, step: float, colour: str, thickness: float) -> str:
        return (
            f'<pattern id="{name}-{key}" width="{step:g}" height="{step:g}" patternUnits="userSpaceOnUse">'
            f'<path d="M{step:g} 0H0V{step:g}" fill="none" stroke="{colour}" stroke-width="{thickness}"/></pattern>'
        )

    sheet = f'width="{layout.width:.2f}" height="{layout.height:.2f}"'
    return (
        f"<defs>{pattern('mm', 1, MINOR, 0.1)}{pattern('cm', 5, MAJOR, 0.2)}</defs>"
        f'<rect {sheet} fill="{PAPER}"/><rect {sheet} fill="url(#{name}-mm)"/>'
        f'<rect {sheet} fill="url(#{name}-cm)"/>'
    )


def _pulse(base: float, gain: float) -> str:
    """One millivolt, 5 mm wide."""
    return (
        f'<path class="pulse" d="M2 {base:.2f}h1v{-gain:g}h5v{gain:g}h1" fill="none" stroke="{INK}" '
        f'stroke-width="0.25"/>'
    )


def _cell(signal: np.ndarray, fs: float, layout: Layout, cell: Cell, lit: bool) -> str:
    line, lead = layout.lines[cell.line], CANONICAL_LEADS[cell.lead]
    absent = cell.lead in layout.absent
    left = layout.x(cell.start)
    parts = []
    if not absent:
        path = _path(*_points(signal, fs, layout, cell, line.base))
        parts.append(
            f'<path class="trace" data-lead="{lead}" d="{path}" fill="none" stroke="{INK}" stroke-width="0.25" '
            f'stroke-linejoin="round"/>'
        )
    if cell.start > layout.start:
        parts.append(f'<path d="M{left:.2f} {line.base - 2:.2f}v4" stroke="{INK}" stroke-width="0.3"/>')
    y = max(line.top + 3.6, line.base - 12.0)
    parts.append(
        f'<text class="lead{" lit" if lit else ""}" x="{left + 1:.2f}" y="{y:.2f}" font-size="3.4" font-weight="bold" '
        f'font-family="sans-serif" fill="{QUIET if absent else INK}">{lead}{" (not shown)" if absent else ""}</text>'
    )
    return "".join(parts)


def _points(signal: np.ndarray, fs: float, layout: Layout, cell: Cell, base: float) -> tuple[np.ndarray, np.ndarray]:
    """Places `[n]` in mm of a cell's samples; of very many on a mm the least and the greatest of each piece."""
    times, trace = stretch(signal, fs, cell)
    each = math.floor(fs / layout.speed / DENSEST)
    if each > 1:
        whole = len(trace) // each * each
        pieces = trace[:whole].reshape(-1, each)
        with np.errstate(invalid="ignore"):
            low, high = pieces.min(axis=1), pieces.max(axis=1)
        times = np.repeat(times[:whole:each], 2)
        trace = np.stack([low, high], axis=1).ravel()
    return MARGIN + (times - layout.start) * layout.speed, base - layout.gain * trace


def _path(x: np.ndarray, y: np.ndarray) -> str:
    """The `d` of a line through places in mm, broken where one is NaN."""
    valid = np.concatenate([[False], np.isfinite(y), [False]])
    turns = np.flatnonzero(valid[1:] != valid[:-1])
    pieces = [np.stack([x[first:last], y[first:last]], axis=1) for first, last in zip(turns[::2], turns[1::2])]
    return "".join(f"M{'L'.join(['%.2f %.2f'] * len(piece))}" % tuple(piece.ravel().tolist()) for piece in pieces)


def _seconds(layout: Layout) -> list[str]:
    y = layout.height - 0.8
    marks = []
    for second in range(math.ceil(layout.start), math.floor(layout.end) + 1):
        x = layout.x(second)
        marks.append(f'<path d="M{x:.2f} {y - 3.4:.2f}v1" stroke="{QUIET}" stroke-width="0.2"/>')
        marks.append(
            f'<text x="{x:.2f}" y="{y:.2f}" font-size="2.4" text-anchor="middle" font-family="sans-serif" '
            f'fill="{QUIET}">{second}{" s" if second == math.ceil(layout.start) else ""}</text>'
        )
    return marks
