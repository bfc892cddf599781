"""What happens to a page between the printer and the picture: folds, tilt, yellowing, light, blur, noise, JPEG."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

Distortion = Callable[[Image.Image, random.Random, float], Image.Image]
STEPS = 16  # quadrilaterals across a page that is bent


def distort(picture: np.ndarray, rng: random.Random, strength: float = 1.0) -> np.ndarray:
    """The page as a scan or a photo of it may look: each distortion of `CHAIN` with its share, in order.

    picture: uint8 `[H, W, 3]`, and so is what comes back; rng: all that is drawn; strength: 1 as we find plausible, 0
    for none. The paper publishes neither shares nor strengths, so both are our choice.
    """
    image = Image.fromarray(picture)
    for share, distortion in CHAIN:
        chosen = rng.random() < share
        # its own generator, so that no distortion moves what the next one draws
        own = random.Random(rng.getrandbits(64))
        if chosen and strength > 0:
            image = distortion(image, own, strength)
    return np.asarray(image)


def creases(image: Image.Image, rng: random.Random, strength: float) -> Image.Image:
    """One to three folds across the page: a thin dark or light line with a shadow on one side."""
    width, height = image.size
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    shade = np.zeros((height, width), np.float32)
    for _ in range(rng.randint(1, 3)):
        upright = rng.random() < 0.5
        angle = rng.gauss(0, 0.06) + (0 if upright else np.pi / 2)
        place = rng.uniform(0.2, 0.8) * (width if upright else height)
        origin = (place, height / 2) if upright else (width / 2, place)
        away = (x - origin[0]) * np.cos(angle) + (y - origin[1]) * np.sin(angle)
        reach, side = rng.uniform(0.03, 0.12) * width, rng.choice((-1, 1))
        shadow = np.where(away * side > 0, np.exp(-np.abs(away) / reach), 0) * rng.uniform(0.05, 0.14)
        line = np.exp(-((away / (0.0016 * width + 0.5)) ** 2)) * rng.uniform(-0.16, 0.22)
        shade += shadow.astype(np.float32) + line.astype(np.float32)
    return _lit(image, 1 - strength * shade)


def wrinkles(image: Image.Image, rng: random.Random, strength: float) -> Image.Image:
    """Paper that was crumpled and smoothed: many small facets, lit from one side."""
    width, height = image.size
    relief = np.zeros((height, width), np.float32)
    for cells, share in ((5, 1.0), (11, 0.5), (23, 0.25)):
        relief += share * _field(rng, cells, width, height)
    slope = np.abs(relief)  # ridges where the relief changes its sign
    lit = slope[:, 1:] - slope[:, :-1]
    lit = np.pad(lit, ((0, 0), (0, 1))) * width / 40
    return _lit(image, 1 + 0.16 * strength * np.clip(lit, -1, 1))


def bend(image: Image.Image, rng: random.Random, strength: float) -> Image.Image:
    """Tilt, perspective and a page that does not lie flat, in one mapping; beside the page lies a table."""
    width, height = image.size
    angle = np.deg2rad(strength * max(-8.0, min(8.0, rng.gauss(0, 3.0))))
    shrink = 1 - strength * rng.uniform(0.0, 0.06)
    corners = [[rng.gauss(0, 0.012) * strength for _ in range(2)] for _ in range(4)]  # shares of the page
    wave = [(rng.uniform(0.5, 1.6), rng.uniform(0, 6.28), rng.gauss(0, 0.004) * strength) for _ in range(2)]
    steps = max(4, STEPS * height // width)
    u, v = np.meshgrid(np.linspace(0, 1, STEPS + 1), np.linspace(0, 1, steps + 1))
    # for each corner of the mesh in the picture, where on the page it comes from
    x, y = (u - 0.5) * width / shrink, (v - 0.5) * height / shrink
    across = (np.cos(angle) * x + np.sin(angle) * y) / width + 0.5
    down = (-np.sin(angle) * x + np.cos(angle) * y) / height + 0.5
    weights = ((1 - u) * (1 - v), u * (1 - v), u * v, (1 - u) * v)
    across += sum(w * c[0] for w, c in zip(weights, corners))
    down += sum(w * c[1] for w, c in zip(weights, corners))
    (rate, phase, high), (other, begin, wide) = wave
    down += high * np.sin(rate * 6.28 * u + phase)
    across += wide * np.sin(other * 6.28 * v + begin)
    px, py = across * width, down * height
    xs = np.rint(np.linspace(0, width, STEPS + 1)).astype(int)
    ys = np.rint(np.linspace(0, height, steps + 1)).astype(int)
    mesh: list[Any] = []
    for row in range(steps):
        for column in range(STEPS):
            box = (int(xs[column]), int(ys[row]), int(xs[column + 1]), int(ys[row + 1]))
            places = ((row, column), (row + 1, column), (row + 1, column + 1), (row, column + 1))
            mesh.append((box, tuple(float(n) for place in places for n in (px[place], py[place]))))
    table = rng.choice(((92, 78, 64), (60, 62, 66), (150, 148, 144), (196, 190, 180), (40, 38, 36)))
    return image.transform(image.size, Image.Transform.MESH, mesh, Image.Resampling.BILINEAR, fillcolor=table)


def yellowing(image: Image.Image, rng: random.Random, strength: float) -> Image.Image:
    """Old or coloured paper: less blue, a little less green."""
    blue, green = strength * rng.uniform(0.05, 0.3), strength * rng.uniform(0.01, 0.08)
    lit = np.array([1.0, 1 - green, 1 - blue])
    if rng.random() < 0.2:  # a cold lamp
        lit = 1 - (1 - lit[::-1]) / 2
    return _lit(image, np.broadcast_to(lit, (1, 1, 3)))


def light(image: Image.Image, rng: random.Random, strength: float) -> Image.Image:
    """Uneven light: from one side, with a soft shadow."""
    width, height = image.size
    field = _field(rng, 2, width, height)
    return _lit(image, 1 + strength * (rng.uniform(-0.12, 0.03) + rng.uniform(0.05, 0.16) * field))


def blur(image: Image.Image, rng: random.Random, strength: float) -> Image.Image:
    """Out of focus by up to 0.15 % of the page's width."""
    return image.filter(ImageFilter.GaussianBlur(strength * rng.uniform(0.0003, 0.0013) * image.width))


