"""LLaVA-1.6's AnyRes: a picture of any shape becomes an overview and square tiles (PULSE, section 4.2)."""

from __future__ import annotations

import numpy as np
from PIL import Image

GRIDS = ((2, 1), (1, 2), (2, 2), (1, 3), (3, 1))  # rows and columns of tiles that a canvas may have


def canvas(height: int, width: int, tile: int) -> tuple[int, int]:
    """Height and width of the canvas that keeps most of a picture's pixels, and of those the one with least waste."""

    def worth(rows_columns: tuple[int, int]) -> tuple[int, int]:
        down, across = (number * tile for number in rows_columns)
        fit_high, fit_wide = fitted(height, width, down, across, whole=False)
        kept = min(fit_high * fit_wide, height * width)
        return kept, -(down * across - kept)

    rows, columns = max(GRIDS, key=worth)
    return rows * tile, columns * tile


def fitted(height: int, width: int, down: int, across: int, whole: bool = True) -> tuple[int, int]:
    """The greatest size with the picture's shape that fits a canvas; whole: the shorter side rounded up (how it is
    scaled), else cut (how canvases are compared).
    """
    if whole:
        if across * height <= down * width:  # its width is what stops it
            return min(down, -(-height * across // width)), across
        return down, min(across, -(-width * down // height))
    if across * height <= down * width:
        return height * across // width, across
    return down, width * down // height


def scaled(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture uint8 `[H, W, 3]` at another height and width."""
    if picture.shape[:2] == size:
        return picture
    return np.asarray(Image.fromarray(picture).resize(size[::-1], Image.Resampling.BICUBIC))


def padded(picture: np.ndarray, down: int, across: int, ground: int) -> np.ndarray:
    """A picture uint8 `[H, W, 3]` scaled to fit a canvas, in its middle, the rest of it `ground`."""
    height, width, _ = picture.shape
    size = fitted(height, width, down, across)
    out = np.full((down, across, 3), ground, np.uint8)
    top, left = (down - size[0]) // 2, (across - size[1]) // 2
    out[top : top + size[0], left : left + size[1]] = scaled(picture, size)
    return out


def tiles(picture: np.ndarray, tile: int) -> np.ndarray:
    """Overview and tiles of a picture uint8 `[H, W, 3]`: uint8 `[1 + n, 3, tile, tile]`.

    The overview is the picture squashed to a square; the tiles are cut row by row from the canvas, which is black where
    the picture does not reach.
    """
    height, width, _ = picture.shape
    down, across = canvas(height, width, tile)
    filled = padded(picture, down, across, ground=0)
    cut = filled.reshape(down // tile, tile, across // tile, tile, 3).transpose(0, 2, 4, 1, 3)
    overview = scaled(picture, (tile, tile)).transpose(2, 0, 1)
    return np.concatenate([overview[None], cut.reshape(-1, 3, tile, tile)])
