"""Readers of the sources: what they list, how they split, and what they say of broken files."""

import numpy as np
import pandas as pd
import pytest

from anyecg.data.corpora import corpora
from anyecg.data.corpora.annotated import DS1, DS2
from anyecg.data.corpora.base import BEATS, split_by_patient
from anyecg.data.corpora.mimic import clean
from anyecg.data.dataset.card import remarks
from anyecg.data.store.preprocess import canonical
from anyecg.data.store.shards import build_store
from anyecg.simulate import simulate
from anyecg.types import DataError
from tests.data.native import REAL, beat_train, real_data, write_annotated

PACED = {"102", "104", "107", "217"}


def opened(name, root, **settings):
    kind = corpora[name]
    return kind(kind.Config(root=str(root), **settings), root)


@pytest.fixture(scope="module")
def mimic(tmp_path_factory):
    root = tmp_path_factory.mktemp("mimic") / "set"
    simulate("mimic", root, patients=12, seed=3, workers=1, progress=False)
    return opened("mimic", root)


def disjoint(entries):
    splits = {}
    for entry in entries:
        assert splits.setdefault(entry.patient, entry.split) == entry.split
    return set(splits.values())


def test_mimic_leads_are_found_by_name_not_by_place(mimic):
    record = mimic.read(list(mimic.entries())[0])
    assert record.leads[3:6] == ("aVR", "aVF", "aVL")  # as the source has them
    signal, mask, _ = canonical(record)  # noqa: RUF059
    assert mask.all()
    good = [canonical(mimic.read(entry))[0] for entry in list(mimic.entries())]
    residual = [np.abs(s[4] - (s[0] - s[1] / 2)).max() for s in good]  # aVL = I - II / 2
    assert np.median(residual) < 0.05


def test_mimic_index(mimic):
    entries = list(mimic.entries())
    assert disjoint(entries) == {"train", "val", "test"}
    assert len({entry.id for entry in entries}) == len(entries)
    for entry in entries:
        assert not any(s.endswith(".") or "Warning" in s or "EKG" in s or not s for s in entry.statements)
    by_patient = pd.DataFrame(entries).groupby("patient")["time"]
    assert all(times.is_monotonic_increasing for _, times in by_patient)


def test_statements_are_cleaned():
    told = [
        "Sinus rhythm.",
        "--- Warning: Data quality may affect interpretation ---",
        "** Unconfirmed **",
        "  ",
        "Normal EKG ",
        "Poor data quality, interpretation may be adversely affected",
        "Report not available",
        "Left axis deviation",
    ]
    assert [text for line in told if (text := clean(line))] == ["Sinus rhythm", "Normal ECG", "Left axis deviation"]


def test_mimic_reports_with_commas_quotes_and_none(tmp_path):
    (tmp_path / "record_list.csv").write_text(
        "subject_id,study_id,file_name,ecg_time,path\n1,11,11,2180-01-02 03:04:05,files/a\n1,12,12,not a "
        "date,files/b\n1,11,11,2180-01-02 03:04:05,files/a\n"
    )
    (tmp_path / "machine_measurements.csv").write_text(
        'subject_id,study_id,report_0,report_1\n1,11,"T wave changes, ""lateral""",\n'
    )
    first, again, second = sorted(opened("mimic", tmp_path).entries(), key=lambda entry: entry.id)
    assert again == first  # the index of a store takes it once
    assert first.statements == ('T wave changes, "lateral"',) and first.time == "2180-01-02T03:04:05"
    assert second.statements == () and second.time == ""


