"""What clinics and Holter recorders export reads as what was written, and as what other formats say of the same ECG."""

import binascii
import struct
from pathlib import Path

import numpy as np
import pytest

from anyecg.data.own import read_ecg
from anyecg.data.own.formats import FileFormat, file_formats
from anyecg.types import CANONICAL_LEADS, DataError
from tests.data.own.clinical_files import STEP, aecg, atc, ishne, muse, schiller, scp, sierra
from tests.data.own.own_files import LEADS, SIGNAL, group, write_dicom, write_edf

FORMATS = Path(__file__).parents[4] / "shared" / "data" / "formats"
if not FORMATS.is_dir():
    FORMATS = Path("/work/shared/data/formats")
real = pytest.mark.skipif(not FORMATS.is_dir(), reason="needs ../shared/data/formats")
STORED = ("I", "II", "V1", "V2", "V3", "V4", "V5", "V6")


def same(record, step=STEP * 1e-6, leads=LEADS, atol=None):
    """The record is the simulated ECG to half a step, derived leads to two halves."""
    assert record.fs == 500 and {lead.lower() for lead in record.leads} == {lead.lower() for lead in leads}
    order = [[own.lower() for own in record.leads].index(lead.lower()) for lead in leads]
    truth = SIGNAL[[LEADS.index(lead) for lead in leads]]
    np.testing.assert_allclose(record.signal[order], truth, atol=atol or 1.6 * step)
    return True


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("packed", [True, False])
def test_scp_differences_and_huffman(tmp_path, order, packed):
    record = read_ecg(scp(tmp_path / "own.scp", order=order, packed=packed))
    assert same(record) and record.leads == CANONICAL_LEADS
    assert record.notes == ("III, aVR, aVL, aVF: computed from I and II, which the device stored",)


@pytest.mark.parametrize("summed", [True, False])
def test_kardia_of_one_lead_and_of_six(tmp_path, summed):
    six = read_ecg(atc(tmp_path / "six.atc", summed=summed))
    assert (
        same(six, leads=LEADS[:6]) and six.notes == () and six.signal.shape == (6, SIGNAL.shape[1])
    )  # no average beat
    one = read_ecg(atc(tmp_path / "one.bin", ("I",), version=2, summed=summed))  # by its content
    assert same(one, leads=("I",)) and one.notes == ()
    two = read_ecg(atc(tmp_path / "two.atc", ("I", "II")))
    assert same(two, leads=LEADS[:6]) and "computed from I and II" in two.notes[0]


def test_a_kardia_file_that_is_damaged(tmp_path):
    path = atc(tmp_path / "own.atc", ("I",))
    whole = path.read_bytes()
    for data, words in (
        (whole[:2000], "cut short: block 'ecg '"),
        (whole[:250], "cut short: block 'info'"),
        (whole[:12], "no block 'fmt '"),
        (whole.replace(b"ecg ", b"ecq "), "no block of samples"),
        (whole[:1000] + b"\0\0\1" + whole[1003:], "the checksum of block 'ecg ' is wrong"),
    ):
        path.write_bytes(data)
        with pytest.raises(DataError, match=words):
            read_ecg(path)


def test_scp_reference_beats_that_were_subtracted(tmp_path):
    assert same(read_ecg(scp(tmp_path / "own.scp", beats=(500, 1200, 2010))))


def test_scp_bimodal_compression(tmp_path):
    record = read_ecg(scp(tmp_path / "own.scp", LEADS, beats=(500, 1200, 2010), factor=4))
    assert same(record, atol=0.35)  # slopes outside the kept areas are straight lines
    for at in (500, 1200, 2010):
        np.testing.assert_allclose(record.signal[:, at - 21 : at + 20], SIGNAL[:, at - 21 : at + 20], atol=0.0014)


def test_scp_that_was_changed_or_cut(tmp_path):
    path = scp(tmp_path / "own.scp", packed=False, order=0)
    data = bytearray(path.read_bytes())
    path.write_bytes(data[:-300])
    with pytest.raises(DataError, match="cut short: it says"):
        read_ecg(path)
    data[-301] ^= 1
    path.write_bytes(data)
    assert any("checksum of the file, section 6 is wrong" in note for note in read_ecg(path).notes)


@pytest.mark.parametrize(
    "write",
    [
        lambda folder: ishne(folder / "own.ecg"),
        lambda folder: muse(folder / "own.xml"),
        lambda folder: muse(folder / "own.xml", unit="MILLIVOLTS", step=0.0025),
        lambda folder: aecg(folder / "own.xml"),
        lambda folder: aecg(folder / "own.xml", unit="mV", step=0.0025),
        lambda folder: aecg(folder / "own.xml", unit="nV", step=2500),
        lambda folder: sierra(folder / "own.xml"),
        lambda folder: sierra(folder / "own.xml", "utf-8"),
        lambda folder: schiller(folder / "own.xml"),
    ],
    ids=["ishne", "muse", "muse mV", "aecg", "aecg mV", "aecg nV", "sierra utf-16", "sierra", "schiller"],
)
def test_what_is_written_is_read(tmp_path, write):
    path = write(tmp_path)
    assert same(read_ecg(path), step=0.005)
    renamed = path.rename(tmp_path / "export")  # its content tells
    assert same(read_ecg(renamed), step=0.005)


