"""Pages of ECG paper: exact ink, layouts, what is drawn of what, distortions, tiles."""

import hashlib
import random

import numpy as np
import pytest
from PIL import Image

from anyecg.data.chance import chance
from anyecg.data.clips import clips
from anyecg.data.clips.page import draw
from anyecg.data.clips.page.distort import CHAIN, distort
from anyecg.data.clips.page.font import word
from anyecg.data.clips.page.ink import COLUMNS, FULL, UNITS, Ink, lines
from anyecg.data.clips.page.maker import PageConfig
from anyecg.data.clips.page.measure import axis, rate
from anyecg.data.clips.page.tiles import canvas, padded, tiles
from anyecg.simulate.record import ecg
from anyecg.types import CANONICAL_LEADS, ConfigError, InputSpec

EVERY = np.ones(12, bool)
FINE = 7874  # 1/1000 pixel a mm: 200 dots an inch


def spec(kind="page", shape=(3, 196, 256), **page):
    return InputSpec(kind=kind, scaling="millivolt", shape=shape, settings=PageConfig(**page))


def ramp():
    """[12, 1000] mV of whole microvolts, without a generator of random numbers."""
    time = np.arange(1000)
    wave = ((time * 37) % 211 - 105) * (time % 90 < 9) * 10 + (time % 300)
    return np.stack([wave * (1 + lead % 3) // 2 for lead in range(12)]).astype(np.float32) / 1000


def sinus(**settings):
    return ecg(settings.pop("findings", []), fs=100, seed=2, **settings)[0]


def test_a_page_has_the_same_bits_on_every_machine():
    drawn = [
        draw.draw(ramp(), EVERY, 100, draw.Style(layout=layout, grid=grid), draw.fitting("letter", 672, 672))
        for layout, grid in (("3x4+1", "red"), ("12x1", "none"))
    ]
    assert drawn[0].shape == (519, 672, 3)
    assert [hashlib.sha256(page.tobytes()).hexdigest()[:16] for page in drawn] == GOLDEN


GOLDEN = ["90d41c9e49b1e484", "19ac152c8471a893"]


def test_coverage_is_the_area_that_is_covered():
    ink = Ink(10, 10)
    # a bar one pixel wide from 2.25 to 5.5 rows
    ink.bars(np.arange(4) + 3 * COLUMNS, np.full(4, 2 * UNITS + UNITS // 4), np.full(4, 5 * UNITS + UNITS // 2))
    covered = ink.coverage()
    assert covered[:, 3].tolist() == [0, 0, 3 * FULL // 4, FULL, FULL, FULL // 2, 0, 0, 0, 0]
    assert covered.sum() == covered[:, 3].sum()


def test_bars_beyond_the_picture_are_cut_off():
    ink = Ink(4, 4)
    columns = np.arange(-8, 24)
    ink.bars(columns, np.full(32, -1000), np.full(32, 1000))
    assert (ink.coverage() == FULL).all()


@pytest.mark.parametrize("fs", [50, 100, 500, 1000])
def test_a_line_is_as_thick_as_the_pen_at_every_rate(fs):
    ink = Ink(40, 300)
    ink.trace(0, np.full(10 * fs // 10, 20 * UNITS, np.int64), (25 * FINE * COLUMNS, fs * 1000), 3 * UNITS)
    middle = ink.coverage()[:, 50:150]
    assert (middle.sum(axis=0) == 3 * FULL).all()


def test_grid_lines_cover_what_they_should():
    covered = lines(1000, 0, 10_000, 2_000, 100)
    assert covered.sum() == pytest.approx(100 * 200, rel=0.01) and covered.max() == 100 and covered.min() == 0


def traces(style, signal=None, mask=EVERY, scale=FINE, fs=100):
    """Where a page has ink: bool `[H, W]`."""
    signal = sinus() if signal is None else signal
    return (draw.draw(signal, mask, fs, style, scale) < 100).all(axis=2)


@pytest.mark.parametrize("gain", [5, 10, 20])
@pytest.mark.parametrize("speed", [25, 50])
def test_a_millivolt_and_a_second_are_as_long_as_the_paper_says(gain, speed):
    signal = np.zeros((12, 1000), np.float32)
    signal[1, 100:120] = 1.0  # a step in lead II
    style = draw.Style(layout="12x1", grid="none", gain=gain, speed=speed, scales=False, pen=22)
    mask = np.arange(12) == 1
    mask[:4] = True  # more than a strip
    left = (draw.PAPERS["letter"][0] - draw.RIGHT - draw.TRACE) * FINE // 100_000
    inked = traces(style, signal, mask)[:, left + 10 :]
    base = draw.cells(style, list(mask), 1000, 100)[0][1].y * FINE // 100_000
    high = np.flatnonzero(inked[:, round((1.1 * speed) * FINE / 1000) - 10])
    nearest = high[np.abs(high - (base - gain * FINE / 1000)).argmin()]
    assert abs(base - nearest - gain * FINE / 1000) < 0.5 * FINE / 1000


@pytest.mark.parametrize("layout", draw.LAYOUTS)
@pytest.mark.parametrize("paper", draw.PAPERS)
def test_every_layout_has_its_leads_on_the_paper(layout, paper):
    style = draw.Style(layout=layout, paper=paper)
    shown, bases, pitch = draw.cells(style, [True] * 12, 1000, 100)
    assert {cell.lead for cell in shown} == set(range(12)) and pitch > 0
    assert all(0 < base < draw.PAPERS[paper][1] for base in bases)
    assert all(cell.x + (cell.last - cell.first) * 25 <= draw.PAPERS[paper][0] for cell in shown)
    assert traces(style, scale=1500).any()


def test_an_absent_lead_is_neither_drawn_nor_named():
    style = draw.Style(grid="none", scales=False, layout="3x4")
    mask = EVERY.copy()
    mask[CANONICAL_LEADS.index("V4")] = False
    full, less = traces(style), traces(style, mask=mask)
    gone = full & ~less
    assert gone.any() and not (less & ~full).any()
    width, height = full.shape[1], full.shape[0]
    rows, columns = np.nonzero(gone)
    assert columns.min() > 0.7 * width and rows.max() < 0.45 * height  # V4: the last column's first row


def test_one_or_two_leads_are_strips_and_none_is_paper():
    mask = np.zeros(12, bool)
    assert not traces(draw.Style(grid="none", scales=False), mask=mask).any()
    mask[1] = True
    shown, *_ = draw.cells(draw.Style(), list(mask), 1000, 100)
    assert [(cell.lead, cell.first, cell.last) for cell in shown] == [(1, 0, 1000)]


def test_a_long_strip_takes_several_lines():
    shown, *_ = draw.cells(draw.Style(layout="strip"), [False, True] + [False] * 10, 3000, 100)
    assert [(cell.first, cell.last) for cell in shown] == [(0, 1000), (1000, 2000), (2000, 3000)]


def test_what_is_printed_can_be_read():
    for text in (*CANONICAL_LEADS, "25 mm/s", "VENT. RATE 72 BPM"):
        for height in (6 * 64, 22 * 64):
            drawn = word(text, height, 80)
            assert drawn.max() > FULL // 2 and drawn.min() == 0
    assert len({word(text, 1400, 100).tobytes() for text in CANONICAL_LEADS}) == 12


def test_pages_follow_one_another_and_are_drawn_by_their_key_alone():
    made = clips(spec(layouts={"3x4": 1, "12x1": 1, "6x2": 1}, distorted=0.5))
    long = np.concatenate([sinus()] * 3, axis=1)
    pages = made.make(long, EVERY, "a")
    assert pages.shape == (3, 3, 196, 256) and pages.dtype == np.uint8 and made.count(30) == 3
    assert np.array_equal(pages, made.make(long, EVERY, "a"))
    assert len({made.make(sinus(), EVERY, str(key)).tobytes() for key in range(6)}) > 3


def test_a_header_says_rate_and_axis_and_is_off_unless_asked_for():
    signal = sinus()
    plain, printed = (clips(spec(header=header)).make(signal, EVERY) for header in (False, True))
    assert (plain != printed)[:, :, :40].any() and not (plain != printed)[:, :, 60:].any()
    assert 50 < rate(signal, EVERY, 100) < 110 and -90 < axis(signal, EVERY, 100) < 120
    assert rate(np.zeros((12, 1000)), EVERY, 100) is None


def test_blank_paper_is_the_same_everywhere():
    made = clips(spec())
    assert len(made.blank(0)) == 0 and made.blank(0).dtype == np.uint8
    blank = made.blank(2)
    assert np.array_equal(blank[0], blank[1]) and blank.min() > 100


@pytest.mark.parametrize("distortion", [one for _, one in CHAIN], ids=lambda one: one.__name__)
def test_each_distortion_is_seeded_and_leaves_the_page_legible(distortion):
    page = draw.draw(sinus(), EVERY, 100, draw.Style(), 1500)
    once, again, other = (np.asarray(distortion(Image.fromarray(page), random.Random(n), 1.0)) for n in (3, 3, 9))
    assert np.array_equal(once, again) and not np.array_equal(once, other)
    assert once.shape == page.shape and once.dtype == np.uint8 and once.std() > 5


def test_no_strength_is_no_distortion():
    page = draw.draw(sinus(), EVERY, 100, draw.Style(), 1500)
    assert np.array_equal(distort(page, random.Random(0), 0.0), page)
    assert not np.array_equal(distort(page, random.Random(1)), page)


@pytest.mark.parametrize(
    ("height", "width", "chosen"),
    [(1700, 2200, (672, 672)), (701, 1240, (672, 672)), (500, 1500, (336, 1008)), (1000, 2200, (336, 1008)),
     (4000, 3000, (672, 672)), (1500, 500, (1008, 336))],
)  # fmt: skip
def test_anyres_takes_the_papers_canvas(height, width, chosen):
    assert canvas(height, width, 336) == chosen


def test_tiles_are_the_overview_and_the_canvas_row_by_row():
    picture = np.arange(120 * 160 * 3, dtype=np.uint32).reshape(120, 160, 3).astype(np.uint8)
    cut = tiles(picture, 48)
    assert cut.shape == (5, 3, 48, 48)
    whole = padded(picture, 96, 96, ground=0)
    assert np.array_equal(cut[2], whole[:48, 48:].transpose(2, 0, 1)) and not whole[:10].any()


def test_a_page_in_tiles_is_a_record_of_five_clips():
    made = clips(spec("tiles", (3, 96, 96)))
    assert made.count(10) == 5 and made.count(20) == 10 and made.make(sinus(), EVERY).shape == (5, 3, 96, 96)
    assert made.blank(5).shape == (5, 3, 96, 96)


def test_a_page_drawn_for_the_tiles_is_like_one_that_was_printed_large_and_scanned():
    made = clips(spec("tiles", (3, 336, 336)))
    style = made.cfg.style(chance(0, "page", "r"))
    large = draw.draw(sinus(), EVERY, 100, style, draw.fitting("letter", 1700, 2200))
    direct, scanned = made.make(sinus(), EVERY, "r"), made.clips(large)
    assert np.corrcoef(direct.ravel(), scanned.ravel())[0, 1] > 0.95


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda: InputSpec(kind="page", scaling="lead", shape=(3, 96, 96)), "scaling millivolt"),
        (lambda: InputSpec(kind="page", scaling="millivolt", shape=(12, 1000)), r"\(3, height, width\)"),
        (lambda: InputSpec(kind="page", scaling="millivolt", shape=(3, 96, 96), settings=3), "PageConfig"),
        (lambda: spec("tiles", (3, 96, 128)), "tiles are square"),
    ],
)
def test_what_is_no_page_is_refused(made, message):
    with pytest.raises(ConfigError, match=message):
        clips(made())


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"layouts": {"4x3": 1}}, "layouts.4x3"), ({"grids": {"red": 0}}, "grids: at least one"), ({"dpi": 3}, "dpi"),
     ({"distorted": 2.0}, "distorted"), ({"speeds": {"30": 1}}, "speeds.30")],
)  # fmt: skip
def test_bad_settings_name_their_key(settings, message):
    with pytest.raises(ConfigError, match=message):
        PageConfig(**settings)
