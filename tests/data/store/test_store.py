"""The store: bit-exact, resumable, the same whatever builds it, and never lost to a bad record."""

import errno
import fcntl
import json
import multiprocessing
import os
import pickle
import signal as signals
import threading
import time
import tracemalloc

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from anyecg.data.corpora.annotated import MITBIHArrhythmia
from anyecg.data.dataset.card import remarks
from anyecg.data.store import shards
from anyecg.data.store.preprocess import canonical
from anyecg.data.store.shards import LOCK, build_store, locked
from anyecg.data.store.store import FORMAT, Store, Stores
from anyecg.types import DataError, Window
from tests.data.native import REAL, beat_train, real_data, write_annotated


def corpus(root):
    return MITBIHArrhythmia(MITBIHArrhythmia.Config(root=str(root)), root)


@pytest.fixture
def source(tmp_path):
    """Ten records of half a minute, three shards."""
    for k in range(10):
        write_annotated(
            tmp_path / "source",
            f"{k + 100}",
            beat_train(30 + k, seed=k),
            beats=((0.5, "N"), (1.5, "V"), (2.5, "+"), (3.5, "N")),
        )
    return corpus(tmp_path / "source")


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name not in (".lock",)}


def test_read_back_is_bit_exact(source, tmp_path):
    store = build_store(source, tmp_path / "store", progress=False)
    assert len(store) == 10 and store.summary["skipped"] == 0
    for entry in list(source.entries()):
        whole, mask, _ = canonical(source.read(entry))
        steps = np.rint(whole / np.float32(1e-3)).astype(np.int16) * np.float32(1e-3)
        record = f"mit_bih_arrhythmia/{entry.id}"
        read, present = store.read(record)
        assert np.array_equal(read, steps) and np.array_equal(present, mask) and read.dtype == np.float32
        assert np.abs(read - whole).max() <= 5.1e-4
        window, _ = store.read(record, 3.25, 13.25)  # a window is a slice of the resampled record, edges and all
        assert np.array_equal(window, steps[:, 325:1325])
        assert store.seconds(record) == whole.shape[1] / 100
    row = store.records.loc["mit_bih_arrhythmia/100"]
    assert list(row["annotation_symbols"]) == ["N", "V", "+", "N"] and row["annotation_times"][1] == 1.5
    assert row["lead_mask"] == 0b1000010 and row["patient"] == "mit_bih_arrhythmia/100"


def test_workers_and_repeats_make_the_same_bytes(source, tmp_path):
    one, two = (
        build_store(source, tmp_path / "one", progress=False),
        build_store(source, tmp_path / "two", workers=2, progress=False),
    )
    assert contents(tmp_path / "one") == contents(tmp_path / "two") and one.fingerprint == two.fingerprint
    before = (tmp_path / "one" / "store.json").stat().st_mtime_ns
    build_store(source, tmp_path / "one", progress=False)
    assert (tmp_path / "one" / "store.json").stat().st_mtime_ns == before


def test_windows_outside_the_record(source, tmp_path):
    store = build_store(source, tmp_path / "store", progress=False)
    for window in ((0.0, 31.0), (29.0, 30.5), (30.0, None), (5.0, 5.0), (5.0, 4.0), (-1.0, 3.0)):
        with pytest.raises(DataError, match=r"mit_bih_arrhythmia/100.*30\.0 s"):
            store.read("mit_bih_arrhythmia/100", *window)
    with pytest.raises(DataError, match="no signal"):
        Window("r", 3.0, 3.0)
    with pytest.raises(DataError, match="mit_bih_arrhythmia/nobody is not in the store"):
        store.read("mit_bih_arrhythmia/nobody")


