"""Scores on disk: of one version, and beside each a fingerprint of what was asked."""

from dataclasses import replace

import pandas as pd
import pytest

from anyecg.compare import main
from anyecg.evaluation.comparison import compare, read_run
from anyecg.evaluation.differences import Setting, measure
from anyecg.evaluation.published import load
from anyecg.evaluation.scores import asked
from anyecg.types import DataError, Turn, Window
from tests.cli.test_compare import make_run, sample


def moved(i):
    """The question of the same id and patient over another window of the record, the answer with it."""
    one = sample(i)
    return replace(one, records=(Window(f"r{i}", 20.0, 30.0),)) if i in (2, 7) else one


@pytest.mark.parametrize("other", [
    replace(sample(1), records=(Window("r1", 1.0),)), replace(sample(1), records=(Window("r2"),)), replace(sample(1), meta={"name": "PVC"}),
    replace(sample(1), conversation=(sample(1).conversation[0], Turn("assistant", "Duration: 1.0s-2.0s"))),
])  # fmt: skip
def test_a_fingerprint_changes_with_what_is_asked_and_what_is_true(other):
    assert asked(sample(1)) == asked(sample(1)) and asked(other) != asked(sample(1)) and other.id == sample(1).id


def test_runs_with_the_same_ids_over_other_windows_are_refused_by_id(tmp_path, capsys):
    one = make_run(tmp_path / "one", "Duration: 1.0s-3.0s", {"name": "one"})
    two = make_run(tmp_path / "two", "Duration: 1.0s-3.0s", {"name": "two"}, ask=moved)
    with pytest.raises(
        DataError, match="one and two were not asked the same questions: 2 ids such as q2, q7 stand for other"
    ):
        compare([read_run(one), read_run(two)])
    assert main([str(one), str(two)]) == 2 and "q2, q7" in capsys.readouterr().err


def test_seeds_may_ask_other_questions_as_long_as_each_pair_of_runs_asks_the_same(tmp_path):
    rows = {}
    for name in ("first", "other"):
        for seed, ask in ((0, sample), (1, moved)):
            rows[name, seed] = read_run(
                make_run(tmp_path / f"{name}{seed}", "Duration: 1.0s-3.0s", {"name": name}, ask=ask)
            ).rows
    settings = [Setting(name, None, {seed: rows[name, seed] for seed in (0, 1)}) for name in ("first", "other")]
    assert [cell.seeds for cell in measure(settings, "localization", load(), n=20)] == [(0, 1)] * 2
    with pytest.raises(DataError, match="q2, q7"):
        list(measure([settings[0], Setting("other", None, {0: rows["other", 1]})], "localization", load(), n=20))


def test_scores_of_another_version_say_how_to_score_anew(tmp_path, capsys):
    runs = [make_run(tmp_path / name, "Duration: 1.0s-3.0s", {"name": name}) for name in ("new", "old")]
    path = runs[1] / "scores" / "localization.parquet"
    pd.DataFrame(pd.read_parquet(path).to_dict("list")).drop(columns=["patient", "question"]).to_parquet(path)
    assert main([str(run) for run in runs]) == 2
    told = capsys.readouterr().err
    assert (
        str(path) in told
        and "another version" in told
        and f"delete {runs[1] / 'finished'}" in told
        and "asks the model nothing" in told
    )
