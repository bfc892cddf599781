"""A user's own ECG: every format gives back the signal that was written."""

import logging
import struct

import edfio
import numpy as np
import pandas as pd
import pytest
import wfdb
from pydicom.data import get_testdata_file

from anyecg.data.corpora import corpora
from anyecg.data.own import read_ecg
from anyecg.data.own.channels import lead_name
from anyecg.types import DataError
from tests.data.native import REAL, real_data
from tests.data.own.own_files import FS, LEADS, SIGNAL, TIME, equals, group, table, write_dicom, write_edf, write_wfdb


def test_wfdb_by_header_signal_file_and_name(tmp_path):
    header = write_wfdb(tmp_path)
    for path in (header, tmp_path / "own.dat", str(tmp_path / "own")):
        assert equals(read_ecg(path), 0.001) and read_ecg(path).id == "own"


def test_wfdb_matlab_file(tmp_path):
    write_wfdb(tmp_path)
    header = tmp_path / "own.hea"
    samples = (tmp_path / "own.dat").read_bytes()
    matlab = struct.pack("<5i4s", 30, 12, SIGNAL.shape[1], 0, 4, b"val\0")
    (tmp_path / "own.mat").write_bytes(matlab + samples)
    (tmp_path / "own.dat").unlink()
    header.write_text(header.read_text().replace("own.dat 16", "own.mat 16+24"))
    assert equals(read_ecg(tmp_path / "own.mat"), 0.001)


def test_wfdb_invalid_samples_and_other_units(tmp_path):
    spoilt = SIGNAL.copy()
    spoilt[3, 40:55] = np.nan
    assert equals(read_ecg(write_wfdb(tmp_path, spoilt)), 0.001, signal=spoilt)
    assert equals(
        read_ecg(write_wfdb(tmp_path, np.rint(SIGNAL[:2] * 1000) / 1000, LEADS[:2], units="uV")),
        1e-6,
        LEADS[:2],
        np.rint(SIGNAL[:2] * 1000) / 1e6,
    )


def test_wfdb_signals_of_several_samples_a_frame(tmp_path):
    fast = [SIGNAL[1], SIGNAL[6], SIGNAL[7, ::4]]
    wfdb.wrsamp(
        "own",
        FS / 4,
        ["mV"] * 3,
        ["II", "V1", "V2"],
        e_p_signal=fast,
        samps_per_frame=[4, 4, 1],
        fmt=["16"] * 3,
        adc_gain=[1000.0] * 3,
        baseline=[0] * 3,
        write_dir=str(tmp_path),
    )
    assert equals(read_ecg(tmp_path / "own"), 0.001, ("II", "V1"), SIGNAL[[1, 6]])  # not averaged down to 125 Hz


def test_wfdb_of_several_segments(tmp_path):
    for name, part in (("first", SIGNAL[:, :1000]), ("second", SIGNAL[:, 1000:])):
        write_wfdb(tmp_path, part, name=name)
    (tmp_path / "own.hea").write_text(f"own/4 12 {FS:g} 3500\nlayout 0\nfirst 1000\n~ 500\nsecond 2000\n")
    (tmp_path / "layout.hea").write_text(
        f"layout 12 {FS:g} 0\n" + "".join(f"~ 0 1000/mV 16 0 0 0 0 {lead}\n" for lead in LEADS)
    )
    gap = np.full((12, 500), np.nan)
    assert equals(
        read_ecg(tmp_path / "own"), 0.001, signal=np.concatenate([SIGNAL[:, :1000], gap, SIGNAL[:, 1000:]], axis=1)
    )


