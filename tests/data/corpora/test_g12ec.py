"""G12EC: the simulated layout and the real samples, each record by its own codes."""

import numpy as np
import pytest

from anyecg.data.corpora import corpora
from anyecg.data.corpora.g12ec import CLASSES, UNLISTED
from anyecg.findings import find
from anyecg.simulate import g12ec as layout
from anyecg.simulate import simulate
from tests.data.native import REAL


def opened(root):
    kind = corpora["g12ec"]
    return kind(kind.Config(root=str(root)), root)


def test_the_simulated_layout_is_read_whole(tmp_path):
    simulate("g12ec", tmp_path / "g", patients=12, seed=1, workers=1, progress=False)
    corpus = opened(tmp_path / "g")
    entries = list(corpus.entries())
    assert [entry.id for entry in entries] == [f"E{number:05d}" for number in range(1, 13)]
    assert all(entry.statements for entry in entries) and {entry.split for entry in entries} == {"train", "val", "test"}
    record = corpus.read(entries[0])
    assert record.signal.shape == (12, 5000) and record.fs == 500 and np.nanmax(np.abs(record.signal)) < 10


def test_what_is_simulated_is_coded_as_what_it_is():
    names = {**UNLISTED, **CLASSES}
    for key, codes in layout.CODES.items():
        read = find(". ".join(names[code] for code in codes))
        assert not read or key in read, f"{key} is coded as {read}"


@pytest.mark.skipif(not (REAL / "multi_source" / "georgia").is_dir(), reason="no real data here")
def test_the_real_samples_are_read(caplog):
    corpus = opened(REAL / "multi_source" / "georgia")
    entries = list(corpus.entries())
    assert entries and all(corpus.read(entry).signal.shape[0] == 12 for entry in entries)
    assert all(entry.statements for entry in entries) and "no known name" not in caplog.text