def test_a_rate_of_aecg_that_is_no_whole_number(tmp_path):
    assert read_ecg(aecg(tmp_path / "own.xml", increment="0.0039")).fs == pytest.approx(1 / 0.0039)


def test_muse_lead_that_was_changed(tmp_path):
    path = muse(tmp_path / "own.xml")
    text = path.read_text()
    place = text.rindex("<WaveFormData>") + 100
    path.write_text(text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :])
    assert any("CRC32 mismatch" in note for note in read_ecg(path).notes)


def test_ishne_cut_short_or_without_a_place(tmp_path):
    path = ishne(tmp_path / "own.ecg", ("II", "V1"))
    data = bytearray(path.read_bytes())
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="own.ecg"):
        read_ecg(path)
    data[158:160] = struct.pack("<h", 0)
    data[8:10] = struct.pack("<H", binascii.crc_hqx(bytes(data[10:522]), 0xFFFF))
    path.write_bytes(data)
    record = read_ecg(path)
    assert record.leads == ("V1",) and "left out channel 1" in record.notes[0]


def test_a_format_of_ones_own(tmp_path, monkeypatch):
    """A file outside the package, named by format=."""
    (tmp_path / "hex_format.py").write_text(
        "import numpy as np\nfrom anyecg.data.own.channels import Channel\nfrom anyecg.data.own.formats import FileFormat\n"
        "class Hex(FileFormat):\n    def read(self, path, request):\n        request.note('hexadecimal')\n"
        "        values = np.array([int(word, 16) for word in path.read_text().split()], float)\n"
        "        return [Channel('II', 'uV', 100.0, lambda: values)]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "own.hex").write_text("3e8 0 " * 50)
    record = read_ecg(tmp_path / "own.hex", format="hex_format:Hex")
    assert record.signal[0, :2].tolist() == [1.0, 0.0] and record.notes == ("hexadecimal",)
    with pytest.raises(DataError, match="format='dicon': no file_format is called 'dicon'; did you mean 'dicom'"):
        read_ecg(tmp_path / "own.hex", format="dicon")


def test_every_format_says_what_it_is():
    for name in file_formats.table():
        kind = file_formats[name]
        assert issubclass(kind, FileFormat) and kind.__doc__ and kind.suffixes


def test_the_content_decides_before_the_suffix(tmp_path):
    path = write_dicom(tmp_path / "own.dcm", group(SIGNAL, "RHYTHM"))
    assert same(read_ecg(path.rename(tmp_path / "own.edf")), step=0.0025)
    path = write_edf(tmp_path / "own.edf")
    assert same(read_ecg(path.rename(tmp_path / "own.csv")), step=0.001)


@real
@pytest.mark.parametrize(
    ("one", "other", "atol"),
    [
        ("scp/Example.scp", "hl7_aecg/fda_subject1_same_as_scp_example.xml", 1e-6),
        ("philips_xml/v1_04.xml", "hl7_aecg/philips_converted_same_as_v1_04.xml", 0.0201),
    ],
)
def test_one_ecg_in_two_formats(one, other, atol):
    first, second = read_ecg(FORMATS / one), read_ecg(FORMATS / other)
    assert first.fs == second.fs == 500 and len(first.leads) == 12
    for lead in first.leads:
        np.testing.assert_allclose(
            first.signal[first.leads.index(lead)], second.signal[second.leads.index(lead)], atol=atol
        )


@real
@pytest.mark.parametrize(
    ("path", "fs", "samples"),
    [
        ("muse_xml/braveheart_example1.xml", 500, 5000),
        ("muse_xml/braveheart_example2.xml", 500, 5000),
        ("philips_xml/v1_03.xml", 500, 5500),
        ("schiller_xml/cardio_sample.xml", 500, 5000),
        ("dicom/mortara_el250.dcm", 1000, 10000),
        ("scp/Example.scp", 500, 5000),
    ],
)
def test_exports_of_devices(path, fs, samples):
    record = read_ecg(FORMATS / path)
    assert record.fs == fs and record.signal.shape == (12, samples)
    rows = {lead.upper(): row for lead, row in zip(record.leads, record.signal)}
    rows = {lead: row[: 10 * fs] for lead, row in rows.items()}  # a calibration pulse may follow
    np.testing.assert_allclose(rows["II"] - rows["I"], rows["III"], atol=0.011)  # Einthoven
    np.testing.assert_allclose(rows["AVR"] + rows["AVL"] + rows["AVF"], 0, atol=0.02)  # Goldberger


@real
def test_our_scp_reader_and_the_librarys():
    from ecgdatakit import FileParser

    theirs, ours = FileParser.parse(FORMATS / "scp/Example.scp"), read_ecg(FORMATS / "scp/Example.scp")
    for lead in theirs.leads:
        np.testing.assert_allclose(ours.signal[ours.leads.index(lead.label)], lead.samples, atol=1e-6)