@pytest.mark.parametrize("rows", [1, 5])
def test_a_quote_that_is_not_closed_is_told_and_takes_no_reports_with_it(tmp_path, rows):
    simulate("mimic", tmp_path / "set", patients=6, seed=3, workers=1, progress=False)
    path = tmp_path / "set" / "machine_measurements.csv"
    lines = path.read_text().splitlines()
    cells, last = lines[2].split(","), lines[2 + rows].split(",")
    cells[4], last[4] = '"Sinus rhythm', 'regular"'
    path.write_text(
        "\n".join([*lines[:2], ",".join(cells), *lines[3 : 2 + rows], ",".join(last), *lines[3 + rows :]]) + "\n"
    )
    with pytest.raises(
        DataError,
        match="machine_measurements.csv: a statement that begins with 'Sinus rhythm.* goes on over the row of study .*not closed",
    ):
        list(opened("mimic", tmp_path / "set").entries())


def test_recordings_without_a_row_in_the_table_of_reports_are_counted(tmp_path, caplog):
    simulate("mimic", tmp_path / "set", patients=6, seed=3, workers=1, progress=False)
    path = tmp_path / "set" / "machine_measurements.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-2]))
    entries = list(opened("mimic", tmp_path / "set").entries())
    assert f"2 of {len(entries)} recordings have no row in {path}" in caplog.text


@real_data
def test_ptbxl_real():
    corpus = opened("ptbxl", REAL / "ptbxl")
    entries = list(corpus.entries())
    assert len(entries) == 434 and disjoint(entries) == {"train", "val", "test"}
    assert sum(entry.split == "test" for entry in entries) == 81  # fold 9, as fold 10 is left out
    assert entries[0].statements == (
        "Normal ECG",
        "Low QRS voltages in the frontal and horizontal leads",
        "Sinus rhythm",
    )
    record = corpus.read(entries[0])
    assert record.signal.shape == (12, 1000) and record.fs == 100 and record.id == "ptbxl/1"
    assert {len(codes) for name, codes in corpus.info()["labels"].items() if name in ("super", "form", "rhythm")} == {
        5,
        19,
        12,
    }
    assert list(opened("ptbxl", REAL / "ptbxl", report="text").entries())[0].statements == (
        "sinusrhythmus periphere niederspannung",
    )


def test_ptbxl_simulated(tmp_path):
    simulate("ptbxl", tmp_path / "set", patients=40, seed=1, workers=1, progress=False)
    entries = list(opened("ptbxl", tmp_path / "set").entries())
    folds = pd.read_csv(tmp_path / "set" / "ptbxl_database.csv").set_index("ecg_id")["strat_fold"]
    expected = {10: "test", 9: "val"} if (folds == 10).any() else {9: "test", 8: "val"}
    assert all(entry.split == expected.get(folds[int(entry.id)], "train") for entry in entries)
    assert len(list(opened("ptbxl", tmp_path / "set", limit=3).entries())) == 3
    table = pd.read_csv(tmp_path / "set" / "ptbxl_database.csv")
    table.loc[0, "scp_codes"] = "{'IMI': 0.0, 'NORM': 35.0, 'SR': 0.0}"  # 0 is a likelihood that nobody knows
    table.to_csv(tmp_path / "set" / "ptbxl_database.csv", index=False)
    assert next(iter(opened("ptbxl", tmp_path / "set").entries())).labels == ("IMI", "NORM", "SR")


@real_data
def test_mitdb_real():
    corpus = opened("mit_bih_arrhythmia", REAL / "mitdb")
    entries = list(corpus.entries())
    assert len(entries) == 26 and disjoint(entries) == {"train", "val", "test"}
    entry = next(entry for entry in entries if entry.id == "201")
    annotations, beats = corpus.annotations(entry), corpus.beats(entry)
    assert {"+", "~"} <= {symbol for _, symbol in annotations} and {symbol for _, symbol in beats} <= BEATS
    assert len(beats) == 1963  # the database's directory counts 2000 with its 37 non-conducted P waves
    assert annotations == sorted(annotations, key=lambda pair: pair[0])
    assert corpus.read(entry).signal.shape == (2, 650000)


def test_records_of_one_patient_stay_together(tmp_path):
    for name in ("100", "101", "103", "201", "202", "205"):
        write_annotated(tmp_path, name)
    entries = {entry.id: entry for entry in list(opened("mit_bih_arrhythmia", tmp_path).entries())}
    assert entries["201"].patient == entries["202"].patient == "201" and entries["201"].split == entries["202"].split


