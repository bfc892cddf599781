"""Headers that lie: of every kind of lie, the record is refused with its reason; headers that tell the truth pass."""

import numpy as np
import pytest
import wfdb

from anyecg.data.corpora import corpora, header
from anyecg.data.corpora.base import Entry
from anyecg.simulate import simulate, simulators
from anyecg.types import DataError
from tests.data.native import REAL, beat_train, real_data, write_annotated

KIND = corpora["mit_bih_arrhythmia"]


@pytest.fixture
def root(tmp_path):
    return write_annotated(tmp_path / "mitdb", "100", beat_train(10.0))


def read(root, old="", new=""):
    path = root / "100.hea"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new) if old else text)
    return KIND(KIND.Config(), root).read(Entry("100", "100", "100", "train"))


def test_a_true_header_passes(root):
    assert read(root).signal.shape == (2, 3600)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (" 3600", " 1200", r"100.dat: .* holds 14,400 bytes, 100.hea says 1,200 samples of 2 a frame \(4,800 bytes\)"),
        (" 3600", " 1", "holds 14,400 bytes"),
        (" 3600", " 3601", "cut short"),
        (" 360 ", " -5 ", "sampling rate is '-5'"),
        (" 360 ", " 0 ", "sampling rate is '0'"),
        (" 360 ", " 0.5 ", "sampling rate is 0.5 Hz, none of an ECG"),
        (" 360 ", " 3600000 ", "sampling rate is 3.6e.06 Hz"),
        (" 400.0(0)/mV", " 0(0)/mV", "gain of 0"),
        (" 400.0(0)/mV", " 0.0/mV", "gain of 0"),
    ],
)
def test_a_lie_is_told(root, old, new, words):
    with pytest.raises(DataError, match=words):
        read(root, old, new)


@pytest.mark.parametrize("form", ["16", "24", "32", "80", "212"])
def test_every_format_is_measured(tmp_path, form):
    signal = np.clip(np.rint(beat_train(1.0, fs=101, leads=3) * 50), -120, 120).astype(np.int64).T
    wfdb.wrsamp(
        "a",
        101,
        ["mV"] * 3,
        ["I", "II", "III"],
        d_signal=signal,
        fmt=[form] * 3,
        adc_gain=[50.0] * 3,
        baseline=[0] * 3,
        write_dir=str(tmp_path),
    )
    header.check(header.Header.read(tmp_path / "a"))
    path = tmp_path / "a.hea"
    path.write_text(path.read_text().replace("a 3 101 101", "a 3 101 90"))
    with pytest.raises(DataError, match="a.hea says 90 samples of 3"):
        header.check(header.Header.read(tmp_path / "a"))


@pytest.mark.parametrize("name", [name for name in corpora.table() if corpora[name].layout])
def test_the_simulated_sources_tell_the_truth(tmp_path, name):
    kind = corpora[name]
    assert kind.layout in simulators.table()
    simulate(kind.layout, tmp_path / "s", patients=2, seconds=8.3, workers=1, progress=False)
    corpus = kind(kind.Config(), tmp_path / "s")
    assert all(corpus.read(entry).signal.size for entry in corpus.entries())


def test_ptbxl_has_one_rate_a_folder(tmp_path):
    kind = corpora["ptbxl"]
    simulate("ptbxl", tmp_path / "s", patients=1, workers=1, progress=False)
    corpus = kind(kind.Config(), tmp_path / "s")
    entry = next(iter(corpus.entries()))
    path = tmp_path / "s" / f"{entry.path}.hea"
    path.write_text(path.read_text().replace(" 12 100 ", " 12 500 "))
    with pytest.raises(DataError, match="sampling rate is 500 Hz, that of the source 100 Hz"):
        corpus.read(entry)


@real_data
@pytest.mark.parametrize(("name", "folder"), [("ptbxl", "ptbxl"), ("mit_bih_arrhythmia", "mitdb")])
def test_the_real_sources_tell_the_truth(name, folder):
    kind = corpora[name]
    corpus = kind(kind.Config(limit=6), REAL / folder)
    assert all(corpus.read(entry).signal.size for entry in corpus.entries())


def test_a_header_without_a_number_of_signals(root):
    """wfdb reads "2b360" as two signals; the reader's own look at the header is no bug of the reader."""
    with pytest.raises(DataError, match="number of signals is '2b360'"):
        read(root, " 2 360", " 2b360")
