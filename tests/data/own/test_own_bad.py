"""A user's own ECG: files that are broken, silent or say otherwise are named, with what to do."""

import sys

import edfio
import numpy as np
import pytest

from anyecg.data.own import read_ecg
from anyecg.types import AnyECGError, DataError
from tests.data.own.own_files import FS, LEADS, SIGNAL, TIME, equals, group, table, write_dicom, write_edf, written


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"fs": 360}, "sampled at 500 Hz, fs= says 360 Hz"),
        ({"units": "V"}, "I is in uV, units= says V"),
        ({"units": "bpm"}, "units='bpm' is no voltage"),
        ({"leads": [*LEADS[:11], "V1"]}, "calls a channel 'ECG V6', leads= calls it 'V1'"),
        ({"leads": {"ECG V6": "V1"}}, "calls a channel 'ECG V6', leads= calls it 'V1'"),
        ({"leads": LEADS[:11]}, r"11 names \(I, .*\) to 12 channels \(ECG I, "),
    ],
)
def test_words_that_contradict_the_file(tmp_path, words, message):
    path = write_edf(tmp_path / "own.edf")
    assert read_ecg(path, fs=500, leads=LEADS, units="\u03bcV").fs == 500  # the same words are welcome
    with pytest.raises(DataError, match=message) as caught:
        read_ecg(path, **words)
    assert str(path) in str(caught.value)


def test_words_that_contradict_an_archive(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, signal=SIGNAL[:2], fs=FS, leads=["II", "V1"])
    with pytest.raises(DataError, match="calls a channel 'V1', leads= calls it 'V2'"):
        read_ecg(path, leads=["II", "V2"])
    with pytest.raises(DataError, match="500 Hz, fs= says 250 Hz"):
        read_ecg(path, fs=250)


def test_what_nobody_says(tmp_path):
    np.save(tmp_path / "own.npy", SIGNAL)
    with pytest.raises(DataError, match="names no leads; pass leads="):
        read_ecg(tmp_path / "own.npy", fs=FS)
    with pytest.raises(DataError, match="sampling rate; pass fs="):
        read_ecg(tmp_path / "own.npy", leads=LEADS)
    with pytest.raises(DataError, match="a sampling rate of 0 Hz"):
        read_ecg(tmp_path / "own.npy", leads=LEADS, fs=0)
    path = write_edf(tmp_path / "own.edf", [("II", SIGNAL[1], FS, "")])
    with pytest.raises(DataError, match="unit of II; pass units="):
        read_ecg(path)
    assert equals(read_ecg(path, units="mV"), 16000 / 2**16, ("II",), SIGNAL[[1]])
    path = write_edf(tmp_path / "own.edf", [("EEG Cz", SIGNAL[1], FS, "uV"), ("Resp", SIGNAL[1], FS, "mV")])
    with pytest.raises(DataError, match=r"none of its channels is a lead by its name \(EEG Cz, Resp\); pass leads="):
        read_ecg(path)
    path = write_edf(tmp_path / "own.edf", [("II", SIGNAL[1], FS, "mmHg")])
    with pytest.raises(DataError, match="unit of II, 'mmHg', is no voltage"):
        read_ecg(path)


def test_microvolts_taken_as_millivolts_are_told(tmp_path, caplog):
    np.save(tmp_path / "own.npy", SIGNAL * 1000)
    read_ecg(tmp_path / "own.npy", fs=FS, leads=LEADS, units="uV")
    assert not caplog.records
    read_ecg(tmp_path / "own.npy", fs=FS, leads=LEADS)
    assert "pass units=" in caplog.text


def lines_changed(change):
    lines = table().assign(t=TIME).to_csv(index=False).splitlines()
    change(lines)
    return "\n".join(lines)


def set_line(number, text):
    return lambda lines: lines.__setitem__(number - 1, text)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda lines: lines.pop(700), "irregular in time: a step of 0.004 s at line 701"),
        (lambda lines: lines.insert(700, lines[700]), "irregular in time: a step of 0 s at line 702"),
        (lambda lines: lines.reverse() or lines.insert(0, lines.pop()), "column of time does not rise"),
        (
            set_line(900, lines_changed(lambda lines: None).splitlines()[899][:40]),
            "line 900 has . cells where 13 are due",
        ),
        (
            set_line(3, "x" + lines_changed(lambda lines: None).splitlines()[2]),
            "line 3, column I holds 'x.*, no number",
        ),
        (lambda lines: lines.__delitem__(slice(1, None)), "holds no row of numbers"),
        (lambda lines: lines.clear(), "holds no row of numbers"),
    ],
)
def test_bad_tables(tmp_path, change, message):
    path = tmp_path / "own.csv"
    path.write_text(lines_changed(change))
    with pytest.raises(DataError, match=message) as caught:
        read_ecg(path)
    assert str(path) in str(caught.value)


