"""Sizes of the localization subsets: Table 2's proportions, balanced, split shares kept, the rest counted."""

import json
from collections import Counter

import pytest

from anyecg.config.schema import Slot
from anyecg.tasks.build import build_data
from anyecg.tasks.subsample import BEYOND, apportioned
from anyecg.types import ConfigError
from tests.building import build, only

SOURCES = {
    name: Slot.of("corpus", name, patients=14, seconds=70.0, seed=3)
    for name in ("mit_bih_arrhythmia", "mit_bih_st", "european_st_t")
}
POOLS = ["localization_short", "localization_long"]


def config(**settings):
    return only(localization={"windows_per_record": 6, **settings})


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return build_data(SOURCES, config(), tmp_path_factory.mktemp("cache"), seed=0, progress=False)


def made(data, path, seed=0, **settings):
    """The questions in pairs with their splits, and what was dropped as beyond the size."""
    questions = build(data.stores, config(**settings), path / "q.arrow", seed)
    dropped = json.loads((path / "q.json").read_text())["dropped"]
    return list(zip(questions.column("split"), questions)), {
        row["pool"]: row["count"] for row in dropped if row["why"] == BEYOND
    }


def counted(pairs, *what):
    """How many questions there are of each (subset, ...)."""
    names = {
        "split": lambda split, sample: split,
        "positive": lambda split, sample: bool(sample.meta["intervals"]),
        "symbol": lambda split, sample: sample.meta["symbol"],
    }
    return Counter((sample.subset, *(names[one](split, sample) for one in what)) for split, sample in pairs)


def test_subsets_have_the_sizes_asked_for(data, tmp_path):
    whole = list(zip(data.questions.column("split"), data.questions))
    there = counted(whole)
    assert len(there) == 6 and min(there.values()) > 60
    sizes = {"mit_bih_arrhythmia": 40, "european_st_t_long": 31, "mit_bih_st": 100_000, "mit_bih_st_long": 0}
    pairs, beyond = made(data, tmp_path, sizes=sizes)
    assert counted(pairs) == {
        (subset,): min(there[subset,], sizes.get(subset, 10**9)) for (subset,) in there if sizes.get(subset) != 0
    }
    chosen = {sample.id for _, sample in pairs}
    assert pairs == [pair for pair in whole if pair[1].id in chosen]  # some of the very questions, in their order
    assert beyond == {
        pool: sum(sample.pool == pool for _, sample in whole) - sum(sample.pool == pool for _, sample in pairs)
        for pool in POOLS
    }
    sides = counted(pairs, "positive")
    for subset, size in (("mit_bih_arrhythmia", 40), ("european_st_t_long", 31)):
        assert (sides[subset, True], sides[subset, False]) == (-(-size // 2), size // 2)
        for split in ("train", "val", "test"):
            share = counted(whole, "split")[subset, split] / there[subset,]
            assert abs(counted(pairs, "split")[subset, split] - share * size) <= 2  # both sides rounded
    classes, had = counted(pairs, "split", "symbol", "positive"), counted(whole, "split", "symbol", "positive")
    assert all(
        abs(classes[key] - had[key] * 40 / there["mit_bih_arrhythmia",]) <= 2
        for key in had
        if key[0] == "mit_bih_arrhythmia"
    )


def test_another_seed_takes_others_and_the_same_seed_the_same(data, tmp_path):
    taken = []
    for name, seed, sizes in (
        ("a", 0, {"mit_bih_st": 20, "european_st_t": 20}),
        ("b", 0, {"european_st_t": 20, "mit_bih_st": 20}),
        ("c", 1, {"mit_bih_st": 20}),
    ):
        (tmp_path / name).mkdir()
        made(data, tmp_path / name, seed=seed, sizes=sizes)
        taken.append((tmp_path / name / "q.arrow").read_bytes())
    assert taken[0] == taken[1] != taken[2]


def test_a_smaller_size_takes_some_of_a_larger(data, tmp_path):
    ids = {
        size: {
            sample.id
            for _, sample in made(data, tmp_path, sizes={"mit_bih_st": size})[0]
            if sample.subset == "mit_bih_st"
        }
        for size in (12, 48)
    }
    assert len(ids[12] - ids[48]) <= 2  # but for a stratum whose share is rounded the other way


def test_fewer_negatives_than_half_leave_room_for_positives(data, tmp_path):
    whole, _ = made(data, tmp_path, negatives_per_positive=0.25)
    pairs, _ = made(data, tmp_path, negatives_per_positive=0.25, sizes={"european_st_t": 60})
    negatives = counted(whole, "positive")["european_st_t", False]
    assert negatives < 30 and counted(pairs, "positive")["european_st_t", False] == negatives
    assert counted(pairs)["european_st_t",] == 60


def test_a_size_of_no_subset(data, tmp_path):
    with pytest.raises(
        ConfigError, match=r"tasks\.localization\.sizes\.mit_bih_arythmia: .*did you mean 'mit_bih_arrhythmia'"
    ):
        made(data, tmp_path, sizes={"mit_bih_arythmia": 3})
    with pytest.raises(ConfigError, match=r"sizes\.mit_bih_st: at least 0, not -1"):
        made(data, tmp_path, sizes={"mit_bih_st": -1})
    assert not list(tmp_path.glob("*.arrow"))


@pytest.mark.parametrize(
    ("count", "there", "shares"),
    [
        (10, {"a": 6, "b": 3, "c": 1}, {"a": 6, "b": 3, "c": 1}),
        (5, {"a": 6, "b": 3, "c": 1}, {"a": 3, "b": 2, "c": 0}),
        (99, {"a": 2, "b": 1}, {"a": 2, "b": 1}),
        (0, {"a": 2}, {"a": 0}),
        (3, {}, {}),
        (1, {"a": 1, "b": 1}, {"a": 1, "b": 0}),
        (2, {"a": 0, "b": 5}, {"a": 0, "b": 2}),
    ],
)
def test_apportioned(count, there, shares):
    assert apportioned(count, there) == shares
