"""The plan of a stage: mixture, order and batches as a pure function."""

import numpy as np
import pytest

from anyecg.data.mixture import Batches, batches, visits
from anyecg.types import ConfigError

POOLS = {"report": np.arange(100), "localization": np.arange(100, 150)}


def plan(weights, samples, seed=0):
    return visits(POOLS, weights, samples, np.random.default_rng(seed))


def test_shares_are_exact_and_rows_come_round_evenly():
    rows = plan({"report": 3, "localization": 1}, 400)
    assert len(rows) == 400
    report = rows[rows < 100]
    assert len(report) == 300
    assert np.bincount(report, minlength=100).tolist() == [3] * 100
    assert np.bincount(rows[rows >= 100] - 100, minlength=50).tolist() == [2] * 50


def test_a_weight_of_zero_leaves_a_pool_out():
    assert (plan({"report": 0, "localization": 1}, 64) >= 100).all()


def test_the_same_seed_gives_the_same_order():
    assert np.array_equal(plan({"report": 1}, 250), plan({"report": 1}, 250))
    assert not np.array_equal(plan({"report": 1}, 250), plan({"report": 1}, 250, seed=1))


def test_an_empty_pool_is_named():
    with pytest.raises(ConfigError, match="multi_ecg.*report \\(100\\)"):
        plan({"multi_ecg": 1}, 10)
    with pytest.raises(ConfigError, match="nothing"):
        plan({"report": 0}, 10)


def test_what_does_not_fit_is_replaced_from_its_own_pool():
    asked = []

    def fits(rows):
        asked.extend(rows.tolist())
        return rows % 10 != 0

    rows = visits(POOLS, {"report": 1, "localization": 1}, 60, np.random.default_rng(0), fits)
    assert len(rows) == len(set(rows)) == 60 and (rows % 10 != 0).all() and (rows < 100).sum() == 30
    assert len(asked) == len(set(asked)) < 80  # nothing is looked at that is not drawn
    again = visits(POOLS, {"report": 1}, 270, np.random.default_rng(0), fits)
    assert np.bincount(again, minlength=100)[np.arange(100) % 10 != 0].tolist() == [3] * 90


def test_what_fits_changes_nothing_where_all_does():
    everything = visits(POOLS, {"report": 2, "localization": 1}, 400, np.random.default_rng(0), lambda rows: rows >= 0)
    assert np.array_equal(everything, plan({"report": 2, "localization": 1}, 400))


def test_a_pool_in_which_nothing_fits_is_named():
    with pytest.raises(ConfigError, match="not one of the 50 questions of the pool localization fits.*input.max_seconds"):
        visits(POOLS, {"report": 1, "localization": 1}, 60, np.random.default_rng(0), lambda rows: rows < 100)


def test_batches_hold_every_position_once_and_like_lengths():
    lengths = np.random.default_rng(0).choice([100, 400], 640)
    made = batches(lengths, 8, np.random.default_rng(1))
    assert made.shape == (80, 8) and sorted(made.ravel()) == list(range(640))
    mixed = sum(len(set(lengths[batch])) > 1 for batch in made)
    assert mixed <= 4  # one a block of like lengths at most


def test_ranks_share_the_batches():
    made = batches(np.ones(64), 8, np.random.default_rng(0))
    parts = [list(Batches(made, rank, 2)) for rank in range(2)]
    assert len(parts[0]) == len(parts[1]) == 4
    assert sorted(sum(parts[0] + parts[1], [])) == list(range(64))