def test_times_that_drift_or_count_milliseconds(tmp_path):
    path = tmp_path / "own.csv"
    table().assign(t=TIME + 0.001 * TIME**2).to_csv(path, index=False)
    with pytest.raises(DataError, match="irregular in time: its rate changes"):
        read_ecg(path)
    table().assign(time=TIME * 1000).to_csv(path, index=False)
    with pytest.raises(DataError, match="says 0.5 Hz; if it counts milliseconds, name it 'ms'"):
        read_ecg(path)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((12, 12)), r"\(12, 12\) could be either way round for 12 leads"),
        (np.zeros((8, 500)), r"\(8, 500\) is neither"),
        (np.zeros((1, 12, 500)), r"\(1, 12, 500\) is neither"),
        (np.zeros(500), r"\(500,\) is neither"),
        (np.zeros((12, 0)), "holds no samples"),
        (np.full((12, 500), "a"), "<U1, no numbers"),
        (np.full((12, 500), None), "allow_pickle"),
    ],
)
def test_bad_arrays(tmp_path, array, message):
    np.save(tmp_path / "own.npy", array)
    with pytest.raises(DataError, match=message) as caught:
        read_ecg(tmp_path / "own.npy", fs=FS, leads=LEADS)
    assert str(tmp_path / "own.npy") in str(caught.value)


def test_archive_of_several_arrays(tmp_path):
    np.savez(tmp_path / "own.npz", a=SIGNAL, b=SIGNAL, fs=FS)
    with pytest.raises(DataError, match="holds a, b; call the signal 'signal'"):
        read_ecg(tmp_path / "own.npz", leads=LEADS)


@pytest.mark.parametrize("suffix", [".dat", ".edf", ".bdf", ".dcm", ".csv", ".npy", ".npz"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.01, 0.5, 0.999])
def test_files_cut_short(tmp_path, suffix, share):
    path = written(tmp_path, suffix)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    words = {"fs": FS, "leads": LEADS} if suffix in (".npy", ".npz") else {}
    with pytest.raises(DataError) as caught:
        read_ecg(path, **words)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", [".hea", ".edf", ".bdf", ".dcm", ".csv", ".npy", ".npz"])
def test_files_that_are_something_else(tmp_path, suffix):
    path = tmp_path / f"own{suffix}"
    path.write_bytes(np.random.default_rng(0).bytes(5000))
    with pytest.raises(DataError) as caught:
        read_ecg(path, fs=FS, leads=LEADS)
    assert str(path) in str(caught.value)


def test_dicom_without_waveform_or_unit(tmp_path):
    with pytest.raises(DataError, match="holds no waveform"):
        read_ecg(write_dicom(tmp_path / "own.dcm"))
    with pytest.raises(DataError, match="unit of I; pass units="):
        read_ecg(write_dicom(tmp_path / "own.dcm", group(SIGNAL, "RHYTHM", unit="")))


def test_edf_with_gaps(tmp_path):
    path = write_edf(
        tmp_path / "own.edf", annotations=[edfio.EdfAnnotation(0.0, None, "start")], data_record_duration=1
    )
    path.write_bytes(path.read_bytes().replace(b"+3\x14\x14", b"+9\x14\x14"))
    with pytest.raises(DataError, match="gaps in time"):
        read_ecg(path)


def test_paths_that_lead_nowhere(tmp_path):
    with pytest.raises(DataError, match="there is no file .*none.edf"):
        read_ecg(tmp_path / "none.edf")
    with pytest.raises(DataError, match="there is no file .*none, nor a WFDB record"):
        read_ecg(tmp_path / "none")
    (tmp_path / "own.dat").write_bytes(b"0" * 100)
    with pytest.raises(DataError, match="there is no .*own.hea beside it"):
        read_ecg(tmp_path / "own.dat")
    (tmp_path / "own.xml").write_text("<ecg/>")
    with pytest.raises(DataError, match="own.xml: no known format; .hea, "):
        read_ecg(tmp_path / "own.xml")


