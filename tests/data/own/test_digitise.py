"""The digitiser: pages of ours are read back; what is no clean page is refused with a reason."""

import numpy as np
import pytest
from PIL import Image

from anyecg.data.clips.page import draw
from anyecg.data.own import read_ecg
from anyecg.data.own.digitise import FS, digitise, read_page
from anyecg.simulate.record import ecg
from anyecg.types import DataError, Picture
from benchmarks.digitise import EVERY, KINDS, RATE, Kind, compared, page

SIGNAL = ecg((), seconds=10.0, fs=RATE, seed=1)[0]
DPI = 100


def drawn(layout="3x4+1", present=EVERY, dpi=DPI, **style):
    return draw.draw(SIGNAL, present, RATE, draw.Style(layout=layout, **style), dpi * 10_000 // 254)


@pytest.mark.parametrize("layout", ["3x4+1", "12x1", "6x2"])
def test_a_clean_page_is_read_back(layout):
    found = digitise(drawn(layout))
    assert found.layout == layout and found.gain == 10 and found.agreement > 0.9
    assert found.scale == pytest.approx((DPI / 25.4, DPI / 25.4), rel=0.005)
    snr, likeness = compared(found.signal, SIGNAL)
    assert snr > 8 and likeness > 0.92
    shown = {"3x4+1": 2.5, "6x2": 5.0, "12x1": 10.0}[layout]
    assert found.together().shape == (12, round(shown * FS)) and np.isfinite(found.together()).all()


def test_the_pulse_says_the_gain():
    assert digitise(drawn(gain=5)).gain == 5


@pytest.mark.parametrize(
    ("pixels", "why"),
    [
        (lambda: drawn(grid="none"), "no grid"),
        (lambda: drawn()[:, : 11 * DPI // 2], "mm long|no grid"),  # cropped
        (lambda: np.rot90(drawn()).copy(), "mm long|no grid|lanes|limb leads|breaks off"),  # on its side
        (lambda: drawn(present=np.arange(12) == 1), "lanes|limb leads|breaks off|mm long"),  # one lead
        (lambda: np.full((400, 500, 3), 250, np.uint8), "no grid"),
    ],
)
def test_what_is_no_such_page_is_refused_and_not_guessed(pixels, why):
    with pytest.raises(DataError, match=why):
        digitise(pixels())


def test_a_picture_is_a_recording_only_where_that_is_asked_for(tmp_path):
    Image.fromarray(drawn()).save(tmp_path / "scan.png")
    with pytest.raises(DataError, match=r"scan\.png: is a picture; digitise=True"):
        read_ecg(tmp_path / "scan.png")
    record = read_ecg(tmp_path / "scan.png", digitise=True, patient="p")
    assert record.fs == FS and record.signal.shape == (12, 625) and record.patient == "p"
    assert any("10 mm/mV" in note for note in record.notes) and any("2.5 s of each lead" in note for note in record.notes)
    with pytest.raises(DataError, match="page 7: no signal can be read off the page: no grid"):
        read_page(Picture(drawn(grid="none"), "page 7"))


def test_the_benchmark_knows_its_truth():
    """What is compared is the drawn signal: itself is without error, and a delayed one is not."""
    moments = (np.arange(2500) + 0.5) / FS
    true = np.stack([np.interp(moments, np.arange(5000) / RATE, lead) for lead in SIGNAL])
    assert compared(true, SIGNAL)[0] > 60 and compared(np.roll(true, 3, axis=1), SIGNAL)[0] < 15
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    assert page(SIGNAL, Kind("small", dpi=40), 0).shape[2] == 3
