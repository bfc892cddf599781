"""Who has the highest score: counted over runs question by question, ties for each."""

import numpy as np
import pandas as pd

from anyecg.evaluation.differences import Setting
from anyecg.evaluation.wins import highest_grids


def rows(score, judge=None):
    part = pd.DataFrame({"id": [f"q{i}" for i in range(len(score))], "score": score})
    return {"multi_ecg": {"signal": part if judge is None else part.assign(judge=judge)}}


def test_each_run_counts_the_questions_on_which_no_other_scores_higher():
    settings = [
        Setting("a", None, {0: rows([5.0, 3.0, 0.0, 1.0], [5.0, np.nan, 2.0, 1.0])}),
        Setting("b", None, {0: rows([5.0, 4.0, 0.0, 0.0], [1.0, 4.0, 2.0, 0.0])}),
        Setting("c", None, {0: rows([4.0, 4.0, 0.0, 2.0], [1.0, 4.0, 2.0, 5.0])}),
    ]
    (grid,) = highest_grids(settings, "multi_ecg")
    assert grid.header == ["run", "findings judge", "LLM judge"]
    assert grid.rows == [["a", "2 of 4", "2 of 3"], ["b", "3 of 4", "1 of 3"], ["c", "3 of 4", "2 of 3"]]
    settings[1] = Setting("b", None, {0: rows([5.0, 4.0, 0.0, 0.0])})
    assert highest_grids(settings, "multi_ecg")[0].header == ["run", "findings judge"]  # one of them was not judged


def test_seeds_that_all_have_are_added_up():
    settings = [
        Setting("a", None, {0: rows([1.0, 2.0]), 1: rows([3.0]), 2: rows([9.0])}),
        Setting("b", None, {0: rows([2.0, 2.0]), 1: rows([1.0])}),
    ]
    (grid,) = highest_grids(settings, "multi_ecg")
    assert grid.rows == [["a", "2 of 3"], ["b", "2 of 3"]] and "over seeds 0, 1" in grid.notes
    settings[1] = Setting("b", None, {5: rows([1.0])})
    assert highest_grids(settings, "multi_ecg") == []


def test_a_task_that_does_not_rank_has_no_such_table():
    assert highest_grids([Setting("a", None, {0: {"localization": {"signal": pd.DataFrame()}}})], "localization") == []
