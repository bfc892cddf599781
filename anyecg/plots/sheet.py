"""Many pieces of ECG paper on one sheet, each under its title."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from anyecg.plots.trace import INK, Panel

MM = 1 / 25.4  # inches
EDGE, GAP, TITLE = 4.0, 3.0, 5.0  # mm: around the sheet, between panels, and of a title


def sheet(panels: Sequence[tuple[str, Panel]], columns: int, width: float) -> Figure:
    """Panels of (title, paper) in rows of `columns`, all at one scale; width: of a column, in mm."""
    rows = [panels[first : first + columns] for first in range(0, len(panels), columns)]
    scale = width / max(panel.width for _, panel in panels)
    high = [scale * max(panel.height for _, panel in row) for row in rows]
    across = 2 * EDGE + min(columns, len(panels)) * (width + GAP) - GAP
    down = 2 * EDGE + sum(high) + len(rows) * TITLE + (len(rows) - 1) * GAP
    figure = Figure(figsize=(across * MM, down * MM), facecolor="white")
    top = EDGE
    for row, height in zip(rows, high):
        for column, (title, panel) in enumerate(row):
            left = EDGE + column * (width + GAP)
            figure.text(left / across, 1 - (top + TITLE - 1.2) / down, title, fontsize=9, color=INK, parse_math=False)
            box = (
                left / across,
                1 - (top + TITLE + scale * panel.height) / down,
                scale * panel.width / across,
                scale * panel.height / down,
            )
            panel.draw(figure.add_axes(box), panel.height, scale)
        top += TITLE + height + GAP
    return figure
