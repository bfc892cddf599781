"""The plan of a stage: mixture, order and batches as a pure function."""

import numpy as np
import pytest

from anyecg.data.loading.sampling import (
    Plan,
    Turns,
    cut,
    divide,
    evenly,
    padded,
    passes_of_packed,
    passes_that_pay,
    visits,
)
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
    with pytest.raises(ConfigError, match="not one of the 50 questions of the pool localization is short"):
        visits(
            POOLS, {"report": 1, "localization": 1}, 60, np.random.default_rng(0), lambda rows: rows < 100, "is short"
        )


def test_ranks_share_the_batches():
    parts = [list(Turns(8, rank, 2)) for rank in range(2)]
    assert len(parts[0]) == len(parts[1]) == 4
    assert sorted(parts[0] + parts[1]) == list(range(8))


def mixed_lengths(steps=50, size=64, seed=0):
    rng = np.random.default_rng(seed)
    return np.where(
        rng.random((steps, size)) < 1 / 6, rng.integers(170, 460, (steps, size)), rng.integers(95, 130, (steps, size))
    )


@pytest.mark.parametrize("ranks", [1, 2, 8])
def test_passes_keep_to_the_budget_and_are_alike(ranks):
    lengths, budget = mixed_lengths(), 2048
    assigned, passes = cut(lengths, budget, ranks)
    assert assigned.shape == lengths.shape and passes % ranks == 0
    costs = np.zeros((len(lengths), passes))
    for step, (row, own) in enumerate(zip(lengths, assigned)):
        for number in range(passes):
            assert (own == number).any()  # no rank is without work
            costs[step, number] = row[own == number].max() * (own == number).sum()
    assert costs.max() <= budget
    assert costs.mean() > 0.8 * costs.max(1).mean()  # equal work: passes of a step cost about what its largest does
    assert costs.sum() < 1.2 * lengths.sum()  # little of it is padding
    assert np.array_equal(cut(lengths, budget, ranks)[0], assigned)


def test_passes_are_as_few_as_the_budget_allows():
    assert cut(mixed_lengths(), 10**6)[1] == 1
    assert cut(np.full((3, 16), 100), 400)[1] == 4
    assert cut(np.full((3, 16), 100), 400, ranks=3)[1] == 6


def test_fewer_long_samples_than_passes_are_still_spread_over_all():
    assigned, passes = cut(np.array([[10] * 8, [100] * 8]), 200)
    assert passes == 4 and all(sorted(set(row)) == [0, 1, 2, 3] for row in assigned)


def test_a_budget_that_cannot_be_kept_is_told():
    with pytest.raises(ConfigError, match="tokens: 300 are fewer than the longest question's 4"):
        cut(mixed_lengths(), 300)
    with pytest.raises(ConfigError, match="need 8 passes for the 4 samples"):
        cut(np.full((2, 4), 100), 200, ranks=8)


def test_so_many_passes_are_alike_and_hold_like_lengths():
    lengths = mixed_lengths(size=16)
    for passes in (1, 2, 5, 16):
        assigned = divide(lengths, passes)
        assert all(sorted(set(row)) == list(range(passes)) for row in assigned)
        for row, own in zip(lengths, assigned):
            spans = [(row[own == number].max(), row[own == number].min()) for number in range(passes)]
            assert all(longer[1] >= shorter[0] for longer, shorter in zip(spans, spans[1:]))  # from the longest down  # noqa: RUF007
    assert padded(lengths, divide(lengths, 16)).tolist() == lengths.sum(1).tolist()


def test_passes_of_so_many_samples_hold_like_lengths():
    lengths = mixed_lengths(size=12)
    assigned = evenly(lengths, 3)
    assert all(np.bincount(row).tolist() == [3, 3, 3, 3] for row in assigned)
    assert all(row[own == 0].min() >= row[own == 3].max() for row, own in zip(lengths, assigned))


def test_a_step_is_cut_only_where_that_saves_work():
    assert passes_that_pay(np.full((10, 64), 120)) == 1 and passes_that_pay(np.full((10, 64), 120), ranks=4) == 4
    lengths = mixed_lengths()
    passes = passes_that_pay(lengths)
    assert (
        1 < passes <= 8
        and padded(lengths, divide(lengths, passes)).sum() < 0.6 * padded(lengths, divide(lengths, 1)).sum()
    )
    # two short samples: a second pass costs more than ten tokens of padding
    assert passes_that_pay(np.array([[20, 30]])) == 1


def test_what_is_packed_is_cut_for_its_memory_alone():
    lengths = mixed_lengths(size=16)
    assert passes_of_packed(lengths) == 1 and passes_of_packed(lengths, ranks=4) == 4
    assert passes_of_packed(np.full((3, 64), 200)) == 4  # 12,800 tokens
    assert passes_of_packed(np.full((3, 64), 200), ranks=3) == 6 and passes_of_packed(np.full((3, 2), 9000)) == 2


def test_a_plan_gives_its_batches_by_number():
    plan = Plan(np.array([5, 6, 7, 8, 9]), np.array([2, 3]))
    assert [batch.tolist() for batch in plan] == [[5, 6], [7, 8, 9]] and len(plan) == 2
    assert plan.sums(plan.rows).tolist() == [11, 24]
