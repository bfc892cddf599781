"""Files from a user: bounded, confined, read apart; no name of theirs is kept."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from anyecg.types import DataError
from anyecg.web.uploads import Inbox, Limits, Reader, Words, nameless, outcome
from tests.data.own.own_files import write_wfdb


@pytest.fixture(scope="module")
def reader():
    made = Reader()
    yield made
    made.close()


@pytest.fixture
def inbox(reader):
    made = Inbox(Limits(files=3, megabytes=1), reader)
    yield made
    made.close()
    assert not made.folder.exists()


def test_a_header_and_its_signal_are_one_recording(inbox, tmp_path):
    header = write_wfdb(tmp_path, name="Mueller_Anna")
    apart = tmp_path / "apart"
    apart.mkdir()
    moved = shutil.move(header.with_suffix(".dat"), apart / "Mueller_Anna.dat")  # as a browser sends them
    assert inbox.take([header, moved]) == [inbox.folder / "Mueller_Anna.hea"]
    [read] = inbox.read()
    assert read.record.signal.shape == (12, 3000) and read.record.id == "ECG" and read.record.patient == ""
    assert not [*inbox.folder.iterdir()] and header.exists()


def test_what_a_file_does_not_say_is_said(inbox, tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 1000), np.float32) + np.sin(np.arange(1000) / 9))
    inbox.take([tmp_path / "a.npy"])
    [failed] = inbox.read()
    assert failed.record is None and "leads" in failed.error and inbox.waiting
    [read] = inbox.read(Words(fs=100.0, leads=("I", "II")))
    assert read.record.fs == 100.0 and read.record.leads == ("I", "II") and not inbox.waiting


def test_too_many_and_too_large(inbox, tmp_path):
    (tmp_path / "large.edf").write_bytes(b"0" * (2 << 20))
    with pytest.raises(DataError, match="4 files at once; this page takes 3"):
        inbox.take([tmp_path / "large.edf"] * 4)
    with pytest.raises(DataError, match="a file of 2 MB; this page takes 1 MB"):
        inbox.take([tmp_path / "large.edf"])
    with pytest.raises(DataError, match="did not arrive"):
        inbox.take([tmp_path / "none.edf"])


@pytest.mark.parametrize("name", ["../../../etc/passwd", "/etc/hostname", "sub/own.dat", "s3://bucket/x.dat"])
def test_a_header_that_names_other_folders_is_refused(tmp_path, name):
    header = write_wfdb(tmp_path)
    lines = header.read_text().splitlines()
    header.write_text("\n".join([lines[0], *(f"{name} {line.split(' ', 1)[1]}" for line in lines[1:])]))
    assert "another folder" in outcome(header, Words()).error


@pytest.mark.parametrize("name", ["a.dat", "a.png", "a.xyz", "a.edf", "a.dcm", "a.hea", "a.npz", "a.xml", "a.csv", "a"])
def test_a_bad_file_is_told(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x00\xff broken \x80" * 50)
    told = outcome(tmp_path / name, Words())
    assert told.record is None and told.error and str(tmp_path) not in told.error


def test_names_are_left_out_of_messages():
    path = Path("/tmp/x/Mueller_Anna.hea")
    assert (
        nameless("/tmp/x/Mueller_Anna.hea: cut short; Mueller_Anna has no .dat", path)
        == "cut short; the file has no .dat"
    )


def test_a_file_that_takes_too_long_or_too_much_is_told_and_the_next_is_read(tmp_path):
    path = write_wfdb(tmp_path)
    reader = Reader(Limits(seconds=0.0))
    assert "took longer than 0 s" in reader.read(path, Words()).error
    reader.limits = Limits()
    assert reader.read(path, Words()).record is not None
    reader.close()
    greedy = Reader(Limits(memory=1))
    assert greedy.read(path, Words()).error
    greedy.close()


def test_a_file_of_hostile_name_stays_in_the_folder(inbox, tmp_path):
    (tmp_path / "..;rm -rf $(x).csv").write_text("x")
    [copied] = inbox.take([tmp_path / "..;rm -rf $(x).csv"])
    assert copied.parent == inbox.folder and copied.name == "_rm_-rf___x_.csv"
