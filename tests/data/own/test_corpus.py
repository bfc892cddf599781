"""A folder of one's own recordings in several formats: what its table says becomes entries, and a dataset."""

import numpy as np
import pandas as pd
import pytest

from anyecg.data.__main__ import main
from anyecg.data.corpora import corpora
from anyecg.data.dataset.built import open_dataset
from anyecg.data.store.shards import build_store
from anyecg.simulate import ecg
from anyecg.types import CANONICAL_LEADS, DataError
from tests.data.own.clinical_files import muse, scp
from tests.data.own.own_files import FS, SIGNAL, group, table, write_dicom, write_edf, write_wfdb

KIND = corpora["table"]


def write_folder(root, patients=2, **columns):
    """Five recordings of five formats a patient and a table of them."""
    rows = []
    for number in range(patients):
        folder = root / f"p{number}"
        folder.mkdir(parents=True)
        write_wfdb(folder)
        write_edf(folder / "a.edf")
        write_dicom(folder / "b.dcm", group(SIGNAL, "RHYTHM"))
        table().assign(time=np.arange(SIGNAL.shape[1]) / FS).to_csv(folder / "c.csv", index=False)
        scp(folder / "d.scp")
        for file in ("own.hea", "a.edf", "b.dcm", "c.csv", "d.scp"):
            rows.append(
                {
                    "path": f"p{number}/{file}",
                    "patient": f"patient {number}",
                    "report": "Sinus rhythm. Normal ECG",
                    "labels": "sinus;normal" if file != "c.csv" else "sinus",
                    **{name: values[number] for name, values in columns.items()},
                }
            )
    pd.DataFrame(rows).to_csv(root / "records.csv", index=False)
    return root


def opened(root, **settings):
    return KIND(KIND.Config(root=str(root), **settings), root, "mine")


def test_every_row_is_an_entry_and_every_format_is_read(tmp_path):
    corpus = opened(write_folder(tmp_path / "ecgs"))
    entries = list(corpus.entries())
    assert [entry.id for entry in entries[:2]] == ["p0/own", "p0/a"]
    assert entries[0].statements == ("Sinus rhythm", "Normal ECG") and entries[0].labels == ("sinus", "normal")
    assert corpus.info() == {"labels": {"mine": {"normal": "normal", "sinus": "sinus"}}} and corpus.reports == "written"
    for entry in entries:
        record = corpus.read(entry)
        assert record.id == f"mine/{entry.id}" and record.patient == f"mine/{entry.patient}"
        assert record.fs == FS and set(record.leads) == set(CANONICAL_LEADS)
        assert all(path.is_file() for path in corpus.files(entry))
    store = build_store(corpus, tmp_path / "store", progress=False)
    assert (store.summary["records"], store.summary["skipped"]) == (10, 0)


def test_columns_of_other_names_and_a_table_of_semicolons(tmp_path):
    root = write_folder(tmp_path / "ecgs", fold=["train", "validation"])
    found = pd.read_csv(root / "records.csv").rename(
        columns={"path": "file", "patient": "subject", "report": "text", "labels": "dx"}
    )
    found.to_csv(root / "list.csv", index=False, sep=";")
    named = {"table": "list.csv", "path": "file", "patient": "subject", "report": "text", "labels": ["dx"]}
    entries = list(opened(root, **named, split="fold").entries())
    assert [entry.split for entry in entries] == ["train"] * 5 + ["val"] * 5
    assert entries[0].patient == "patient 0" and entries[3].labels == ("sinus",)
    with pytest.raises(DataError, match="list.csv has no column path; its columns are file, subject"):
        list(opened(root, table="list.csv").entries())
    with pytest.raises(DataError, match="has no column whom"):
        list(opened(root, **(named | {"patient": "whom"})).entries())
    with pytest.raises(DataError, match="none.csv is missing; set corpora.mine.table"):
        list(opened(root, table="none.csv").entries())


def test_rows_that_cannot_be_used(tmp_path):
    root = write_folder(tmp_path / "ecgs", split=["train", "test"])
    rows = pd.read_csv(root / "records.csv")
    rows.loc[1, "path"], rows.loc[2, "split"], rows.loc[3, "path"] = "", "dev set", "p0/none.edf"
    rows.to_csv(root / "records.csv", index=False)
    corpus = opened(root)
    store = build_store(corpus, tmp_path / "store", progress=False)
    assert (store.summary["records"], store.summary["skipped"]) == (7, 3)
    reasons = " ".join(pd.read_csv(tmp_path / "store" / "skipped.csv")["reason"])
    assert "line 3: its path is empty" in reasons and "its split is 'dev set'" in reasons and "none.edf" in reasons


