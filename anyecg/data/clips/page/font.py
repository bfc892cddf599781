"""A stroke font of our own for what an electrocardiograph prints: lead names, scales, header lines."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np

from anyecg.data.clips.page.ink import FULL

# Strokes of each character in a box 4 wide and 6 high, the baseline at 0; points as pairs of digits, x then y; a comma
# lifts the pen. Of the small letters those that print-outs need.
STROKES = {
    "A": "002640,1232", "B": "00063645443303,334241300000", "C": "4536160501103041", "D": "000626442200",
    "E": "46060040,0333", "F": "460600,0333", "G": "45361605011030414323", "H": "0006,4046,0343",
    "I": "2026,1030,1636", "J": "4641301001", "K": "0006,4603,1440", "L": "060040", "M": "0006234640",
    "N": "00064046", "O": "011030414536160501", "P": "00063645443303", "Q": "011030414536160501,2240",
    "R": "00063645443303,2340", "S": "453616050413334241301001", "T": "2026,0646", "U": "060110304146", "V": "062046",
    "W": "0610243046", "X": "0046,0640", "Y": "062346,2320", "Z": "06460040", "0": "011030414536160501",
    "1": "152620,1030", "2": "05163645440040", "3": "05163645443323,334241301001", "4": "30360242",
    "5": "460603334241301001", "6": "453616050110304142331302", "7": "06461000",
    "8": "13040516364544331302011030414233", "9": "011030414536160504133344", "a": "14344340,421201103041",
    "m": "0004,03142320,23344340", "s": "43341403123241301001", "z": "04440040", "x": "0044,0440", "/": "0046",
    "-": "1333", "+": "2125,0343", ".": "2021", ":": "2021,2324", "%": "0046,0605161506,3031414030", "(": "36252130",
    ")": "16252110", "=": "0242,0444", "*": "1135,1531,0343",
}  # fmt: skip
WIDTH, HEIGHT, ADVANCE = 4, 6, 6  # of a box, and from one box to the next


@lru_cache(maxsize=4096)
def word(text: str, height: int, pen: int) -> np.ndarray:
    """Coverage `[H, W]` of a word, 0 to `FULL`, its baseline `pen` above the lower edge.

    height: of a capital letter; pen: thickness of a stroke; both in 1/64 pixel. Characters without strokes are blank.
    """
    unit = max(height, HEIGHT)  # of six box units
    margin = pen // 2 + 32
    across = (len(text) * ADVANCE - (ADVANCE - WIDTH)) * unit // HEIGHT + 2 * margin
    wide, high = -(-across // 64), -(-(unit + 2 * margin) // 64)
    # sixteen samples a pixel, each inked if it lies within half a pen of a stroke
    y, x = np.mgrid[: high * 4, : wide * 4].astype(np.int64) * 16 + 8
    inked = np.zeros(x.shape, bool)
    for number, character in enumerate(text):
        for stroke in STROKES.get(character, "").split(","):
            points = [(int(a), int(b)) for a, b in zip(stroke[::2], stroke[1::2])]
            points = [
                (margin + (a + number * ADVANCE) * unit // HEIGHT, margin + (HEIGHT - b) * unit // HEIGHT)
                for a, b in points
            ]
            for (ax, ay), (bx, by) in pairwise(points):
                left, right = (min(ax, bx) - pen) // 16, (max(ax, bx) + pen) // 16 + 2
                part = np.s_[:, max(0, left) : max(0, right)]
                inked[part] |= _near(x[part], y[part], ax, ay, bx, by, pen)
    return (inked.reshape(high, 4, wide, 4).sum(axis=(1, 3)) * (FULL // 16)).astype(np.int32)


def _near(x: np.ndarray, y: np.ndarray, ax: int, ay: int, bx: int, by: int, pen: int) -> np.ndarray:
    """Whether points lie within half a pen of a segment: squared distances, in whole numbers."""
    dx, dy = bx - ax, by - ay
    size = dx * dx + dy * dy
    along = (x - ax) * dx + (y - ay) * dy
    beside = 4 * ((x - ax) * dy - (y - ay) * dx) ** 2 <= pen * pen * size
    ends = [4 * ((x - px) ** 2 + (y - py) ** 2) <= pen * pen for px, py in ((ax, ay), (bx, by))]
    return (beside & (along >= 0) & (along <= size)) | ends[0] | ends[1]


def lay(coverage: np.ndarray, drawn: np.ndarray, x: int, y: int) -> None:
    """Add a word's coverage to a picture's, in place, its upper left corner at pixel `(x, y)`; what lies outside is
    cut off.
    """
    left, top = max(0, -x), max(0, -y)
    part = drawn[top : max(top, coverage.shape[0] - y), left : max(left, coverage.shape[1] - x)]
    here = coverage[y + top : y + top + part.shape[0], x + left : x + left + part.shape[1]]
    np.minimum(here + part, FULL, out=here)
