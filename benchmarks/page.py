"""Drawing a page of ECG paper: ours against matplotlib's, and what a clip costs a loader."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from anyecg.data.chance import chance
from anyecg.data.clips import clips
from anyecg.data.clips.page import draw
from anyecg.data.clips.page.distort import distort
from anyecg.data.clips.page.maker import PageConfig
from anyecg.plots.trace import twelve_leads
from anyecg.simulate.record import ecg
from anyecg.types import InputSpec

EVERY = np.ones(12, bool)
MIXED = PageConfig(layouts={"3x4": 1, "3x4+1": 1, "6x2": 1, "12x1": 1}, grids={"red": 1, "blue": 1}, distorted=0.5)


def cost(what: Callable[[], object], times: int) -> float:
    """Least process time of some calls, ms."""
    taken = []
    for _ in range(times):
        began = time.process_time()
        what()
        taken.append(time.process_time() - began)
    return 1000 * min(taken)


def by_matplotlib(signal: np.ndarray) -> np.ndarray:
    panel = twelve_leads(signal, EVERY, fs=100)
    figure = Figure(figsize=(6.72, 5.19), dpi=100)
    canvas = FigureCanvasAgg(figure)
    panel.draw(figure.add_axes((0, 0, 1, 1)), panel.height, 0.6)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def main() -> None:
    signal = ecg([], fs=100, seed=1)[0]
    small, large = (draw.fitting("letter", *size) for size in ((672, 672), (1700, 2200)))
    page = draw.draw(signal, EVERY, 100, draw.Style(), small)
    ours = cost(lambda: draw.draw(signal, EVERY, 100, draw.Style(), small), 40)
    theirs = cost(lambda: by_matplotlib(signal), 8)
    print(f"page of 672 x 519, 3x4+1: {ours:.1f} ms; matplotlib: {theirs:.0f} ms, {theirs / ours:.0f} times as long")
    print(f"page of 2200 x 1700: {cost(lambda: draw.draw(signal, EVERY, 100, draw.Style(), large), 8):.0f} ms")
    numbers = iter(range(10**6))
    bent = np.mean([cost(lambda: distort(page, chance(0, next(numbers))), 1) for _ in range(40)])
    print(f"distorted, 672 x 519: {bent:.1f} ms more on average")
    for kind, shape in (("page", (3, 320, 416)), ("tiles", (3, 336, 336))):
        maker = clips(InputSpec(kind=kind, scaling="millivolt", shape=shape, settings=MIXED))
        each = np.mean([cost(lambda maker=maker: maker.make(signal, EVERY, str(next(numbers))), 1) for _ in range(40)])
        print(f"a record as {kind} {shape}, half of them distorted: {each:.1f} ms on average")


if __name__ == "__main__":
    main()