def test_a_patient_in_two_splits(tmp_path):
    root = write_folder(tmp_path / "ecgs", split=["train", "test"])
    rows = pd.read_csv(root / "records.csv").assign(patient="one")
    rows.to_csv(root / "records.csv", index=False)
    with pytest.raises(DataError, match=r"patient one has recordings in train and in test \(records.csv, line 7\)"):
        list(opened(root).entries())


@pytest.mark.parametrize(("cells", "found", "said"), [
    (["03/04/2020", "13/04/2020"], ["2020-04-03", "2020-04-13"], ""), (["04/03/2020 10:00", "04/13/2020 11:00"], ["2020-04-03T10:00", "2020-04-13T11:00"], ""),
    (["03.04.2020", "05.06.2021"], ["2020-04-03", "2021-06-05"], ""), (["03/04/2020", "04/05/2020"], ["", ""], "day or month first"),
    (["2020-04-03", "43894"], ["2020-04-03", ""], "'43894' is no date"),
])  # fmt: skip
def test_dates_are_read_in_one_order_or_not_at_all(tmp_path, caplog, cells, found, said):
    pd.DataFrame({"path": ["a.npy", "b.npy"], "time": cells}).to_csv(tmp_path / "records.csv", index=False)
    times = [entry.time for entry in opened(tmp_path).entries()]
    assert [pd.Timestamp(time) for time in times if time] == [pd.Timestamp(time) for time in found if time]
    assert [bool(time) for time in times] == [bool(time) for time in found]
    assert said in caplog.text and bool(caplog.text) == bool(said)


def test_a_recording_of_two_patients_and_rows_without_one(tmp_path, caplog):
    rows = {"path": ["a.npy", "b.npy", "a.npy"], "id": ["1", "2", "3"], "patient": ["p", "", "q"]}
    pd.DataFrame(rows).to_csv(tmp_path / "records.csv", index=False)
    with pytest.raises(DataError, match=r"a.npy is a recording of patient p and of q \(records.csv, line 4\)"):
        list(opened(tmp_path).entries())
    assert "column patient is empty in 1 of 3 rows" in caplog.text


def test_what_the_files_do_not_say(tmp_path):
    np.save(tmp_path / "a.npy", SIGNAL * 1000)
    (tmp_path / "records.csv").write_text("path\na.npy\n")
    corpus = opened(tmp_path, fs=500, leads=list(CANONICAL_LEADS), units="uV")
    entry = next(iter(corpus.entries()))
    np.testing.assert_allclose(corpus.read(entry).signal, SIGNAL, atol=1e-4)
    assert entry.patient == "a.npy" and entry.statements == () and corpus.reports == ""


def write_rhythms(root, patients=30):
    """Twenty patients with a slow or a fast rhythm in MUSE's XML or a table."""
    root.mkdir()
    rows = []
    for number in range(patients):
        label = ("sinus_bradycardia", "sinus_tachycardia")[number % 2]
        signal = ecg([label], seconds=10, fs=250, seed=number)[0]
        path = root / f"{number}.csv"
        table(signal=signal).assign(time=np.arange(signal.shape[1]) / 250).to_csv(
            path, index=False, float_format="%.4f"
        )
        split = "train" if number < 18 else "val" if number < 22 else "test"
        rows.append((path.name, f"p{number}", label.replace("_", " ").capitalize(), label, split))
    pd.DataFrame(rows, columns=["path", "patient", "report", "labels", "split"]).to_csv(
        root / "records.csv", index=False
    )


@pytest.mark.slow
def test_a_folder_becomes_a_dataset_through_the_command_line(tmp_path, capsys):
    write_rhythms(tmp_path / "ecgs", patients=26)
    slot = f"corpora.mine={{name: table, root: {tmp_path / 'ecgs'}, table: records.csv}}"
    others = [
        f"corpora.{name}=null" for name in ("mimic", "ptbxl", "mit_bih_arrhythmia", "mit_bih_st", "european_st_t")
    ]
    status = main(["build", "--to", str(tmp_path / "set"), "--workers", "0", slot, *others])
    assert status == 0, capsys.readouterr().out
    data = open_dataset(tmp_path / "set")
    mine = next(store for store in data.stores if store.summary["corpus"] == "mine")
    assert mine.summary["records"] == 26 and mine.summary["skipped"] == 0
    assert any(sample.records[0].record.startswith("mine/") for sample in data.questions)


def test_muse_in_a_folder(tmp_path):
    muse(tmp_path / "a.xml")
    (tmp_path / "records.csv").write_text("path,patient\na.xml,x\nb.xml,y\n")
    corpus = opened(tmp_path)
    first, second = corpus.entries()
    assert corpus.read(first).leads == CANONICAL_LEADS
    with pytest.raises(DataError, match="there is no file .*b.xml"):
        corpus.read(second)
