"""Exact area coverage in integers: traces, grid lines and strokes become the same pixels on every machine."""

from __future__ import annotations

from math import isqrt

import numpy as np

COLUMNS = 4  # sub-columns of a pixel
UNITS = 64  # vertical units of a pixel
FULL = COLUMNS * UNITS  # the coverage of a pixel that is all ink


class Ink:
    """Coverage of a picture `[height, width]` by what is drawn on it, 0 to `FULL` a pixel."""

    def __init__(self, height: int, width: int) -> None:
        self.height, self.width = height, width
        self._places: list[np.ndarray] = []  # into `[height + 2, width]`
        self._steps: list[np.ndarray] = []  # of the coverage from a row to the next one, there

    def bars(self, column: np.ndarray, low: np.ndarray, high: np.ndarray) -> None:
        """Vertical bars one sub-column wide: at sub-column `column`, from `low` to `high` (units, downwards), int64
        each; what lies outside the picture is cut off.
        """
        inside = (column >= 0) & (column < self.width * COLUMNS) & (high > 0) & (low < self.height * UNITS)
        pixel = column[inside] // COLUMNS
        for edge, sign in ((high, 1), (low, -1)):
            row, rest = np.divmod(np.clip(edge[inside], 0, self.height * UNITS), UNITS)
            # a bar from the upper edge to here: UNITS on each row above `row`, `rest` on it
            place = row * self.width + pixel
            self._places += [place, place + self.width]
            self._steps += [sign * (rest - UNITS), sign * -rest]
            self._places.append(pixel)
            self._steps.append(np.full(len(pixel), sign * UNITS))

    def trace(self, x: int, height: np.ndarray, spacing: tuple[int, int], pen: int) -> None:
        """A line through points that are evenly spaced.

        x: sub-column of the first point; height: int64 of each point, units downwards; spacing: sub-columns between two
        points, as numerator and denominator; pen: the diameter of its round nib, in units.
        """
        if not len(height):
            return
        over, under = spacing
        # as many steps a sub-column as points need that lie closer than it is wide
        fine = max(1, -(-under // over))
        last = (len(height) - 1) * over * fine // under
        step = np.arange(last + 1, dtype=np.int64)
        point, part = np.divmod(step * under, over * fine)
        after = np.minimum(point + 1, len(height) - 1)
        level = (height[point] * (over * fine - part) + height[after] * part) // (over * fine)
        # the line's extent in each sub-column: of the levels at its edges and between them
        cells = last // fine + 1
        level = np.concatenate([level, np.full(cells * fine + 1 - len(level), level[-1])])
        parts = np.stack([level[shift : shift + (cells - 1) * fine + 1 : fine] for shift in range(fine + 1)])
        low, high = parts.min(axis=0), parts.max(axis=0)
        # and of the nib, whose half height at a distance of `away` sub-columns is a circle's
        size, radius = UNITS // COLUMNS, max(pen // 2, UNITS // (2 * COLUMNS))
        reach = radius // size
        top, bottom = (np.full(cells + 2 * reach, fill, np.int64) for fill in (1 << 40, -(1 << 40)))
        for away in range(-reach, reach + 1):
            half = isqrt(radius * radius - (away * size) ** 2)
            here = slice(reach + away, reach + away + cells)
            np.minimum(top[here], low - half, out=top[here])
            np.maximum(bottom[here], high + half, out=bottom[here])
        self.bars(x - reach + np.arange(cells + 2 * reach, dtype=np.int64), top, bottom)

    def coverage(self) -> np.ndarray:
        """int32 `[height, width]`, 0 to `FULL`; where lines cross they cover no more than all."""
        if not self._places:
            return np.zeros((self.height, self.width), np.int32)
        size = (self.height + 2) * self.width
        # sums of whole numbers are exact in doubles
        steps = np.bincount(np.concatenate(self._places), np.concatenate(self._steps), size)
        covered = np.cumsum(steps[: self.height * self.width].astype(np.int32).reshape(self.height, self.width), axis=0)
        return np.minimum(covered, FULL, out=covered)


def blend(picture: np.ndarray, coverage: np.ndarray, colour: tuple[int, int, int]) -> None:
    """Lay ink of a colour over a picture uint8 `[H, W, 3]`, in place; coverage: int `[H, W]`, 0 to `FULL`."""
    flat, place = picture.reshape(-1, 3), np.flatnonzero(coverage)
    share, paper = coverage.ravel()[place, None], flat[place].astype(np.int32)
    flat[place] = (paper * (FULL - share) + np.array(colour, np.int32) * share + FULL // 2) // FULL


def lines(length: int, first: int, step: int, thick: int, scale: int) -> np.ndarray:
    """Coverage of `length` pixels by parallel lines: int32 `[length]`, 0 to `scale`.

    first, step, thick: the middle of a line, from one to the next, and how thick they are, in 1/1000 pixel.
    """
    edges = np.arange(length + 1, dtype=np.int64) * 1000
    # how much of [0, x) is covered: whole periods, and the part of the one that x lies in
    periods, rest = np.divmod(edges - first + thick // 2, step)
    until = periods * thick + np.minimum(rest, thick)
    return (np.diff(until) * scale // 1000).astype(np.int32)