def test_records_of_one_european_subject_stay_together(tmp_path):
    names = [
        f"e0{number}"
        for number in (
            103,
            104,
            118,
            119,
            121,
            122,
            123,
            124,
            125,
            126,
            129,
            133,
            136,
            139,
            147,
            148,
            154,
            155,
            162,
            163,
            206,
            210,
        )
    ]
    for name in names:
        (tmp_path / f"{name}.hea").write_text("")
    entries = list(opened("european_st_t", tmp_path).entries())
    disjoint(entries)
    patients = {entry.id: entry.patient for entry in entries}
    assert len(set(patients.values())) == 2 + 8 and {
        patients[name] for name in ("e0118", "e0119", "e0121", "e0122")
    } == {"e0118"}
    (tmp_path / "SIMULATED.json").write_text("{}")  # its records have the same names, and a patient each
    assert len({entry.patient for entry in opened("european_st_t", tmp_path).entries()}) == len(names)


def test_inter_patient_halves_share_no_patient(tmp_path):
    hundreds = [*range(100, 110), *range(111, 120), *range(121, 125)]
    for number in [
        *hundreds,
        *range(200, 204),
        205,
        *range(207, 211),
        *range(212, 216),
        217,
        *range(219, 224),
        228,
        *range(230, 235),
    ]:
        (tmp_path / f"{number}.hea").touch()
    assert len(list(tmp_path.iterdir())) == 48
    entries = list(opened("mit_bih_arrhythmia", tmp_path, split="inter_patient").entries())
    assert disjoint(entries) == {"train", "val", "test"}
    split = {entry.id: entry.split for entry in entries}
    assert {name for name in split if split[name] == "test"} == DS2 and len(DS2) == 22
    assert {name for name in split if split[name] != "test"} == DS1 - {"201"} | PACED and len(
        DS1
    ) == 22  # 201 is the patient of 202
    assert {name for name in split if split[name] == "val"} < DS1 and sum(
        value == "val" for value in split.values()
    ) == 2
    again = {
        entry.id: entry.split
        for entry in opened("mit_bih_arrhythmia", tmp_path, split="inter_patient", seed=1).entries()
    }
    assert again.keys() == split.keys() and again != split and {name for name in again if again[name] == "test"} == DS2
    for name in DS1 | PACED:
        (tmp_path / f"{name}.hea").unlink()
    assert {entry.split for entry in opened("mit_bih_arrhythmia", tmp_path, split="inter_patient").entries()} == {
        "test"
    }
    with pytest.raises(DataError, match="split is 'patients' or 'inter_patient', not 'halves'"):
        opened("mit_bih_arrhythmia", tmp_path, split="halves").entries()
    for name in DS2:
        (tmp_path / f"{name}.hea").unlink()
    with pytest.raises(DataError, match="lists no recording"):
        opened("mit_bih_arrhythmia", tmp_path, split="inter_patient").entries()


@real_data
def test_inter_patient_where_a_half_is_absent(caplog):
    split = {
        entry.id: entry.split for entry in opened("mit_bih_arrhythmia", REAL / "mitdb", split="inter_patient").entries()
    }
    assert split.keys() == DS1 | PACED and set(split.values()) == {"train", "val"} and "no test split" in caplog.text
    assert {split[name] for name in PACED} == {"train"}


@pytest.mark.parametrize("count", range(1, 12))
def test_no_split_is_empty(count):
    splits = split_by_patient(map(str, range(count)), (0.6, 0.1, 0.3), seed=0)
    assert len(splits) == count and len(set(splits.values())) == min(count, 3)
    assert splits == split_by_patient(map(str, reversed(range(count))), (0.6, 0.1, 0.3), seed=0)