def test_bad_records_cost_only_themselves(source, tmp_path):
    root = source.root
    with (root / "101.dat").open("r+b") as file:
        file.truncate(999)
    (root / "102.dat").unlink()
    write_annotated(root, "103", leads=("Resp", "ABP"))
    write_annotated(root, "104", np.full((2, 10000), np.nan))
    wave = beat_train()
    wave[1] = np.nan
    wave[0, 50] = np.nan
    write_annotated(root, "105", wave)
    write_annotated(root, "106", beat_train(leads=3), leads=("MLII", "V1", "Resp"))
    store = build_store(source, tmp_path / "store", progress=False)
    assert len(store) == 6
    skipped = pd.read_csv(tmp_path / "store" / "skipped.csv").set_index("id")["reason"]
    assert list(skipped.index) == [f"mit_bih_arrhythmia/10{k}" for k in (1, 2, 3, 4)]
    assert (
        "cut short" in skipped.iloc[0]
        and "102" in skipped.iloc[1]
        and "Resp, ABP" in skipped.iloc[2]
        and "enough valid samples" in skipped.iloc[3]
    )
    summary = store.summary
    assert summary["skipped"] == 4 and summary["unknown_leads"] == {"Resp": 1} and summary["broken_leads"] == {"V1": 1}
    assert summary["interpolated"] == 1 and summary["clipped"] == 0
    with pytest.raises(DataError, match="mit_bih_arrhythmia/101 is not in the store .*skipped.csv"):
        store.read("mit_bih_arrhythmia/101")


def test_beyond_32_mv_is_clipped_and_counted(tmp_path):
    wave = np.zeros((2, 1000))
    wave[0, 500:] = 50.0
    source = corpus(write_annotated(tmp_path / "source", "1", wave, fs=100))
    store = build_store(source, tmp_path / "store", progress=False)
    assert store.summary["clipped"] == 500 and store.read("mit_bih_arrhythmia/1")[0].max() == pytest.approx(32.767)


def test_nothing_usable_is_an_error(tmp_path):
    source = corpus(write_annotated(tmp_path / "source", "1", leads=("Resp", "ABP")))
    for _ in range(2):
        with pytest.raises(DataError, match="not one of 1 recordings .* none of its leads is known"):
            build_store(source, tmp_path / "store", progress=False)


class Slow(MITBIHArrhythmia):
    def read(self, entry):
        time.sleep(0.1)
        return super().read(entry)


def build_slowly(root, folder):
    build_store(Slow(Slow.Config(), root), folder, progress=False)


def test_killed_build_goes_on(source, tmp_path):
    folder = tmp_path / "store"
    process = multiprocessing.get_context("fork").Process(target=build_slowly, args=(source.root, folder))
    process.start()
    deadline = time.monotonic() + 60
    while not (folder / "shard-00000.json").exists():
        assert process.is_alive() and time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(process.pid, signals.SIGKILL)
    process.join()
    assert not (folder / "store.json").exists()
    with pytest.raises(DataError, match="no finished store"):
        Store.open(folder)
    finished = (folder / "shard-00000.i2").stat().st_mtime_ns
    store = build_store(source, folder, progress=False)
    assert (folder / "shard-00000.i2").stat().st_mtime_ns == finished
    build_store(source, tmp_path / "whole", progress=False)
    assert contents(folder) == contents(tmp_path / "whole") and len(store) == 10


def test_full_disk_says_so_and_goes_on(source, tmp_path, monkeypatch):
    whole = shards.write_shard

    def full(corpus, entries, folder, shard, fs):
        if shard == 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        return whole(corpus, entries, folder, shard, fs)

    monkeypatch.setattr(shards, "write_shard", full)
    with pytest.raises(DataError, match="No space left on device; free some space"):
        build_store(source, tmp_path / "store", progress=False)
    monkeypatch.undo()
    assert len(build_store(source, tmp_path / "store", progress=False)) == 10


def test_second_build_waits_for_the_first(source, tmp_path):
    folder = tmp_path / "store"
    folder.mkdir()
    built = []
    with locked(folder):
        second = threading.Thread(target=lambda: built.append(build_store(source, folder, progress=False)))
        second.start()
        second.join(0.3)
        assert second.is_alive() and not (folder / "store.json").exists()
    second.join(30)
    assert len(built[0]) == 10