@real_data
@pytest.mark.parametrize(("corpus", "folder"), [("ptbxl", "ptbxl"), ("mit_bih_arrhythmia", "mitdb")])
def test_real_records_equal_what_the_corpus_reads(corpus, folder):
    kind = corpora[corpus]
    source = kind(kind.Config(root=str(REAL / folder), limit=1), REAL / folder)
    entry = next(iter(source.entries()))
    theirs, own = (
        source.read(entry),
        read_ecg(REAL / folder / entry.path, id=f"{corpus}/{entry.id}", patient=f"{corpus}/{entry.patient}"),
    )
    assert np.array_equal(own.signal, theirs.signal, equal_nan=True)
    assert (own.fs, own.leads, own.id, own.patient) == (theirs.fs, theirs.leads, theirs.id, theirs.patient)


@pytest.mark.parametrize(("suffix", "step"), [(".edf", 16 / 2**16), (".bdf", 16 / 2**24), (".EDF", 16 / 2**16)])
def test_edf(tmp_path, suffix, step):
    path = write_edf(tmp_path / f"own{suffix}")
    assert equals(read_ecg(path), step)
    path.write_bytes(path.read_bytes().replace(b"uV      ", b"\xb5V      "))  # as devices spell it
    assert equals(read_ecg(path), step)


def test_edf_takes_the_leads_of_most_channels_rate(tmp_path, caplog):
    slow = np.zeros(600)
    signals = [
        ("EKG II", SIGNAL[1], FS, "mV"),
        ("EEG Fpz-Cz", slow, 100.0, "uV"),
        ("V3", slow, 100.0, "mV"),
        ("EKG V1", SIGNAL[6], FS, "mV"),
    ]
    path = write_edf(tmp_path / "sleep.edf", signals, annotations=[edfio.EdfAnnotation(1.0, None, "Apnea")])
    with caplog.at_level(logging.WARNING):
        record = read_ecg(path)
    assert equals(record, 16000 / 2**16, ("II", "V1"), SIGNAL[[1, 6]])
    assert "EEG Fpz-Cz" in caplog.text and "V3 (100 Hz)" in caplog.text


def test_leads_may_pick_and_name_a_few_channels(tmp_path):
    signals = [(f"EEG {k}", np.zeros(3000), FS, "uV") for k in range(5)] + [("X1-X2", SIGNAL[1] * 1000, FS, "uV")]
    path = write_edf(tmp_path / "own.edf", signals)
    assert equals(read_ecg(path, leads={"X1-X2": "II"}), 16 / 2**16, ("II",), SIGNAL[[1]])
    with pytest.raises(DataError, match="leads= names X9; its channels are EEG 0, .*X1-X2"):
        read_ecg(path, leads={"X9": "II"})


def test_dicom_takes_the_rhythm_and_no_identity(tmp_path):
    longer = np.zeros((12, 9000))
    path = write_dicom(tmp_path / "own.dcm", group(longer, "MEDIAN BEAT"), group(SIGNAL, "RHYTHM"))
    record = read_ecg(path)
    assert equals(record, 0.0025) and record.patient == "" and record.id == "own"
    assert read_ecg(path, patient="p7").patient == "p7"
    path.rename(tmp_path / "IM000001")
    assert equals(read_ecg(tmp_path / "IM000001"), 0.0025)  # known by its content


@pytest.mark.parametrize(
    "options",
    [
        {"unit": "mV"},
        {"baseline": 50.0},
        {"meaning": "{}"},
        {"meaning": "{}, augmented voltage"},
        {"meaning": "Lead {} (Einthoven)"},
        {"meaning": "MDC_ECG_LEAD_{}"},
    ],
)
def test_dicom_scale_and_names(tmp_path, options):
    assert equals(
        read_ecg(write_dicom(tmp_path / "own.dcm", group(SIGNAL[:, :1000], "short"), group(SIGNAL, "long", **options))),
        0.0025,
    )


def test_dicom_code_where_the_meaning_is_in_another_language(tmp_path):
    made = group(SIGNAL[:2], "RHYTHM", LEADS[:2], meaning="Ableitung {}")
    for channel, code in zip(made.ChannelDefinitionSequence, ("2:1", "5.6.3-9-2")):
        channel.ChannelSourceSequence[0].CodeValue = code
    assert equals(read_ecg(write_dicom(tmp_path / "own.dcm", made)), 0.0025, LEADS[:2], SIGNAL[:2])


