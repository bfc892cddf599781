"""Traces read off a clean page of ECG paper: grid found, lanes found, each trace followed, and all of it checked.

For straight scans and print-outs on grid paper in one of the usual layouts (`LAYOUTS`), ten seconds wide. What cannot
be read is said in a DataError, never guessed: no grid, another layout, a trace that breaks off, limb leads that do not
add up (II = I + III, aVR + aVL + aVF = 0), which is what gives a wrong layout or a lost trace away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter1d, maximum_filter, maximum_filter1d, minimum_filter1d

from anyecg.types import CANONICAL_LEADS, DataError, ECGRecord, Picture

FS = 250.0  # Hz of what is read
SECONDS = 10.0  # of trace across a page
WIDEST = 2600  # pixels: a wider picture is scaled down first
SCALES = (1.6, 24.0)  # pixels a mm that are looked for
ANGLES = 3.0  # degrees of tilt that are straightened
INK = 0.35  # of the darkness of the trace: less is grid or paper
REACH = 1.8  # lanes above and below its own in which a trace is looked for
AWAY = 0.3  # rows of a jump that being a lane away from its own costs a trace in each column
LONGEST = 60  # columns in which two traces may be one
WHOLE = 0.97  # share of its columns in which a trace has to be found
AGREES = 0.9  # correlation of II with I + III, and of -aVR with aVL + aVF, that a reading has to reach
GAINS = (5.0, 10.0, 20.0)  # mm a mV
PULSE = 1.25  # mm: how far a pulse's height may be off one of them
COLUMNS_OF_THREE = [list(CANONICAL_LEADS[start : start + 3]) for start in range(0, 12, 3)]
HALVES = [list(CANONICAL_LEADS[:6]), list(CANONICAL_LEADS[6:])]
LAYOUTS: dict[str, tuple[list[list[str]], int]] = {  # columns of leads, and lanes with a full-length lead below them
    "12x1": ([list(CANONICAL_LEADS)], 0),
    "6x2": (HALVES, 0),
    "6x2+1": (HALVES, 1),
    "3x4": (COLUMNS_OF_THREE, 0),
    "3x4+1": (COLUMNS_OF_THREE, 1),
    "3x4+3": (COLUMNS_OF_THREE, 3),
}


@dataclass(frozen=True)
class PageReading:
    """What was read off a page. signal: mV `[12, T]` at `FS`, each lead about its own level, NaN where the page does
    not show it; layout: of `LAYOUTS`; scale: pixels a mm, across and down; gain: mm a mV, by the calibration pulse
    (10 where there is none); agreement: the lower of the two correlations of the limb leads.
    """

    signal: np.ndarray
    layout: str
    scale: tuple[float, float]
    gain: float
    agreement: float

    def together(self) -> np.ndarray:
        """`[12, T]`: the stretch that a page shows of each lead, all begun at 0; the time between columns is lost."""
        first = [int(np.flatnonzero(~np.isnan(lead))[0]) for lead in self.signal]
        long = min(int((~np.isnan(lead)).sum()) for lead in self.signal)
        return np.stack([lead[start : start + long] for lead, start in zip(self.signal, first)])


def read_page(picture: Picture, speed: float = 25.0) -> ECGRecord:
    """The recording on a page: float32 `[12, T]`, mV at `FS`; speed: mm a second, which no page tells by itself.

    A page in columns shows a part of each lead; these parts then begin together, and a note says so. DataError as for
    `digitise`.
    """
    try:
        found = digitise(picture.pixels, speed)
    except DataError as error:
        raise DataError(f"{picture.id}: no signal can be read off the page: {error}") from error
    signal = found.together()
    notes = [
        f"read off a picture ({found.layout}, {found.gain:g} mm/mV by its pulse, {speed:g} mm/s taken for granted): "
        f"amplitudes and times are about as fine as the picture, and each lead's level is lost"
    ]
    if signal.shape[1] < found.signal.shape[1]:
        notes.append(
            f"the page shows {signal.shape[1] / FS:.1f} s of each lead, column after column; they are put side by side"
        )
    return ECGRecord(signal.astype(np.float32), FS, CANONICAL_LEADS, picture.id, picture.patient, notes=tuple(notes))


def digitise(pixels: np.ndarray, speed: float = 25.0) -> PageReading:
    """The traces of a page uint8 `[H, W, 3]`. DataError says what is missing: a grid, a known layout, a whole trace,
    limb leads that add up.
    """
    pixels = _narrowed(pixels)
    pixels = _straight(pixels)
    scale = (_spacing(_grid_profile(pixels, 0), "across"), _spacing(_grid_profile(pixels, 1), "down"))
    ink = _ink(pixels)
    runs = Runs(ink)
    left, right = _extent(ink, scale, speed, runs.pen)
    tried: list[str] = []
    best: PageReading | None = None
    for layout, base in _lanes(ink[:, round(left) : round(right)], scale[1]):
        try:
            found = _read(runs, ink, layout, base, (left, right), scale, speed)
        except DataError as error:
            tried.append(f"{layout}: {error}")
            continue
        if best is None or found.agreement > best.agreement:
            best = found
    if best is None:
        raise DataError("; ".join(tried) or f"its lanes are those of none of {', '.join(LAYOUTS)}")
    if best.agreement < AGREES:
        raise DataError(
            f"as {best.layout}, its limb leads do not add up (correlation {best.agreement:.2f} of II with I + III or "
            f"of aVR with aVL and aVF): a trace was lost, or the leads stand in another order"
        )
    return best


class Runs:
    """The vertical runs of ink of every column of a picture, and the trace through them that is the smoothest."""

    def __init__(self, ink: np.ndarray) -> None:
        self.ink = ink
        dark = np.zeros((ink.shape[0] + 2, ink.shape[1]), np.int8)
        dark[1:-1] = ink > INK
        steps = np.diff(dark, axis=0).T
        column, self.first = np.nonzero(steps == 1)
        _, self.last = np.nonzero(steps == -1)  # the row behind the run
        self.at = np.searchsorted(column, np.arange(ink.shape[1] + 1))
        above = np.pad(np.cumsum(ink, axis=0, dtype=np.float64), ((1, 0), (0, 0)))
        covered = above[self.last, column] - above[self.first, column]
        # how thick the trace is where it is level
        self.pen = float(np.quantile(covered[covered > 0.6], 0.05)) if (covered > 0.6).any() else 1.0

    def follow(self, left: int, right: int, base: float, pitch: float) -> tuple[np.ndarray, float]:
        """(height of the trace in each column `[right - left]`, in rows; the share of columns in which it was found):
        of the runs around the lane at row `base`, those that lie nearest to it and to one another from column to
        column. pitch: rows from a lane to the next one.
        """
        reach = REACH * pitch
        chosen, costs, back = [], [], []
        previous: np.ndarray | None = None
        for column in range(left, right):
            these = np.arange(self.at[column], self.at[column + 1])
            these = these[(self.last[these] > base - reach) & (self.first[these] < base + reach)]
            if not len(these):
                continue
            middle = (self.first[these] + self.last[these]) / 2
            cost = AWAY * ((middle - base) / pitch) ** 2
            if previous is None:
                back.append(np.zeros(len(these), int))
            else:
                gap = np.maximum(
                    self.first[these][:, None] - self.last[previous][None],
                    self.first[previous][None] - self.last[these][:, None],
                )
                step = np.maximum(gap, 0) + 0.02 * np.abs(middle[:, None] - _middle(self, previous)[None])
                total = costs[-1][None] + step
                origin = total.argmin(axis=1)
                cost = cost + total[np.arange(len(these)), origin]
                back.append(origin)
            chosen.append((column, these))
            costs.append(cost)
            previous = these
        if len(chosen) < 2:
            return np.full(right - left, base), 0.0
        place, path = int(costs[-1].argmin()), []
        for (column, these), origin in zip(reversed(chosen), reversed(back)):
            path.append((column, these[place]))
            place = int(origin[place])
        path.reverse()
        columns = np.array([column for column, _ in path])
        heights = self._heights(columns, np.array([run for _, run in path]))
        return np.interp(np.arange(left, right), columns, heights), len(columns) / (right - left)

    def _heights(self, columns: np.ndarray, runs: np.ndarray) -> np.ndarray:
        """The trace's height in each column: the middle of its ink; at a peak, the end of it."""
        first, last = self.first[runs], self.last[runs]
        heights = np.empty(len(runs))
        for place, (column, top, bottom) in enumerate(zip(columns, first, last)):
            rows = np.arange(max(top - 1, 0), min(bottom + 1, len(self.ink)))
            weight = self.ink[rows, column]
            heights[place] = (rows * weight).sum() / max(weight.sum(), 1e-9)
        # an end's edge lies where its pixel is covered up to, and the one beyond it
        lowest = len(self.ink) - 1
        over = self.ink[first, columns] + self.ink[np.maximum(first - 1, 0), columns]
        under = self.ink[last - 1, columns] + self.ink[np.minimum(last, lowest), columns]
        top, foot = first + 0.5 - np.minimum(over, 2), last - 1.5 + np.minimum(under, 2)
        long = (last - first) > 1.8 * self.pen + 1
        half, near = self.pen / 2, 2 * round(self.pen / 2 + 1) + 1
        # the pen is as wide as it is high: a peak is the middle one of the columns that reach as far
        peak = long & (top <= minimum_filter1d(top, near)) & (foot < maximum_filter1d(foot, near))
        valley = long & (foot >= maximum_filter1d(foot, near)) & (top > minimum_filter1d(top, near))
        heights[peak] = top[peak] + half
        heights[valley] = foot[valley] - half
        shared = self._shared(columns, runs)
        if shared.any() and not shared.all():
            heights[shared] = np.interp(columns[shared], columns[~shared], heights[~shared])
        return heights

    def _shared(self, columns: np.ndarray, runs: np.ndarray) -> np.ndarray:
        """Where two traces run into one: from the column that joins two runs of the one before it to the column that
        parts into two. Which of them is how high there cannot be told.
        """
        shared, begun = np.zeros(len(runs), bool), -1
        for place, (column, run) in enumerate(zip(columns, runs)):
            if column > 0 and self._touching(column - 1, run) > 1:
                begun = place
            if begun >= 0 and column + 2 < len(self.at) and self._touching(column + 1, run) > 1:
                shared[begun : place + 1] = place - begun < LONGEST
                begun = -1
        return shared

    def _touching(self, column: int, run: int) -> int:
        """How many runs of a column touch a run of one beside it."""
        these = slice(self.at[column], self.at[column + 1])
        return int(((self.first[these] < self.last[run]) & (self.last[these] > self.first[run])).sum())