def test_a_forked_worker_does_not_keep_a_folder_locked(tmp_path):
    with locked(tmp_path):
        worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,))
        worker.start()
    try:
        with (tmp_path / LOCK).open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        worker.terminate()


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(path.read_bytes()[:-2]),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b""),
    ],
)
def test_a_shard_that_was_cut_is_noticed_and_the_store_read_again(source, tmp_path, caplog, damage):
    build_store(source, tmp_path / "store", progress=False)
    before = contents(tmp_path / "store")
    damage(tmp_path / "store" / "shard-00001.i2")
    assert Store.open(tmp_path / "store").damaged() == [tmp_path / "store" / "shard-00001.i2"]
    assert not build_store(source, tmp_path / "store", progress=False).damaged()
    assert (
        "shard-00001.i2 is missing or not as long as it was written" in caplog.text
        and contents(tmp_path / "store") == before
    )


@pytest.mark.parametrize("fs", [100, 250, 500])
def test_a_store_has_the_rate_that_is_asked_for(source, tmp_path, fs):
    store = build_store(source, tmp_path / "store", fs=fs, progress=False)
    assert store.fs == fs and store.summary["fs"] == fs and Stores([store]).fs == fs
    entry = next(entry for entry in source.entries() if entry.id == "104")
    record = store.records.loc["mit_bih_arrhythmia/104"]
    assert (
        record["seconds"] == 34
        and record["samples"] == 34 * fs
        and record["annotation_times"].tolist() == [0.5, 1.5, 2.5, 3.5]
    )
    window, _ = store.read("mit_bih_arrhythmia/104", 1.0, 11.0)
    expected, _, _ = canonical(source.read(entry), fs)
    assert window.shape == (12, 10 * fs) and np.abs(window - expected[:, fs : 11 * fs]).max() <= 5.1e-4


def test_upsampling_is_warned_of(source, tmp_path, caplog):
    store = build_store(source, tmp_path / "360", fs=360, progress=False)
    assert store.summary["upsampled"] == 0 and "upsampling" not in caplog.text
    for _ in range(2):  # also where it is found again
        caplog.clear()
        assert build_store(source, tmp_path / "500", fs=500, progress=False).summary["upsampled"] == 10
        assert "10 of 10 recordings are sampled at less than 500 Hz" in caplog.text
    assert "10 recordings were sampled at less than 500 Hz" in "\n".join(
        remarks({"mit_bih_arrhythmia": build_store(source, tmp_path / "500", fs=500).summary})
    )


def test_more_unusable_recordings_than_allowed_stop_the_build(tmp_path):
    root = tmp_path / "source"
    for k in range(40):
        write_annotated(root, f"{k + 100}", beat_train(5, seed=k))
        if k < 10:
            (root / f"{k + 100}.dat").unlink()
    with pytest.raises(
        DataError,
        match=r"10 of 40 recordings .* cannot be used \(25%.*skipped.csv. 10 times: .*corpora.mit_bih_arrhythmia.max_skipped=0.26",
    ):
        build_store(corpus(root), tmp_path / "store", progress=False)
    assert (
        len(pd.read_csv(tmp_path / "store" / "skipped.csv")) == 10 and not (tmp_path / "store" / "store.json").exists()
    )
    made = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "store").glob("*.i2")}
    allowed = MITBIHArrhythmia(MITBIHArrhythmia.Config(root=str(root), max_skipped=0.26), root)
    store = build_store(allowed, tmp_path / "store", progress=False)
    # no recording was read again
    assert (
        len(store) == 30 and {path.name: path.stat().st_mtime_ns for path in (tmp_path / "store").glob("*.i2")} == made
    )
    with pytest.raises(DataError, match="more than max_skipped allows"):
        build_store(corpus(root), tmp_path / "store", progress=False)  # nor does a store that is there lie about it


