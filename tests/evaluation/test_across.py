"""Figures over several runs: what they draw, and what they leave out."""

import pytest
from matplotlib.image import imread

from anyecg.evaluation.across import along, side_by_side
from anyecg.types import DataError


def task(value, group=None):
    def view(value):
        blocks = {"subset": {group: {"m": value, "n": 7}}} if group else {}
        ends = {"subset": {group: {"m": [value - 0.1, value + 0.1]}}} if group else {}
        return {"metrics": {"m": value, "s": value / 2}, "intervals": {"m": [value - 0.1, value + 0.1]}, "blocks": blocks,
                "block_intervals": ends}  # fmt: skip

    return {"primary": "m", "shown": ["s"], "n": 30,
            "views": {"signal": view(value), "blind": view(0.2), "shuffled": view(0.3), "prior": view(0.25)}}  # fmt: skip


def test_runs_stand_side_by_side_over_all_questions_or_a_group(tmp_path):
    runs = {"one": task(0.5), "two": task(0.6, "ptbxl")}
    png, pdf = side_by_side(runs, [], "", tmp_path / "all")
    one, _ = side_by_side({"two": runs["two"]}, ["m"], "ptbxl", tmp_path / "group")
    assert pdf.stat().st_size > 1000 and imread(png).shape[1] > imread(one).shape[1]  # a panel a metric
    with pytest.raises(DataError, match="none of one has m of ptbxl"):
        side_by_side({"one": runs["one"]}, ["m"], "ptbxl", tmp_path / "none")


def test_runs_are_ordered_by_size(tmp_path):
    runs = {"large": task(0.7, "mimic"), "small": task(0.5, "mimic")}
    png, _ = along(runs, {"large": 7_000_000_000, "small": 345_000_000}, "parameters", [], "mimic", tmp_path / "x")
    assert imread(png).shape[0] > 100