def _middle(runs: Runs, these: np.ndarray) -> np.ndarray:
    return (runs.first[these] + runs.last[these]) / 2


def _narrowed(pixels: np.ndarray) -> np.ndarray:
    height, width, _ = pixels.shape
    if width <= WIDEST:
        return pixels
    size = (WIDEST, round(height * WIDEST / width))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))


def _straight(pixels: np.ndarray) -> np.ndarray:
    """The page turned so that its grid stands upright, by `ANGLES` at most."""
    small = Image.fromarray(pixels)
    if small.width > 1000:
        small = small.resize((1000, round(small.height * 1000 / small.width)), Image.Resampling.BILINEAR)

    def upright(angle: float) -> float:
        turned = small.rotate(angle, Image.Resampling.BILINEAR, fillcolor=(255, 255, 255))
        return _comb(_grid_profile(np.asarray(turned), 0))[2]

    if upright(0.0) > max(upright(0.2), upright(-0.2)):
        return pixels
    angles = np.arange(-ANGLES, ANGLES + 0.01, 0.5)
    coarse = max(angles, key=lambda angle: (upright(angle), -abs(angle)))
    fine = max(coarse + np.arange(-0.4, 0.41, 0.1), key=lambda angle: (upright(angle), -abs(angle)))
    turned = Image.fromarray(pixels).rotate(fine, Image.Resampling.BICUBIC, fillcolor=(255, 255, 255))
    return np.asarray(turned)