def test_a_few_unusable_recordings_of_a_small_corpus_are_never_too_many(tmp_path):
    for k in range(10):
        write_annotated(tmp_path / "source", f"{k + 100}", beat_train(5, seed=k))
        if k < 9:
            (tmp_path / "source" / f"{k + 100}.dat").unlink()
    assert len(build_store(corpus(tmp_path / "source"), tmp_path / "store", progress=False)) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fault_of_the_reader_stops_the_build_with_the_recording_named(source, tmp_path, workers):
    broken = Faulty(Faulty.Config(root=str(source.root)), source.root)
    with pytest.raises(
        RuntimeError,
        match=r"record mit_bih_arrhythmia/105 \(105\) stopped the build: its reader raised TypeError: .*test_store",
    ):
        build_store(broken, tmp_path / "store", workers=workers, progress=False)
    assert not (tmp_path / "store" / "store.json").exists()
    assert len(build_store(source, tmp_path / "store", progress=False)) == 10  # and once it is mended, goes on


class Faulty(MITBIHArrhythmia):
    """A reader with a bug."""

    def read(self, entry):
        record = super().read(entry)
        return record if entry.id != "105" else len(None)


def test_stores_of_two_rates_are_told_apart(source, tmp_path):
    slow, fast = (build_store(source, tmp_path / f"{fs}", fs=fs, progress=False) for fs in (100, 500))
    assert slow.fingerprint != fast.fingerprint
    with pytest.raises(DataError, match="100 Hz .* and 500 Hz .* cannot be read together"):
        Stores([slow, fast])
    with pytest.raises(DataError, match="holds a store at 100 Hz, not 500 Hz"):
        build_store(source, tmp_path / "100", fs=500, progress=False)


def test_recordings_that_are_alike_are_listed(source, tmp_path, caplog):
    splits = {entry.split: entry.id for entry in source.entries()}
    train, test = splits["train"], splits["test"]
    for suffix in (".hea", ".dat", ".atr"):
        content = (source.root / f"{train}{suffix}").read_bytes()
        (source.root / f"{test}{suffix}").write_bytes(
            content.replace(train.encode(), test.encode()) if suffix == ".hea" else content
        )
    store = build_store(source, tmp_path / "store", progress=False)
    assert store.summary["alike"] == 2 and store.summary["alike_across_splits"] == 1 and len(store) == 10
    listed = pd.read_csv(tmp_path / "store" / "alike.csv")
    assert set(zip(listed["id"], listed["split"])) == {
        (f"mit_bih_arrhythmia/{train}", "train"),
        (f"mit_bih_arrhythmia/{test}", "test"),
    }
    assert listed["group"].tolist() == [1, 1] and "1 such groups lie in several splits" in caplog.text
    told = "\n".join(remarks({"mit_bih_arrhythmia": store.summary}))
    assert (
        "2 recordings have the same samples as another" in told
        and "WARNING: 1 groups of them lie in several splits" in told
    )


def test_what_is_not_alike_is_not_told(source, tmp_path):
    summary = build_store(source, tmp_path / "store", progress=False).summary
    assert (
        "alike" not in summary
        and "disordered" not in summary
        and not (tmp_path / "store" / "alike.csv").exists()
        and not remarks({"a": summary})
    )
    assert "- a: leads that are none of the twelve, left out: ECG9 (3)" in remarks(
        {"a": {**summary, "unknown_leads": {"ECG9": 3}}}
    )


def test_another_corpus_in_the_folder(source, tmp_path):
    build_store(source, tmp_path / "store", progress=False)
    other = corpus(write_annotated(tmp_path / "other", "1"))
    with pytest.raises(DataError, match="holds a store of other recordings"):
        build_store(other, tmp_path / "store", progress=False)
    (tmp_path / "store" / "store.json").write_text("{")
    with pytest.raises(DataError, match="store.json is damaged"):
        Store.open(tmp_path / "store")


