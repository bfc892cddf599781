"""What every figure of metrics shares: its style, the colours and names of the views, grouped bars, and how it is
saved.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anyecg.files import atomic_write
from anyecg.plots.views import component, is_view, short
from anyecg.types import ConfigError

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "lines.linewidth": 0.9,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # text stays text
    "savefig.dpi": 200,
    "savefig.bbox": "tight",
}
OTHER = "#7a6a9c"  # of a row that is no view's
WRAP = 34  # characters of a group's name on a line


def colour(view: str) -> str:
    """Of a view's bars and of others."""
    with contextlib.suppress(ConfigError):
        if is_view(view):
            return component(view).colour
    return OTHER


def grouped(
    axis: Axes,
    groups: Sequence[str],
    values: Mapping[str, Sequence[float | None]],
    spreads: Mapping[str, Sequence[Sequence[float] | None]],
    counts: Sequence[int],
) -> None:
    """Horizontal bars with their intervals where there are any, a group of them a name, the first view on top."""
    width = 0.8 / len(values)
    for place, (view, found) in enumerate(values.items()):
        at = np.arange(len(groups)) - 0.4 + width * (place + 0.5)
        axis.barh(at, [value or 0.0 for value in found], height=width * 0.92, color=colour(view), label=short(view))
        for y, value, ends in zip(at, found, spreads[view]):
            if ends:
                axis.plot(ends, [y, y], color="white", linewidth=2, alpha=0.8, solid_capstyle="butt", zorder=3)
                axis.plot(ends, [y, y], color="black", linewidth=0.8, solid_capstyle="butt", zorder=3)
            told = "–" if value is None else f"{value:.2f}"
            axis.annotate(
                told,
                (max([value or 0.0, *(ends or ())]), y),
                (2, 0),
                textcoords="offset points",
                va="center",
                fontsize=6.5,
                zorder=4,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.3},
            )
    axis.set_yticks(
        range(len(groups)), [f"{wrapped(group)}\nn = {count}" for group, count in zip(groups, counts)], fontsize=7.5
    )
    axis.set_ylim(len(groups) - 0.5, -0.5)
    axis.tick_params(left=False)


def wrapped(name: str) -> str:
    """A group's name on lines of at most `WRAP` characters where it has spaces."""
    lines = [""]
    for word in name.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > WRAP:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return "\n".join(lines)


def save(figure: Figure, target: str | Path) -> list[Path]:
    """The figure as PNG and PDF; target: its path without suffix."""
    target = Path(target)
    paths = []
    for kind, details in (("png", {}), ("pdf", {"CreationDate": None})):  # the same figure is the same bytes
        path = target.with_name(f"{target.name}.{kind}")
        with atomic_write(path) as part:
            figure.savefig(part, format=kind, metadata=details)
        paths.append(path)
    return paths