def test_leads_without_a_name(tmp_path):
    corpus = opened("mit_bih_st", write_annotated(tmp_path, "300", leads=("ECG", "ECG")))
    _, mask, _ = canonical(corpus.read(list(corpus.entries())[0]))
    assert np.flatnonzero(mask).tolist() == [1, 6]
    store = build_store(corpus, tmp_path / "store", progress=False)
    assert store.summary["assumed_leads"] == {"II": 1, "V1": 1} and store.records["assumed_leads"].tolist()[
        0
    ].tolist() == ["II", "V1"]
    assert "taken for: II (1), V1 (1)" in "\n".join(remarks({"mit_bih_st": store.summary}))


def test_leads_without_a_name_are_assumed_by_no_other_corpus(tmp_path):
    write_annotated(tmp_path / "source", "300", leads=("ECG", "V5"))
    store = build_store(opened("mit_bih_arrhythmia", tmp_path / "source"), tmp_path / "store", progress=False)
    assert (
        store.summary["unknown_leads"] == {"ECG": 1}
        and store.summary["assumed_leads"] == {}
        and store.records["lead_mask"].tolist() == [1 << 10]
    )


def test_units_become_millivolts(tmp_path):
    signal = beat_train()
    corpus = opened("mit_bih_arrhythmia", write_annotated(tmp_path, "1", signal * 1000, units="uV", gain=0.4))
    assert np.abs(corpus.read(list(corpus.entries())[0]).signal - signal).max() < 2e-3


def test_annotations_out_of_order_are_ordered(tmp_path, monkeypatch):
    corpus = opened("mit_bih_arrhythmia", write_annotated(tmp_path, "1"))
    rdann = __import__("wfdb").rdann

    def shuffled(*args):
        annotation = rdann(*args)
        annotation.sample, annotation.symbol = annotation.sample[::-1], annotation.symbol[::-1]
        return annotation

    monkeypatch.setattr("anyecg.data.corpora.annotated.wfdb.rdann", shuffled)
    assert corpus.annotations(list(corpus.entries())[0]) == [(0.5, "N"), (1.5, "V"), (2.5, "N")]
    store = build_store(corpus, tmp_path / "store", progress=False)
    assert (
        list(store.records.loc["mit_bih_arrhythmia/1"]["annotation_times"]) == [0.5, 1.5, 2.5]
        and store.summary["disordered"] == 2
    )
    monkeypatch.undo()
    assert "disordered" not in build_store(corpus, tmp_path / "again", progress=False).summary


def test_missing_root_names_key_and_path(tmp_path):
    with pytest.raises(DataError, match=r"nowhere.*corpora\.ptbxl\.root"):
        opened("ptbxl", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mimic", "record_list.csv is missing"),
        ("ptbxl", "ptbxl_database.csv is missing"),
        ("european_st_t", "lists no recording"),
    ],
)
def test_empty_root(tmp_path, name, message):
    with pytest.raises(DataError, match=message):
        list(opened(name, tmp_path).entries())


def cut_short(root):
    with (root / "1.dat").open("r+b") as file:
        file.truncate(4001)


@pytest.mark.parametrize(
    "spoil",
    [
        cut_short,
        lambda root: (root / "1.dat").unlink(),
        lambda root: (root / "1.dat").write_bytes(b""),
        lambda root: (root / "1.hea").write_text("not a header\n"),
    ],
    ids=["cut short", "no signal", "empty", "no header"],
)
def test_broken_record_is_named(tmp_path, spoil):
    corpus = opened("mit_bih_arrhythmia", write_annotated(tmp_path, "1"))
    entry = list(corpus.entries())[0]
    spoil(tmp_path)
    with pytest.raises(DataError, match=str(tmp_path / "1")):
        corpus.read(entry)


def test_missing_annotations_are_named(tmp_path):
    corpus = opened("mit_bih_arrhythmia", write_annotated(tmp_path, "1", beats=()))
    with pytest.raises(DataError, match="1.atr"):
        corpus.annotations(list(corpus.entries())[0])