def low_resolution(image: Image.Image, rng: random.Random, strength: float) -> Image.Image:
    """Sampled at half to nine tenths of its pixels a line, and enlarged again."""
    share = 1 - strength * rng.uniform(0.1, 0.5)
    small = (max(8, round(image.width * share)), max(8, round(image.height * share)))
    return image.resize(small, Image.Resampling.BILINEAR).resize(image.size, Image.Resampling.BICUBIC)


def noise(image: Image.Image, rng: random.Random, strength: float) -> Image.Image:
    """Grain of a sensor, alike in the three colours."""
    size = max(1, round(strength * rng.uniform(3, 14)))
    grain = np.random.default_rng(rng.getrandbits(64)).integers(-size, size + 1, image.size[::-1], np.int16)
    noisy = np.asarray(image).astype(np.int16) + grain[..., None]
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def jpeg(image: Image.Image, rng: random.Random, strength: float) -> Image.Image:
    """Saved as JPEG of quality 35 to 90."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=round(95 - strength * rng.uniform(5, 60)))
    return Image.open(file).convert("RGB")


# share of distorted pages that each one meets, and the distortion
CHAIN: tuple[tuple[float, Distortion], ...] = (
    (0.35, creases), (0.25, wrinkles), (0.7, bend), (0.5, yellowing), (0.6, light), (0.4, blur), (0.3, low_resolution),
    (0.5, noise), (0.5, jpeg),
)  # fmt: skip


def _lit(image: Image.Image, light: np.ndarray) -> Image.Image:
    """The picture times a field of light, `[H, W]` or `[1, 1, 3]`."""
    field = light if light.ndim == 3 else light[..., None]
    # whole numbers: a field of 1/256
    share = np.rint(np.clip(field, 0, 2) * 256).astype(np.uint16)
    lit = np.asarray(image).astype(np.uint16)
    bright = np.minimum((lit.astype(np.uint32) * share + 128) >> 8, 255)
    return Image.fromarray(bright.astype(np.uint8))


def _field(rng: random.Random, cells: int, width: int, height: int) -> np.ndarray:
    """A smooth random field `[height, width]`, about -1 to 1, with so many cells across."""
    down = max(2, round(cells * height / width))
    values = np.array([[rng.uniform(-1, 1) for _ in range(cells + 1)] for _ in range(down + 1)], np.float32)
    return np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.BICUBIC))
