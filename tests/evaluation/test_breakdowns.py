"""Breakdowns: a group's interval is that of its own rows, labels of a set included, and few patients have none."""

import numpy as np
import pandas as pd
import pytest

from anyecg.evaluation import breakdowns, tables
from anyecg.evaluation.bootstrap import interval, paired_interval
from anyecg.tasks.classification.task import Classification
from anyecg.tasks.ecg_qa.task import ECGQA


def answers(right, seed):
    """Rows of ECG-QA: 60 questions a type, but for the rare one, of two a patient."""
    rng = np.random.default_rng(seed)
    types = ["verify"] * 60 + ["choose"] * 60 + ["rare"] * 4
    correct = rng.random(len(types)) < right
    return pd.DataFrame({"id": [f"q{i:03}" for i in range(len(types))], "patient": [f"p{i // 2}" for i in range(len(types))], "subset": "", "parsed": correct, "endless": False,
                         "question_type": types, "attribute_type": "scp_code", "correct": correct, "exact": correct})  # fmt: skip


def measured(task, rows, n=40):
    blocks = {view: task.blocks(part) for view, part in rows.items()}
    return blocks, *breakdowns.block_bounds(task, rows, blocks, n=n, seed=0, level=0.95)


def test_a_group_has_the_interval_of_its_rows_and_the_paired_difference():
    task, rows = ECGQA(), {"signal": answers(0.8, 0), "blind": answers(0.4, 1)}
    blocks, intervals, differences = measured(task, rows)
    parts = [part[part["question_type"] == "choose"] for part in rows.values()]
    assert intervals["signal"]["question type"]["choose"]["accuracy"] == pytest.approx(
        interval(parts[0], task.reduce, n=40)["accuracy"][1:]
    )
    assert differences["blind"]["question type"]["choose"] == pytest.approx(
        paired_interval(*parts, task.reduce, n=40)["accuracy"]
    )
    assert (
        set(intervals["signal"]["question type"]) == {"choose", "verify"}
        and "accuracy_macro" not in intervals["signal"]["question type"]["choose"]
    )
    assert blocks["signal"]["question type"]["rare"]["n_patients"] == 2 and "signal" not in differences


def test_the_labels_of_a_set_have_intervals_too():
    rng, n = np.random.default_rng(0), 50
    rows = pd.DataFrame(
        {
            "id": [f"q{i:02}" for i in range(n)],
            "patient": [f"p{i}" for i in range(n)],
            "subset": "ptbxl",
            "parsed": True,
            "endless": False,
        }
    )
    for label in ("A", "ST/T"):
        rows[f"score:ptbxl.super:{label}"], rows[f"asserted:ptbxl.super:{label}"] = rng.random(n), rng.random(n) < 0.5
        rows[f"label:ptbxl.super:{label}"] = np.where(np.arange(n) < 30, (rng.random(n) < 0.5).astype(float), np.nan)
    task = Classification()
    blocks, intervals, differences = measured(
        task, {"signal": rows, "blind": rows.assign(**{"score:ptbxl.super:A": 0.0})}
    )
    assert (
        blocks["signal"]["labels of ptbxl.super"]["A"]["n"] == 30
        and blocks["signal"]["labels of ptbxl.super"]["A"]["n_unparsed"] == 0
    )
    for label, found in intervals["signal"]["labels of ptbxl.super"].items():
        assert (
            set(found) == {"auc", "f1"}
            and found["auc"][0] < blocks["signal"]["labels of ptbxl.super"][label]["auc"] < found["auc"][1]
        )
    assert differences["blind"]["labels of ptbxl.super"]["ST/T"] == [0, 0, 0]


def test_tables_show_a_row_a_group_and_view():
    task, rows = ECGQA(), {"signal": answers(1, 0), "blind": answers(0, 1)}
    blocks, intervals, differences = measured(task, rows)
    views = {view: {"blocks": blocks[view], "block_intervals": intervals[view]} for view in rows}
    grid, _ = tables._breakdowns(  # by question type, by attribute type

        "ecg_qa", {"primary": "accuracy", "shown": task.shown, "views": views, "block_differences": differences}
    )
    one = "1.000 [1.000, 1.000]"
    assert grid.rows[:2] == [["choose", "with the ECG", one, "–", one, "60", "30", "0"],
                             ["", "blind", "0.000 [0.000, 0.000]", "+1.000 [+1.000, +1.000]", "0.000 [0.000, 0.000]", "60", "30", "60"]]  # fmt: skip
    assert grid.rows[2] == ["rare", "with the ECG", "1.000", "–", "1.000", "4", "2", "0"]
