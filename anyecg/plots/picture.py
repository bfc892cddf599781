"""A layout of ECG paper as a figure: for PNG and PDF, what `anyecg.plots.svg` is for a page."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from anyecg.plots.layout import Layout, stretch
from anyecg.plots.svg import LIT, SPAN, THINNEST
from anyecg.plots.trace import INK, QUIET, Panel, paper
from anyecg.types import CANONICAL_LEADS


def layout_panel(
    signal: np.ndarray,
    fs: float,
    layout: Layout,
    *,
    spans: Sequence[tuple[float, float]] = (),
    lit: Collection[str] = (),
) -> Panel:
    """A panel of the layout; arguments as for `sheet_svg`: signal `[12, T]` in mV at `fs` Hz, spans in seconds, lit:
    names of leads to point out.
    """
    lit = {lead.lower() for lead in lit}

    def draw(axes: Axes, height: float, scale: float) -> None:
        paper(axes, layout.width, height, scale)

        def box(left: float, right: float, top: float, bottom: float, colour: str, opacity: float) -> None:
            axes.add_patch(
                Rectangle((left, height - bottom), right - left, bottom - top, color=colour, alpha=opacity, linewidth=0)
            )

        for cell in layout.cells:
            line = layout.lines[cell.line]
            if CANONICAL_LEADS[cell.lead].lower() in lit:
                box(layout.x(cell.start), layout.x(cell.end), line.top, line.bottom, LIT, 0.8)
        for start, end in spans:
            for cell, first, last in layout.parts(start, end):
                line, left, right = layout.lines[cell.line], layout.x(first), layout.x(last)
                if right - left < THINNEST:
                    left, right = (left + right - THINNEST) / 2, (left + right + THINNEST) / 2
                box(left, right, line.top, line.bottom, SPAN, 0.2)
        thickness = max(0.4, 0.9 * scale)
        for line in layout.lines:
            base = height - line.base
            pulse = base + layout.gain * np.array([0, 0, 1, 1, 0, 0])
            axes.plot([2, 3, 3, 8, 8, 9], pulse, color=INK, linewidth=thickness)
        for cell in layout.cells:
            line, absent, left = layout.lines[cell.line], cell.lead in layout.absent, layout.x(cell.start)
            base = height - line.base
            if not absent:
                times, trace = stretch(signal, fs, cell)
                axes.plot(
                    [layout.x(time) for time in times], base + layout.gain * trace, color=INK, linewidth=thickness
                )
            if cell.start > layout.start:
                axes.plot([left, left], [base - 2, base + 2], color=INK, linewidth=thickness)
            axes.text(
                left + 1,
                height - max(line.top + 0.6, line.base - 15.0),
                CANONICAL_LEADS[cell.lead] + (" (not shown)" if absent else ""),
                fontsize=max(3.6, 9 * scale),
                va="top",
                weight="bold",
                color=QUIET if absent else INK,
            )
        for second in range(math.ceil(layout.start), math.floor(layout.end) + 1):
            axes.text(
                layout.x(second), 0.6, str(second), fontsize=max(3.6, 7 * scale), ha="center", color=QUIET, va="bottom"
            )

    return Panel(layout.width, layout.height, draw)
