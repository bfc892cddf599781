"""Pictures of one's own ECGs: formats, orientation, what is refused and in which words."""

import numpy as np
import pytest
from PIL import Image

from anyecg.data.chance import chance
from anyecg.data.clips import clips
from anyecg.data.clips.page import draw
from anyecg.data.clips.page.distort import distort
from anyecg.data.clips.page.maker import PageConfig
from anyecg.data.own import picture
from anyecg.data.own.picture import is_picture, no_ecg, read_picture
from anyecg.simulate.record import ecg
from anyecg.types import DataError, InputSpec

EVERY = np.ones(12, bool)


@pytest.fixture(scope="module")
def page():
    return draw.draw(ecg([], fs=100, seed=1)[0], EVERY, 100, draw.Style(), 3000)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp", ".pdf"])
def test_every_format_is_read_as_the_same_page(page, tmp_path, suffix):
    path = tmp_path / f"page{suffix}"
    Image.fromarray(page).save(path)
    read = read_picture(path)
    assert is_picture(path) and read.id == "page" and read.pixels.dtype == np.uint8
    size = page.shape[1::-1]
    again = np.asarray(Image.fromarray(read.pixels).resize(size))
    assert np.corrcoef(again.ravel(), page.ravel())[0, 1] > 0.9


def test_the_cameras_orientation_and_transparency_are_seen_to(page, tmp_path):
    turned = Image.fromarray(np.rot90(page, 1))
    exif = turned.getexif()
    exif[0x0112] = 6  # to be turned by a quarter
    turned.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    assert read_picture(tmp_path / "turned.jpg").pixels.shape == page.shape
    ink = (page < 100).all(axis=2)
    clear = np.dstack([page, np.where(ink, 255, 0).astype(np.uint8)])
    Image.fromarray(clear, "RGBA").save(tmp_path / "clear.png")
    seen = read_picture(tmp_path / "clear.png").pixels
    assert (seen[~ink] == 255).all() and (seen[ink] < 100).all()


def test_sixteen_bits_and_grey_are_read(page, tmp_path):
    grey = page.mean(axis=2)
    Image.fromarray((grey * 257).astype(np.uint16)).save(tmp_path / "deep.png")
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "grey.png")
    deep, plain = (read_picture(tmp_path / name).pixels for name in ("deep.png", "grey.png"))
    assert deep.shape == plain.shape == page.shape and np.corrcoef(deep.ravel(), plain.ravel())[0, 1] > 0.999


def pdf(*objects):
    """A PDF of so many objects, written by hand."""
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj %s endobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    locked = b"/Encrypt 3 0 R /ID [<00112233445566778899aabbccddeeff> <00112233445566778899aabbccddeeff>]"
    trailer = locked if any(b"/Standard" in body for body in objects) else b""
    return out + b"trailer << /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, trailer, table)


CATALOG, EMPTY = b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] /Count 0 >>"
LOCK = b"<< /Filter /Standard /V 1 /R 2 /P -4 /O <%s> /U <%s> >>" % (b"ab" * 32, b"cd" * 32)


@pytest.mark.parametrize(
    ("content", "message"),
    [(pdf(CATALOG, EMPTY), "no page|no PDF"), (pdf(CATALOG, EMPTY, LOCK), "encrypted"), (b"%PDF-1.4 nothing", "no PDF"),
     (b"", "no PDF")],
)  # fmt: skip
def test_a_pdf_that_cannot_be_read_says_why(tmp_path, content, message):
    path = tmp_path / "page.pdf"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_picture(path)


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n" + bytes(40)])
def test_a_broken_picture_is_named(tmp_path, content):
    path = tmp_path / "scan.png"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"scan\.png: .*no picture"):
        read_picture(path)


def test_a_picture_of_200_megapixels_is_refused_before_it_is_decoded(tmp_path):
    path = tmp_path / "large.png"
    Image.new("1", (20_000, 10_000), 1).save(path)
    with pytest.raises(DataError, match="200.*scale it down"):
        read_picture(path)


def photo(kind):
    rng = np.random.default_rng(0)
    return {
        "noise": rng.integers(0, 256, (300, 400, 3), dtype=np.uint8),
        "night": np.full((300, 400, 3), 12, np.uint8) + rng.integers(0, 20, (300, 400, 3), dtype=np.uint8),
        "white": np.full((300, 400, 3), 255, np.uint8),
        "small": np.full((60, 400, 3), 200, np.uint8),
        "halves": np.repeat(np.repeat(np.array([[[20] * 3, [240] * 3]], np.uint8), 300, 0), 200, 1),
    }[kind]


@pytest.mark.parametrize(
    ("kind", "why"),
    [("noise", "does not look like"), ("night", "dark nearly"), ("white", "shows nothing"), ("small", "too few"),
     ("halves", "does not look like")],
)  # fmt: skip
def test_a_picture_that_is_no_ecg_is_told_from_one(kind, why, tmp_path):
    assert why in no_ecg(photo(kind))
    Image.fromarray(photo(kind)).save(tmp_path / "cat.png")
    with pytest.raises(DataError, match=why):
        read_picture(tmp_path / "cat.png")


def test_no_page_of_ours_is_refused_however_it_is_distorted():
    signal = ecg([], fs=100, seed=4)[0]
    cfg = PageConfig(
        layouts={"3x4": 1, "12x1": 1, "6x2": 1, "strip": 1}, grids=dict.fromkeys(draw.GRIDS, 1), inks={"black": 1, "grey": 1}
    )
    for number in range(24):
        drawn = draw.draw(signal, EVERY, 100, cfg.style(chance(0, number)), 2000)
        assert no_ecg(drawn) is None and no_ecg(distort(drawn, chance(1, number))) is None, number
    one = draw.draw(signal, np.arange(12) == 1, 100, draw.Style(grid="none"), 2000)
    assert no_ecg(one) is None  # a page with one lead
    assert no_ecg(np.rot90(one)) is None and no_ecg(one[: len(one) // 2]) is None  # turned, cropped


def test_a_signal_encoder_refuses_a_picture_and_says_which_would_take_it(page):
    with pytest.raises(DataError, match=r"takes the signal.*clip or page_vit"):
        clips(InputSpec()).pictured(page)
    spec = InputSpec(kind="page", scaling="millivolt", shape=(3, 96, 128), settings=PageConfig())
    assert clips(spec).pictured(page).shape == (1, 3, 96, 128)
    tiled = InputSpec(kind="tiles", scaling="millivolt", shape=(3, 96, 96), settings=PageConfig())
    assert clips(tiled).pictured(page).shape == (5, 3, 96, 96)
    assert clips(tiled).pictured(page[:300]).shape == (4, 3, 96, 96)  # a strip: three tiles in a row


def test_a_pdf_needs_its_library(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pypdfium2", None)
    (tmp_path / "page.pdf").write_bytes(b"%PDF")
    with pytest.raises(Exception, match=r"anyecg\[pictures\]"):
        picture.read_picture(tmp_path / "page.pdf")