def test_a_recording_listed_twice_is_told(source, tmp_path, monkeypatch):
    listed = list(source.entries())
    monkeypatch.setattr(source, "entries", lambda: iter([*listed, listed[3]]))
    store = build_store(source, tmp_path / "store", progress=False)
    assert len(store) == 10 and store.summary["skipped"] == 1
    assert "listed twice" in (tmp_path / "store" / "skipped.csv").read_text()


def test_stores_are_one(source, tmp_path):
    store = build_store(source, tmp_path / "store", progress=False)
    stores = pickle.loads(pickle.dumps(Stores([store])))
    signal, mask = stores.read(Window("mit_bih_arrhythmia/101", 1.0, 11.0))
    assert signal.shape == (12, 1000) and mask.sum() == 2
    assert (
        stores.seconds(Window("mit_bih_arrhythmia/101", 1.0)) == 30 and stores.seconds("mit_bih_arrhythmia/101") == 31
    )
    with pytest.raises(DataError, match="no store of corpus 'mimic'"):
        stores.read(Window("mimic/1"))


def test_records_are_found_among_many(tmp_path):
    """Ids of any length and alphabet, in the order of the source, which is none; what is not there is not found."""
    ids = [f"mimic/{name}" for name in ("9", "10", "1", "é" * 9, "a" * 40, "1 ", "", "0")] + [
        f"mimic/s{n * 7919 % 5000}" for n in range(5000)
    ]
    store = written(tmp_path, ids)
    assert len(store) == len(ids) and [store.seconds(id) for id in ids] == [row / 100 for row in range(len(ids))]
    assert all(id in store for id in ids)
    for id in ("mimic/", "mimic/99", "mimic/é", "mimic/" + "a" * 41, "mimic/s5000", "ptbxl/1", "", "zz"):
        assert (id in store) == (id in ids)
        if id not in ids:
            with pytest.raises(DataError, match="is not in the store"):
                store.seconds(id)


def test_an_open_store_is_small(tmp_path):
    """What it keeps in memory grows by less than 64 bytes a record; a dict of ids alone takes 130."""
    kept = []
    for count in (500, 5000):
        (tmp_path / f"{count}").mkdir()
        written(tmp_path / f"{count}", [f"mimic/{40_000_000 + n}" for n in range(count)])
        tracemalloc.start()
        store = Store.open(tmp_path / f"{count}")
        kept.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert len(store) == count
    assert (kept[1] - kept[0]) / 4500 < 64


def written(folder, ids):
    """A store that knows so many records, the n-th of n samples, and holds no signal."""
    count = range(len(ids))
    rows = {
        "id": ids,
        "shard": [0] * len(ids),
        "offset": [0] * len(ids),
        "samples": list(count),
        "lead_mask": [1] * len(ids),
    }
    pq.write_table(
        pa.table(rows, schema=pa.schema([shards.SCHEMA.field(name) for name in rows])), folder / "records.parquet"
    )
    (folder / "store.json").write_text(
        json.dumps({"format": FORMAT, "fs": 100.0, "corpus": "mimic", "fingerprint": "f"})
    )
    return Store.open(folder)


@real_data
def test_real_records_survive_the_store(tmp_path):
    real = MITBIHArrhythmia(MITBIHArrhythmia.Config(limit=2), REAL / "mitdb")
    store = build_store(real, tmp_path, progress=False)
    assert store.summary["unknown_leads"] == {} and store.records["seconds"].tolist() == [1805.56, 1805.56]
    window, mask = store.read("mit_bih_arrhythmia/101", 600.0, 610.0)
    whole, _, _ = canonical(real.read(list(real.entries())[0]))
    assert np.abs(window - whole[:, 60000:61000]).max() <= 5.1e-4 and mask.sum() == 2
