"""Lengths: counted once, kept on disk, the same however they are counted."""

import numpy as np
import pytest
import torch

from anyecg.data.loading import lengths as module
from anyecg.data.loading.lengths import UNKNOWN, Lengths
from anyecg.types import AnyECGError
from tests.training.test_resume import disk_of


class Count:
    """A row has 2 * row tokens, row of them learned; remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def __call__(self, row):
        self.asked.append(row)
        return 2 * row, row


def test_only_what_is_asked_is_counted_and_once(tmp_path):
    count = Count()
    lengths = Lengths(count, 100, tmp_path / "a" / "lengths.i4")
    assert lengths(np.array([3, 1, 3])).tolist() == [[6, 3], [2, 1], [6, 3]]
    lengths(np.array([1, 2]))
    assert count.asked == [1, 3, 2] and (lengths.known[:, 0] != UNKNOWN).sum() == 3


def test_another_process_reads_what_was_counted(tmp_path):
    path = tmp_path / "lengths.i4"
    Lengths(Count(), 100, path)(np.arange(50))
    count = Count()
    assert Lengths(count, 100, path)(np.arange(60)).tolist() == [[2 * row, row] for row in range(60)]
    assert count.asked == list(range(50, 60))


def test_two_at_once_do_not_count_the_same_twice(tmp_path):
    path, second = tmp_path / "lengths.i4", Count()
    waiting = Lengths(second, 100, path)  # opened before the first has counted
    Lengths(Count(), 100, path)(np.arange(50))
    waiting(np.arange(50))
    assert second.asked == []


def test_a_kill_keeps_what_was_written(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TOGETHER", 10)
    monkeypatch.setattr(module, "KEPT_EVERY", 20)

    def killed(row):
        if row == 45:
            raise KeyboardInterrupt
        return 2 * row, row

    with pytest.raises(KeyboardInterrupt):
        Lengths(killed, 100, tmp_path / "lengths.i4")(np.arange(100))
    count = Count()
    Lengths(count, 100, tmp_path / "lengths.i4")(np.arange(100))
    assert count.asked == list(range(40, 100))


def test_a_damaged_file_is_counted_again(tmp_path):
    path = tmp_path / "lengths.i4"
    Lengths(Count(), 100, path)(np.arange(50))
    path.write_bytes(path.read_bytes()[:100])
    assert Lengths(Count(), 100, path)(np.array([7])).tolist() == [[14, 7]]


def test_workers_count_the_same(monkeypatch):
    monkeypatch.setattr(module, "TOGETHER", 4)
    rows = np.random.default_rng(0).permutation(200)
    assert np.array_equal(Lengths(Count(), 200, workers=2)(rows), Lengths(Count(), 200)(rows))


def test_counting_leaves_trainings_random_numbers_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    Lengths(Count(), 10)(np.arange(10))
    assert torch.equal(before, torch.get_rng_state())


def test_a_full_disk_is_told_and_leaves_what_was_counted(tmp_path):
    path = tmp_path / "lengths.i4"
    Lengths(Count(), 100, path)(np.arange(50))
    with disk_of(100), pytest.raises(AnyECGError, match="lengths.i4: could not be written"):
        Lengths(Count(), 100, path)(np.arange(60))
    count = Count()
    Lengths(count, 100, path)(np.arange(60))
    assert (
        count.asked == list(range(50, 60))
        and [file.name for file in tmp_path.iterdir() if file.suffix == ".part"] == []
    )