def test_dicom_padding_is_no_sample(tmp_path):
    spoilt = SIGNAL.copy()
    spoilt[:, -30:] = np.nan
    assert equals(
        read_ecg(write_dicom(tmp_path / "own.dcm", group(spoilt, "RHYTHM", padding=-32768))), 0.0025, signal=spoilt
    )


def test_dicom_of_a_device():
    path = get_testdata_file("waveform_ecg.dcm")
    record = read_ecg(path)
    assert record.leads == LEADS and record.fs == 1000 and record.signal.shape == (12, 10000)
    np.testing.assert_allclose(record.signal[1] - record.signal[0], record.signal[2], atol=0.005)  # Einthoven


@pytest.mark.parametrize(
    ("suffix", "write"),
    [
        (".csv", lambda path: table().assign(time=TIME).to_csv(path, index=False)),
        (".csv", lambda path: table().assign(note="a, b").set_index(pd.Index(TIME * 1000, name="ms")).to_csv(path)),
        (".csv", lambda path: table().set_index(pd.Index(np.char.mod("%.3f", TIME + 7), name="Time [s]")).to_csv(path)),
        (
            ".csv",
            lambda path: (table() * 1000).rename(columns="{} (uV)".format).assign(t=TIME).to_csv(path, index=False),
        ),
        (
            ".csv",
            lambda path: (
                (table() * 1000).rename(columns="{}[\u00b5V]".format).assign(t=TIME).to_csv(path, encoding="latin-1")
            ),
        ),
        (
            ".csv",
            lambda path: (
                (table() / 1000)
                .rename(columns="{}_V".format)
                .assign(t=TIME)
                .to_csv(path, index=False, sep=";", decimal=",")
            ),
        ),
        (".tsv", lambda path: table().assign(time=TIME).to_csv(path, index=False, sep="\t", lineterminator="\r\n")),
        (
            ".txt",
            lambda path: np.savetxt(
                path, np.c_[TIME, SIGNAL.T * 1000], header="time (s) " + " ".join(f"{lead} (uV)" for lead in LEADS)
            ),
        ),
        (".csv", lambda path: path.write_text("# units: uV\n" + (table() * 1000).assign(t=TIME).to_csv(index=False))),
        (
            ".csv",
            lambda path: path.write_text(  # WFDB's rdsamp
                f"'Elapsed time',{','.join(map(repr, LEADS))}\n'seconds',{','.join(['mV'] * 12)}\n"
                + table().set_index(TIME).to_csv(header=False)
            ),
        ),
    ],
)
def test_tables_that_say_everything(tmp_path, suffix, write):
    path = tmp_path / f"own{suffix}"
    write(path)
    assert equals(read_ecg(path), 1e-6)


def test_tables_that_say_little(tmp_path):
    path = tmp_path / "own.csv"
    table().to_csv(path, header=False, index=False)
    assert equals(read_ecg(path, fs=FS, leads=LEADS), 1e-6)
    table().set_axis(range(12), axis=1).to_csv(path, index=False)  # pandas counts the columns
    assert equals(read_ecg(path, fs=500, leads=LEADS), 1e-6)
    (table() * 1000).to_csv(path, index=False)
    assert equals(read_ecg(path, fs=FS, units="uV"), 1e-6)
    np.savetxt(path, SIGNAL[1])
    assert equals(read_ecg(path, fs=FS, leads="II"), 1e-6, ("II",), SIGNAL[[1]])


