"""The script for a GPU: parts in processes of their own, each for as long as it may, whatever one of them does."""

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import gpu_check, gpu_parts
from benchmarks.gpu_check import Clock, Part, Runner, report, table

ROOT = Path(__file__).parents[1]
LEFT = {"report.md", "rows.jsonl", "log.txt", "profile.txt", "loss.csv", "loss.png", "table.md"}


@pytest.fixture
def runner(tmp_path, monkeypatch):
    monkeypatch.delenv(gpu_check.BEGAN, raising=False)
    return Runner(tmp_path, tmp_path / "work", True, Clock(60))


def test_what_fails_or_takes_too_long_stops_nothing_else(runner, monkeypatch):
    def fails(check):
        check.record(setting="before", samples_s=2.0)
        raise ValueError("no card here")

    def sleeps(check):
        check.record(setting="begun")
        time.sleep(60)

    for name, function in (("fails", fails), ("sleeps", sleeps), ("well", lambda check: check.record(setting="done"))):
        monkeypatch.setattr(gpu_parts, name, function, raising=False)
    parts = [Part("fails", 10, "F"), Part("sleeps", 0.5, "S"), Part("well", 10, "W")]
    began = time.monotonic()
    assert [runner.run(part) for part in parts] == [False, False, True]
    assert time.monotonic() - began < 10
    told = {part.name: [row for row in runner.rows(part.name) if "took_s" not in row] for part in parts}
    assert told["fails"][0]["setting"] == "before" and "ValueError: no card here" in told["fails"][1]["failed"]
    assert told["sleeps"][0]["setting"] == "begun" and told["sleeps"][1]["failed"].startswith("stopped after 0")
    assert told["well"] == [{"part": "well", "setting": "done"}]
    text = report(runner, parts, 1.0)
    assert "### F" in text and "| before | 2.00 |  |" in text and "stopped after" in text


def test_what_is_not_begun_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv(gpu_check.BEGAN, str(time.time() - 1000))
    late = Runner(tmp_path, tmp_path, True, Clock(525))
    assert not late.run(Part("facts", 30, "The card"))
    assert late.rows("facts")[0]["failed"] == "not begun: no time was left"


def test_all_parts_end_in_nine_minutes_and_have_their_function():
    assert gpu_check.TOTAL <= 540 and sum(part.seconds for part in gpu_check.PARTS) <= 540
    assert all(callable(getattr(gpu_parts, part.name)) for part in gpu_check.PARTS)


def test_a_table_has_the_columns_that_are_filled():
    assert table([{"setting": "a|b", "mfu": 0.5}, {"setting": "c", "mfu": None}]) == [
        "|  | MFU |", "|---|---|", "| a\\|b | 50.0% |", "| c |  |"]  # fmt: skip


def test_the_wheels_are_those_of_the_constraints():
    pinned = set((ROOT / "constraints.txt").read_text().split())
    known = {line.partition("==")[0] for line in pinned}
    for line in (ROOT / "benchmarks/gpu_wheels.txt").read_text().splitlines():
        if not line.startswith("#") and line.partition("==")[0] in known:
            assert line in pinned


@pytest.mark.slow
def test_the_same_code_runs_dry(tmp_path):
    """At toy sizes on a CPU, as CI has it; in a process of its own, which has not imported the tests for a card."""
    command = [sys.executable, "-m", "benchmarks.gpu_check", "--dry", "--out", str(tmp_path)]
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    said = (tmp_path / "log.txt").read_text()[-3000:]
    assert code == 0, (tmp_path / "report.md").read_text() + said
    assert {path.name for path in tmp_path.iterdir()} <= LEFT and len(LEFT) <= 8
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert {row["part"] for row in rows} == {part.name for part in gpu_check.PARTS}
    outcomes = [row["outcome"] for row in rows if row["part"] == "tests" and "outcome" in row]
    assert outcomes.count("passed") >= 16 and set(outcomes) <= {"passed", "skipped"}
    assert (tmp_path / "loss.csv").read_text().startswith("stage,step")
    text = (tmp_path / "report.md").read_text()
    assert "## On a CPU, at toy sizes" in text and "tokens/s" in text