@pytest.mark.parametrize(("suffix", "library"), [(".edf", "edfio"), (".dcm", "pydicom")])
def test_missing_library(tmp_path, monkeypatch, suffix, library):
    path = written(tmp_path, suffix)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(AnyECGError, match=rf"needs {library}: pip install anyecg\[formats\]"):
        read_ecg(path)


def test_a_rate_that_is_no_number(tmp_path):
    np.save(tmp_path / "own.npy", SIGNAL)
    for fs in ("500", True, [500]):
        with pytest.raises(DataError, match="own.npy: fs=.* is no number of Hz; pass one such as fs=500"):
            read_ecg(tmp_path / "own.npy", fs=fs, leads=LEADS)
    assert read_ecg(tmp_path / "own.npy", fs=np.float32(500), leads=LEADS).fs == 500


@pytest.mark.parametrize("value", ["nan", "inf", ""])
def test_no_finite_number_at_all(tmp_path, value):
    (tmp_path / "own.csv").write_text("I,II\n" + f"{value},-inf\n" * 20)
    with pytest.raises(DataError, match="own.csv: not one of its samples is a finite number"):
        read_ecg(tmp_path / "own.csv", fs=100)


@pytest.mark.parametrize("leads", [["I", "I"], ["II", "MLII"], {"a": "V1", "b": "V1"}])
def test_one_lead_twice(tmp_path, caplog, leads):
    (tmp_path / "own.csv").write_text("a,b\n" + "1,2\n" * 20)
    with pytest.raises(DataError, match=r"own.csv: leads= makes two channels lead .*; name each lead once"):
        read_ecg(tmp_path / "own.csv", fs=100, leads=leads)
    (tmp_path / "own.csv").write_text("II,MLII\n" + "1,2\n" * 20)
    assert read_ecg(tmp_path / "own.csv", fs=100).leads == ("II", "MLII")  # the file's own words
    assert "II and MLII are both lead II; the first is used" in caplog.text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_table_in_utf_16(tmp_path, encoding):
    text = "II\tV1\n" + "0,5\t-0,25\n" * 20
    (tmp_path / "own.txt").write_bytes(
        text.encode(encoding) if encoding == "utf-16" else ("\ufeff" + text).encode(encoding)
    )
    record = read_ecg(tmp_path / "own.txt", fs=100)
    assert record.leads == ("II", "V1") and record.signal[:, 3].tolist() == [0.5, -0.25]


@pytest.mark.parametrize(("line", "said"), [
    ("Samples,2500", "pass fs="), ("Sample count: 2500", "pass fs="), ("Sampling time: 10", "pass fs="),
    ("Sample period,0.004", "pass fs="), ("Sampling duration,10", "pass fs="), ("Sample size,16", "pass fs="),
    ("Original sampling rate: 500 Hz\nSampling rate: 250 Hz", "more than one sampling rate"),
    ("Sampling rate: 0.25 Hz", "which no ECG has"),
])  # fmt: skip
def test_a_line_that_says_no_rate_is_taken_for_none(tmp_path, line, said):
    rows = "\n".join(f"{value:.4f},{-value:.4f}" for value in np.sin(np.arange(1000) / 30))
    (tmp_path / "own.csv").write_text(f"{line}\nI,II\n{rows}", "utf-8")
    with pytest.raises(DataError, match=said):
        read_ecg(tmp_path / "own.csv")


@pytest.mark.parametrize(
    "line", ["Sampling interval: 4 ms", "Sample period,0.004 s", "Sampling rate: 0.25 kHz", "Samples,250 Hz"]
)
def test_a_rate_or_a_period_with_its_unit(tmp_path, line):
    rows = "\n".join(f"{value:.4f},{-value:.4f}" for value in np.sin(np.arange(1000) / 30))
    (tmp_path / "own.csv").write_text(f"{line}\nI,II\n{rows}", "utf-8")
    assert read_ecg(tmp_path / "own.csv").fs == 250


@pytest.mark.parametrize("fs", [0.5, 250_000])
def test_a_rate_that_no_ecg_has(tmp_path, fs):
    np.save(tmp_path / "own.npy", np.zeros((2, 1000)))
    with pytest.raises(DataError, match="which no ECG has"):
        read_ecg(tmp_path / "own.npy", leads=["I", "II"], fs=fs)