WATCH = {  # how an Apple Watch says rate, lead and unit
    "English": ("Sample Rate,512 hertz", "Lead,Lead I", "Unit,µV"),
    "German": ("Messrate,512 Hertz", "Ableitung,Ableitung I", "Einheit,µV"),
    "French": ("Fréquence d’échantillonnage,512 hertz", "Dérivation,Dérivation I", "Unité,µV"),
    "Spanish": ("Frecuencia de muestreo,512 hercios", "Derivación,Derivación I", "Unidad,µV"),
    "Italian": ("Frequenza di campionamento,512 hertz", "Derivazione,Derivazione I", "Unità,µV"),
    "Dutch": ("Meetfrequentie,512 hertz", "Afleiding,Afleiding I", "Eenheid,µV"),
}


@pytest.mark.parametrize("comma", [False, True])
@pytest.mark.parametrize("language", WATCH)
def test_a_watchs_export_in_languages_of_points_and_of_commas(tmp_path, language, comma):
    rows = [f"{value * 1000:.3f}".replace(".", "," if comma else ".") for value in SIGNAL[0, :1000]]
    rate, lead, unit = WATCH[language]
    (tmp_path / "own.csv").write_text("\n".join(["Name,A. N.", "x,", rate, "", "", lead, unit, "", *rows]), "utf-8")
    record = read_ecg(tmp_path / "own.csv")
    assert (record.leads, record.fs, record.notes) == (("I",), 512.0, ())
    np.testing.assert_allclose(record.signal[0], SIGNAL[0, :1000], atol=1e-6)


def test_table_cells_without_a_value_are_invalid(tmp_path):
    spoilt = SIGNAL.copy()
    spoilt[2, 10:20] = np.nan
    table(signal=spoilt).assign(t=TIME).to_csv(tmp_path / "own.csv", index=False)
    assert equals(read_ecg(tmp_path / "own.csv"), 1e-6, signal=spoilt)


@pytest.mark.parametrize("fs", [128.0, 360.0, 500.0, 1000.0, 257.5])
def test_rate_from_times_rounded_to_milliseconds(tmp_path, fs):
    times = np.round(np.arange(3000) / fs, 3)
    table().assign(t=times).to_csv(tmp_path / "own.csv", index=False)
    assert read_ecg(tmp_path / "own.csv").fs == (fs if fs != 257.5 else pytest.approx(fs, rel=1e-4))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_numpy_either_way_round(tmp_path, dtype):
    for signal in (SIGNAL, SIGNAL.T):
        np.save(tmp_path / "own.npy", signal.astype(dtype))
        assert equals(read_ecg(tmp_path / "own.npy", fs=FS, leads=LEADS), 1e-6)
    np.save(tmp_path / "own.npy", SIGNAL[1])
    assert equals(read_ecg(tmp_path / "own.npy", fs=FS, leads=["II"]), 1e-6, ("II",), SIGNAL[[1]])
    spoilt = np.where(SIGNAL > 0.5, np.inf, SIGNAL)
    np.save(tmp_path / "own.npy", spoilt)
    assert np.array_equal(np.isnan(read_ecg(tmp_path / "own.npy", fs=FS, leads=LEADS).signal), SIGNAL > 0.5)


def test_numpy_archive(tmp_path):
    path = tmp_path / "own.npz"
    np.savez(path, ecg=SIGNAL.T * 1000, fs=FS, leads=np.array(LEADS), units="uV")
    assert equals(read_ecg(path), 1e-6)
    np.savez_compressed(path, signal=SIGNAL, beats=np.arange(5))
    assert equals(read_ecg(path, fs=FS, leads=LEADS), 1e-6)


@pytest.mark.parametrize(
    ("name", "lead"),
    [
        ("ECG II", "II"),
        ("EKG-V1", "V1"),
        ("ECG_lead_II", "II"),
        ("MLII", "MLII"),
        ("'V5'", "V5"),
        ("EKG", "ECG"),
        ("ekg 2", "ECG2"),
        ("aVR, augmented voltage, right", "aVR"),
        ("ECG -aVR", None),
        ("Derived Lead I", None),
        ("Resp", None),
        ("", None),
    ],
)
def test_lead_names(name, lead):
    assert lead_name(name) == lead
