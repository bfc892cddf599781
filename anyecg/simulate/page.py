"""`python -m anyecg.data.simulate.page OUT.png`: a sheet of simulated findings, or one as a clinical 12-lead page."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anyecg.findings import FINDINGS
from anyecg.simulate.heart import LEADS
from anyecg.simulate.record import ecg

FS = 250
CLEAR_SEED = 3
ROWS = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))
PAPER, MINOR, MAJOR, INK = "#fff6f4", "#f6d5cf", "#e8a79d", "#1c1c1c"


def draw(axes: Axes, signal: np.ndarray, fs: float, names: bool = True, rhythm: bool = True) -> None:
    """Draw a page into axes: three rows of four 2.5 s leads, and lead II below, at 25 mm/s and 10 mm/mV.

    Args:
        axes: any; its aspect becomes that of paper.
        signal: `[12, T]`, mV, 10 s or more.
        fs: Hz.
        names: label the leads.
        rhythm: add the rhythm strip.
    """
    height = 2.6  # mV between rows
    rows = len(ROWS) + rhythm
    low, high = -height * (rows - 1) - 1.5, 1.9
    axes.set_facecolor(PAPER)
    axes.set(xlim=(0, 10), ylim=(low, high), xticks=[], yticks=[])
    axes.set_aspect(0.4)  # 25 mm a second, 10 mm a millivolt
    for step, colour, width in ((0.04, MINOR, 0.15), (0.2, MAJOR, 0.35)):
        axes.vlines(np.arange(0, 10 + step / 2, step), low, high, colour, linewidth=width)
        up = step * 2.5
        axes.hlines(np.arange(np.ceil(low / up) * up, high, up), 0, 10, colour, linewidth=width)
    t = np.arange(signal.shape[1]) / fs
    for row, four in enumerate(ROWS):
        for column, lead in enumerate(four):
            part = (t >= 2.5 * column) & (t < 2.5 * (column + 1))
            axes.plot(t[part], signal[LEADS.index(lead)][part] - height * row, color=INK, linewidth=0.5)
            if names:
                axes.text(2.5 * column + 0.06, 0.95 - height * row, lead, fontsize=5, color=INK)
    if rhythm:
        part = t < 10
        axes.plot(t[part], signal[1][part] - height * len(ROWS), color=INK, linewidth=0.5)
    for spine in axes.spines.values():
        spine.set_visible(False)


def page(finding: str, out: Path, seed: int = CLEAR_SEED) -> None:
    """Save one finding as a page."""
    signal, _, report = ecg([finding], fs=FS, seed=seed)
    figure = Figure(figsize=(11, 5.6), layout="constrained")
    axes = figure.subplots()
    draw(axes, signal, FS)
    axes.set_title(", ".join(report), fontsize=9, loc="left")
    figure.savefig(out, dpi=150)


def sheet(out: Path, seed: int = CLEAR_SEED, columns: int = 4) -> None:
    """Save every finding of the vocabulary, each as a small page, in one picture."""
    keys = [finding for finding in FINDINGS if finding.kind != "summary"]
    rows = -(-len(keys) // columns)
    figure = Figure(figsize=(4.0 * columns, 1.62 * rows), layout="constrained")
    grid = figure.subplots(rows, columns)
    for axes in grid.flat[len(keys):]:
        axes.set_visible(False)
    for axes, finding in zip(grid.flat, keys):
        draw(axes, ecg([finding.key], fs=FS, seed=seed)[0], FS, names=True, rhythm=False)
        axes.set_title(finding.name, fontsize=8, loc="left", pad=2)
    figure.savefig(out, dpi=110)


def main() -> None:
    """Parse the command line and draw."""
    parser = argparse.ArgumentParser(prog="python -m anyecg.data.simulate.page", description=__doc__)
    parser.add_argument("out", type=Path, help="the PNG to write")
    parser.add_argument("--finding", choices=[finding.key for finding in FINDINGS], help="one page of this finding")
    parser.add_argument("--seed", type=int, default=CLEAR_SEED, help="another heart")
    args = parser.parse_args()
    if args.finding:
        page(args.finding, args.out, args.seed)
    else:
        sheet(args.out, args.seed)


if __name__ == "__main__":
    main()