def _grid_profile(pixels: np.ndarray, axis: int) -> np.ndarray:
    """How strong the grid is in each column (axis 0) or row (axis 1), without what is dark in all colours."""
    step = max(1, pixels.shape[axis] // 500)  # a few of the rows do for the columns
    values = (pixels[::step] if axis == 0 else pixels[:, ::step]).astype(np.float32)
    light, colour = values.max(axis=2), values.min(axis=2)
    paper = np.quantile(light, 0.7)
    faint = np.where(light > 0.62 * paper, paper - colour, np.nan)
    faint = np.where(maximum_filter(light < 0.62 * paper, 3), np.nan, faint)  # nor what lies beside ink
    with np.errstate(invalid="ignore"):
        counted = (~np.isnan(faint)).sum(axis=axis)
        profile = np.nansum(faint, axis=axis) / np.maximum(counted, 1)
    return np.where(counted > 0.2 * values.shape[axis], profile, np.median(profile))


def _comb(profile: np.ndarray) -> tuple[float, float, float]:
    """(pixels a mm, strength, power) of the grid that a profile shows best: a line each 5 mm, and fainter ones each mm.

    Power is the profile's in the harmonics of 5 mm, strength its share of all.
    """
    centred = profile - gaussian_filter1d(profile, 60, mode="nearest")
    size = 1 << (len(centred) * 8 - 1).bit_length()
    power = np.abs(np.fft.rfft(centred * np.hanning(len(centred)), size)) ** 2
    total = power.sum()
    if total <= 0:
        return 0.0, 0.0, 0.0
    wide = max(1, round(1.0 * size / len(centred)))  # half a peak's width in the spectrum
    around = np.cumsum(np.pad(power, (1, 0)))
    scales = np.exp(np.arange(np.log(SCALES[0]), np.log(SCALES[1]), 0.002))

    def held(frequency: np.ndarray) -> np.ndarray:
        place = np.rint(frequency * size).astype(int)
        low, high = (np.clip(place + reach, 0, len(power)) for reach in (-wide, wide + 1))
        return np.where(place + wide < len(power), around[high] - around[low], 0.0)

    harmonics = np.stack([held(number / (5 * scales)) for number in range(1, 11)])
    strength = harmonics.sum(axis=0) / total
    # a multiple of the period has every other harmonic empty: its first one, and most of the others
    first = harmonics[0] / total
    worth = np.where(first > 0.02, strength, strength * 0.3) + 0.5 * np.minimum(first, 0.2)
    best = int(worth.argmax())
    return float(_refined(power, size, scales[best])), float(strength[best]), float(strength[best] * total)


def _refined(power: np.ndarray, size: int, scale: float) -> float:
    """A scale by the exact place of the highest harmonics that stand out."""
    found = []
    for number in range(1, 11):
        place = number * size / (5 * scale)
        reach = max(2, round(0.01 * place))
        low, high = int(place) - reach, int(place) + reach + 2
        if low < 1 or high >= len(power):
            break
        top = low + int(power[low:high].argmax())
        a, b, c = power[top - 1 : top + 2]
        shift = 0.5 * (a - c) / (a - 2 * b + c) if a - 2 * b + c else 0.0
        found.append((b * number, number * size / (5 * (top + shift))))
    weights = np.array([weight for weight, _ in found])
    return float((weights * [value for _, value in found]).sum() / weights.sum()) if found else scale


def _spacing(profile: np.ndarray, way: str) -> float:
    scale, strength, _ = _comb(profile)
    if strength < 0.35:
        raise DataError(
            f"no grid of ECG paper is found ({way}); give a straight scan of grid paper, turned by {ANGLES:g} degrees "
            f"at most"
        )
    return scale


def _ink(pixels: np.ndarray) -> np.ndarray:
    """How dark each pixel is in its lightest colour, 0 as paper to 1 as the trace: float32 `[H, W]`."""
    light = pixels.astype(np.float32).max(axis=2)
    height, width = light.shape
    cells = [
        [np.quantile(block, 0.8) for block in np.array_split(row, max(1, width // 120), axis=1)]
        for row in np.array_split(light, max(1, height // 120), axis=0)
    ]
    paper = np.asarray(Image.fromarray(np.array(cells, np.float32)).resize((width, height), Image.Resampling.BILINEAR))
    dark = np.clip(1 - light / np.maximum(paper, 1), 0, 1)
    darkest = float(np.quantile(dark[dark > 0.2], 0.9)) if (dark > 0.2).any() else 1.0
    return np.clip(dark / max(darkest, 0.2), 0, 1).astype(np.float32)


def _extent(ink: np.ndarray, scale: tuple[float, float], speed: float, pen: float) -> tuple[float, float]:
    """Where the traces begin and end, in columns: ten seconds, counted from their right end."""
    long = SECONDS * speed * scale[0]
    marked = (ink > INK).sum(axis=0)
    busy = np.flatnonzero(gaussian_filter1d((marked > 0).astype(float), 2.0) > 0.5)
    # words at the side are short: traces leave no gap of 3 mm
    parts = np.split(busy, np.flatnonzero(np.diff(busy) > 3 * scale[0]) + 1) if len(busy) else []
    longest = max(parts, key=len, default=np.zeros(0, int))
    if not len(longest):
        raise DataError("no trace is found on it")
    first, last = int(longest[0]), int(longest[-1]) + 1
    shown = (last - first) / scale[0]
    most = SECONDS * speed + 16
    if not SECONDS * speed - 3 <= shown <= most:
        raise DataError(
            f"its traces are {shown:.0f} mm long, where {SECONDS:g} s at {speed:g} mm/s are {SECONDS * speed:.0f} mm: "
            f"a page that is cut off, of another speed, or no page of {SECONDS:g} s"
        )
    end = last - pen / 2
    return max(0.0, end - long), end


def _lanes(ink: np.ndarray, down: float) -> list[tuple[str, np.ndarray]]:
    """(layout, the rows of its lanes) of those layouts whose lanes the ink may be, the likeliest first."""
    # a trace spends most of its time near its level
    profile = gaussian_filter1d((ink > INK).sum(axis=1).astype(float), 0.8 * down)
    found: list[tuple[float, str, np.ndarray]] = []
    rows = np.arange(len(profile))
    for layout, (columns, full) in LAYOUTS.items():
        count = len(columns[0]) + full
        best = (0.0, np.zeros(0))
        for pitch in np.arange(max(8.0, 60.0 / count) * down, min(45.0, 260.0 / count) * down, 0.35 * down):
            spans = pitch * np.arange(count)
            tops = np.arange(0, max(1.0, len(profile) - spans[-1]), 0.5 * down)
            near = np.stack([np.interp(tops + span, rows, profile) for span in spans])
            between = np.stack([np.interp(tops + span + pitch / 2, rows, profile) for span in spans[:-1]])
            outside = np.interp(tops - pitch, rows, profile, left=0) + np.interp(
                tops + spans[-1] + pitch, rows, profile, right=0
            )
            # every lane has to be there; what lies between them, and where a further lane would be, speaks against it
            worth = near.min(axis=0) + 0.3 * near.mean(axis=0) - 0.6 * between.mean(axis=0) - 0.8 * outside
            place = int(worth.argmax())
            if worth[place] > best[0]:
                best = (float(worth[place]), tops[place] + spans)
        if best[0] > 0:
            found.append((best[0], layout, best[1]))
    found.sort(key=lambda one: -one[0])
    return [(layout, base) for worth, layout, base in found if worth > 0.3 * found[0][0]]


def _read(
    runs: Runs,
    ink: np.ndarray,
    layout: str,
    base: np.ndarray,
    extent: tuple[float, float],
    scale: tuple[float, float],
    speed: float,
) -> PageReading:
    """The page as one of a layout; DataError where a trace breaks off."""
    columns, _ = LAYOUTS[layout]
    left, right = extent
    pitch = float(np.diff(base).mean())
    gain = _gain(ink, base, left, scale)
    samples = round(SECONDS * FS)
    signal = np.full((len(CANONICAL_LEADS), samples), np.nan)
    edges = np.rint(np.linspace(left, right, len(columns) + 1)).astype(int)
    margin = max(1, round(0.4 * scale[0]))  # where one lead ends and the next begins, both may be in one column
    lost: list[str] = []
    for number, leads in enumerate(columns):
        begin = edges[number] + (margin if number else 0)
        end = edges[number + 1] - (margin if number + 1 < len(columns) else 0)
        for row, lead in enumerate(leads):
            heights, share = runs.follow(begin, end, float(base[row]), pitch)
            if share < WHOLE:
                lost.append(lead)
                continue
            level = -(heights - np.median(heights)) / scale[1] / gain
            times = (np.arange(begin, end) + 0.5 - left) / scale[0] / speed
            first, last = round(number * samples / len(columns)), round((number + 1) * samples / len(columns))
            moments = (np.arange(first, last) + 0.5) / FS
            signal[CANONICAL_LEADS.index(lead), first:last] = np.interp(moments, times, level)
    if lost:
        raise DataError(f"the trace of {', '.join(lost)} breaks off")
    return PageReading(signal, layout, scale, gain, _agreement(signal))


def _gain(ink: np.ndarray, base: Sequence[float] | np.ndarray, left: float, scale: tuple[float, float]) -> float:
    """mm a mV by the pulses left of the traces; 10 where there is none."""
    begin = max(0, round(left - 10 * scale[0]))
    beside = ink[:, begin : max(begin + 1, round(left - 1.2 * scale[0]))] > INK
    heights = []
    for row in base:
        reach = round(24 * scale[1])
        low = max(0, round(row) - reach)
        part = beside[low : round(row) + 2]
        # a flat top: a row that is dark over 3 mm and more
        flat = np.flatnonzero(part.sum(axis=1) > 3.0 * scale[0])
        flat = flat[flat < len(part) - 2 - 2.5 * scale[1]]
        if len(flat):
            heights.append((row - (low + flat[-max(1, len(flat) // 2)])) / scale[1])
    if not heights:
        return 10.0
    height = float(np.median(heights))
    nearest = min(GAINS, key=lambda gain: abs(gain - height))
    if abs(nearest - height) > PULSE * max(1.0, nearest / 10):
        raise DataError(f"its calibration pulse is {height:.1f} mm high, and none of 5, 10 and 20 mm is")
    return nearest


def _agreement(signal: np.ndarray) -> float:
    """The lower of the correlations of II with I + III and of -aVR with aVL + aVF, where a page shows them together."""
    lead = {name: signal[place] for place, name in enumerate(CANONICAL_LEADS)}
    pairs = ((lead["II"], lead["I"] + lead["III"]), (-lead["aVR"], lead["aVL"] + lead["aVF"]))
    found = []
    for one, other in pairs:
        there = ~np.isnan(one) & ~np.isnan(other)
        if there.sum() > FS and np.std(one[there]) > 0 and np.std(other[there]) > 0:
            found.append(float(np.corrcoef(one[there], other[there])[0, 1]))
        else:
            found.append(0.0)
    return min(found)
