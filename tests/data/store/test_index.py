"""A corpus's index on disk: every entry once, in order, and a fingerprint of content, not of place."""

from dataclasses import replace

import pytest

from anyecg.data.corpora.annotated import MITBIHArrhythmia
from anyecg.data.store import index as module
from anyecg.data.store.index import BATCH, Index, entries
from tests.data.native import beat_train, write_annotated


def corpus(root):
    return MITBIHArrhythmia(MITBIHArrhythmia.Config(root=str(root)), root)


@pytest.fixture
def source(tmp_path):
    """Four records."""
    for k in range(4):
        write_annotated(tmp_path / "source", f"{k + 100}", beat_train(5 + k, seed=k))
    return corpus(tmp_path / "source")


def listing(source, monkeypatch, listed):
    monkeypatch.setattr(source, "entries", lambda: iter(listed))
    return source


def test_every_entry_is_held_once(source, tmp_path, monkeypatch):
    listed = list(source.entries())
    index = Index(listing(source, monkeypatch, [*listed, listed[3]] * 300), tmp_path / "index.arrow")
    assert len(index) == 4 and len(index.duplicates) == 1496 and index.duplicates[:2] == [listed[3], listed[0]]
    assert entries(index.path, 0, 99) == listed and entries(index.path, 2, 3) == listed[2:3]


def test_any_stretch_is_read_back(source, tmp_path, monkeypatch):
    listed = list(source.entries())
    many = [
        replace(
            entry, id=f"{entry.id}-{n}", time="2168-12-11T03:04:05", statements=('A, "B"', "C;D\nE|F"), labels=("x",)
        )
        for n in range(700)
        for entry in listed
    ]
    index = Index(listing(source, monkeypatch, many), tmp_path / "index.arrow")
    assert len(index) == len(many) > 2 * BATCH
    for first, last in (
        (0, 1),
        (0, BATCH),
        (BATCH - 1, BATCH + 1),
        (BATCH, 2 * BATCH),
        (1000, 2100),
        (2799, 2800),
        (2799, 9999),
        (2800, 2900),
        (5, 5),
    ):
        assert entries(index.path, first, last) == many[first:last]


def test_an_empty_index_is_one_too(source, tmp_path, monkeypatch):
    index = Index(listing(source, monkeypatch, []), tmp_path / "index.arrow")
    assert len(index) == 0 and entries(index.path, 0, 10) == []


def test_the_fingerprint_follows_content_not_place(source, tmp_path, monkeypatch):
    def fingerprint(source):
        return Index(source, tmp_path / "index.arrow").fingerprint

    before = fingerprint(source)
    source.root.rename(tmp_path / "moved")
    moved = corpus(tmp_path / "moved")
    assert fingerprint(moved) == before
    listed = list(moved.entries())
    others = [
        fingerprint(listing(corpus(moved.root), monkeypatch, changed))
        for changed in (
            listed[:3],
            listed[::-1],
            [replace(listed[0], split="test" if listed[0].split != "test" else "val"), *listed[1:]],
        )
    ]
    write_annotated(moved.root, "100", beat_train(12.0))
    others.append(fingerprint(moved))
    (moved.root / "101.dat").unlink()
    others.append(fingerprint(moved))
    assert len({before, *others}) == 6


def test_a_recording_of_equal_length_is_another_one(source, tmp_path):
    contents = tmp_path / "contents.i8"
    before = Index(source, tmp_path / "index.arrow", contents).fingerprint
    assert (
        before
        == Index(source, tmp_path / "index.arrow").fingerprint
        == Index(source, tmp_path / "index.arrow", contents).fingerprint
    )
    path = source.root / "102.dat"
    size = path.stat().st_size
    write_annotated(source.root, "102", beat_train(7, seed=9))  # another heart
    assert path.stat().st_size == size and Index(source, tmp_path / "index.arrow", contents).fingerprint != before
    last = bytearray(path.read_bytes())
    now = Index(source, tmp_path / "index.arrow", contents).fingerprint
    last[-1] ^= 1
    path.write_bytes(last)
    assert Index(source, tmp_path / "index.arrow", contents).fingerprint != now


def test_a_file_that_did_not_change_is_not_opened_again(source, tmp_path, monkeypatch):
    contents, opened = tmp_path / "contents.i8", []
    sampled = module._sampled
    monkeypatch.setattr(module, "_sampled", lambda path, size: opened.append(path.name) or sampled(path, size))
    first = Index(source, tmp_path / "index.arrow", contents).fingerprint
    assert len(opened) == 12
    opened.clear()
    assert Index(source, tmp_path / "index.arrow", contents).fingerprint == first and not opened
    (source.root / "101.hea").touch()
    written = contents.read_bytes()
    assert Index(source, tmp_path / "index.arrow", contents, keep=False).fingerprint == first  # time is no content
    assert opened == ["101.hea"] and contents.read_bytes() == written
    contents.write_bytes(written[:-7])  # cut short
    assert (
        Index(source, tmp_path / "index.arrow", contents).fingerprint == first and contents.read_bytes() != written[:-7]
    )


def test_an_index_that_was_not_finished_is_made_anew(source, tmp_path, monkeypatch):
    listed = list(source.entries())

    def broken():
        yield from listed[:2]
        raise KeyboardInterrupt

    monkeypatch.setattr(source, "entries", broken)
    with pytest.raises(KeyboardInterrupt):
        Index(source, tmp_path / "index.arrow")
    assert not (tmp_path / "index.arrow").exists()
    assert len(Index(listing(source, monkeypatch, listed), tmp_path / "index.arrow")) == 4
    assert entries(tmp_path / "index.arrow", 0, 9) == listed and [path.name for path in tmp_path.glob("*.*")] == [
        "index.arrow"
    ]
