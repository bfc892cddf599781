"""CODE-15%: the simulated layout is read whole; bad rows, absent parts and broken parts are said."""

import h5py
import numpy as np
import pytest

from anyecg.data.corpora import corpora
from anyecg.data.corpora.code15 import LABELS
from anyecg.data.own import read_ecg
from anyecg.simulate import simulate
from anyecg.types import DataError


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("code15") / "set"
    simulate("code15", root, patients=90, seed=2, workers=1, progress=False)
    return root


def opened(root):
    kind = corpora["code15"]
    return kind(kind.Config(root=str(root)), root)


def test_the_simulated_layout_is_read_whole(written):
    corpus = opened(written)
    entries = list(corpus.entries())
    assert {path.name for path in written.glob("*.hdf5")} == {"exams_part0.hdf5", "exams_part1.hdf5"}
    homes = {}
    for entry in entries:
        assert homes.setdefault(entry.patient, entry.split) == entry.split
    assert len(homes) == 90 < len(entries) and {entry.split for entry in entries} == {"train", "val", "test"}
    assert {code for entry in entries for code in entry.labels} == {*LABELS, "NORM"}
    lengths = set()
    for entry in entries[:12]:
        record = corpus.read(entry)
        assert record.fs == 400 and len(record.leads) == 12 and np.abs(record.signal).max() < 12
        limb = dict(zip(record.leads, record.signal))
        np.testing.assert_allclose(limb["III"], limb["II"] - limb["I"], atol=2e-3)
        lengths.add(record.signal.shape[1])
    assert lengths <= {2934, 4000} and len(lengths) == 2  # without the padding


def test_the_same_exam_by_itself_is_the_same_signal(written):
    corpus = opened(written)
    entry = next(iter(corpus.entries()))
    alone = read_ecg(written / entry.path, record=entry.id)
    np.testing.assert_array_equal(alone.signal, corpus.read(entry).signal)


def test_parts_that_are_not_there_are_left_out_and_bad_rows_are_named(written, tmp_path, caplog):
    lines = (written / "exams.csv").read_text().splitlines()
    header, rows = lines[0], lines[1:]
    bad = rows[0].replace("exams_part0.hdf5", "../exams_part0.hdf5")
    (tmp_path / "exams.csv").write_text("\n".join([header, *rows, bad]) + "\n")
    (tmp_path / "exams_part0.hdf5").symlink_to(written / "exams_part0.hdf5")
    corpus = opened(tmp_path)
    assert len(list(corpus.entries())) == 100 < len(rows)
    assert "exams_part1.hdf5" in caplog.text and "no name of a file" in next(iter(corpus.rejected)).reason


def test_a_broken_part_costs_its_recordings(written, tmp_path):
    (tmp_path / "exams.csv").write_text((written / "exams.csv").read_text())
    with h5py.File(tmp_path / "exams_part0.hdf5", "w") as file:
        file["exam_id"] = np.array([1])
        file["tracings"] = np.zeros((1, 4096, 12), np.float32)
    corpus = opened(tmp_path)
    entry = next(iter(corpus.entries()))
    with pytest.raises(DataError, match=f"no exam {entry.id}"):
        corpus.read(entry)
    (tmp_path / "exams_part0.hdf5").write_bytes(b"none")
    with pytest.raises(DataError, match="exams_part0.hdf5"):
        opened(tmp_path).read(entry)
