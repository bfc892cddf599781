"""`stats`: its counts are those of the questions one by one, the paper's stand beside them, and projections are
lines through what was measured.
"""

import json
from collections import Counter

import numpy as np
import pytest

from anyecg.cli.data.stats import count, spread
from anyecg.config.schema import Slot
from anyecg.data.__main__ import main
from anyecg.data.dataset.built import open_dataset
from anyecg.data.dataset.data import Data
from anyecg.data.dataset.questions_file import BATCH, Questions, write_questions
from anyecg.tasks.dataset import build_dataset
from anyecg.types import Window
from tests.building import tasks

SOURCES = {"mimic": {"patients": 25}, "ptbxl": {"patients": 30}, "mit_bih_arrhythmia": {"patients": 6, "seconds": 75.0}}
KEYS = ("records", "seconds", "workers", "bytes", "peak_bytes", "peak_bytes_worker")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stats") / "dataset"
    questions = tasks(localization={"windows_per_record": 3}, ecg_qa={"folders": {"ptbxl": "simulated"}})
    build_dataset(
        {name: Slot.of("corpus", name, **of) for name, of in SOURCES.items()}, questions, folder, progress=False
    )
    return folder


@pytest.fixture
def measured(dataset, tmp_path):
    """Makes a dataset beside the first, as if its build had been measured (without values: not)."""

    def make(name, *values, text=None):
        folder = tmp_path / name
        folder.mkdir()
        for path in dataset.iterdir():
            if path.name != "measured.json":
                (folder / path.name).symlink_to(path)
        if values or text:
            (folder / "measured.json").write_text(text or json.dumps(dict(zip(KEYS, values))))
        return str(folder)

    return make


def stats(capsys, *arguments):
    assert main(["stats", *map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_counts_are_those_of_the_questions_one_by_one(dataset, capsys):
    data = open_dataset(dataset)
    found = stats(capsys, dataset)
    assert found["questions"] == len(data.questions)
    assert {(task, subset) for task, one in found["tasks"].items() for subset in one["subsets"]} == {
        (s.task, s.subset) for s in data.questions
    }
    assert set(found["tasks"]) == {"report", "localization", "multi_ecg", "ecg_qa", "classification"}
    splits = data.questions.column("split")
    for task, whole in found["tasks"].items():
        for subset, told in [(None, whole), *whole["subsets"].items()]:
            rows = [
                (split, sample)
                for split, sample in zip(splits, data.questions)
                if sample.task == task and subset in (None, sample.subset)
            ]
            samples = [sample for _, sample in rows]
            assert told["questions"] == len(rows)
            assert {name: told[name] for name in ("train", "val", "test")} == {
                "train": 0,
                "val": 0,
                "test": 0,
            } | Counter(split for split, _ in rows)
            if task == "localization":
                assert told["positive"] == sum(bool(sample.meta["intervals"]) for sample in samples) > 0
                assert told["positive"] + told["negative"] == len(rows)
            else:
                assert "positive" not in told
            windows = [window for sample in samples for window in sample.records]
            for name, values in {
                "ecgs": [len(sample.records) for sample in samples],
                "answer_words": [len(sample.answer.split()) for sample in samples],
                "ecg_seconds": [data.stores.seconds(window.record) for window in windows],
                "window_seconds": [data.stores.seconds(window) for window in windows],
                "leads": [data.stores.read(Window(window.record))[1].sum() for window in windows],
            }.items():
                assert list(told[name].values()) == pytest.approx([min(values), np.median(values), max(values)]), (
                    task,
                    subset,
                    name,
                )
            assert told["by_ecgs"] == {
                str(number): count for number, count in Counter(len(sample.records) for sample in samples).items()
            }


def test_many_questions_are_counted_a_few_batches_at_a_time(dataset, tmp_path, monkeypatch):
    data = open_dataset(dataset)
    pairs = list(zip(data.questions.column("split"), data.questions))
    write_questions(tmp_path / "many.arrow", pairs * (1 + 3 * BATCH // len(pairs)), data.questions.info)
    many = Data(data.stores, Questions(tmp_path / "many.arrow"), "")
    whole = count(many)
    monkeypatch.setattr("anyecg.cli.data.stats.TOGETHER", 1)
    assert count(many) == whole
    assert (
        whole["report"]["mimic"].split["train"]
        == (1 + 3 * BATCH // len(pairs)) * count(data)["report"]["mimic"].split["train"]
        > 0
    )


def test_sources_are_told_with_their_hours(dataset, capsys):
    sources = stats(capsys, dataset)["sources"]
    assert set(sources) == set(SOURCES)
    assert sources["mit_bih_arrhythmia"] == {
        "records": 6,
        "hours": pytest.approx(6 * 75 / 3600, abs=0.01),
        "skipped": 0,
    }


def test_the_papers_numbers_stand_beside_the_tasks_they_are_known_of(dataset, capsys):
    tasks = stats(capsys, dataset)["tasks"]
    assert {task: one["paper"] for task, one in tasks.items()} == {
        "report": 773268,
        "localization": 150075,
        "multi_ecg": 135094,
        "ecg_qa": 33220,
        "classification": None,
    }
    assert (
        tasks["localization"]["subsets"]["mit_bih_arrhythmia"]["paper"] == 54440
        and tasks["multi_ecg"]["subsets"]["2"]["paper"] is None
    )
    assert main(["stats", str(dataset)]) == 0
    lines = capsys.readouterr().out.splitlines()
    line = next(line for line in lines if "│ localization " in line)
    assert (
        line.split("│")[2].strip() == f"{tasks['localization']['questions']:,}"
        and line.split("│")[-2].strip() == "150,075"
    )
    assert any(line.startswith("paper: Table 2") for line in lines) and any("2 ECGs" in line for line in lines)


def test_the_middle_of_counted_values_is_their_median():
    for seed in range(20):
        values = np.random.default_rng(seed).integers(0, 9, 1 + seed)
        assert spread(Counter(values.tolist())) == (values.min(), np.median(values), values.max())


def test_in_proportion_to_one_build(measured, capsys):
    found = stats(capsys, measured("one", 1000, 100.0, 1, 5e6, 1e9, 7e8), "--project", "800000")["projection"]
    # one worker is the process itself
    assert (found["time"], found["disk"], found["memory"]) == pytest.approx((80_000, 4e9, 8e11))
    assert "upper bound" in found["note"] and not any(found["fixed"].values())


@pytest.mark.parametrize("order", [1, -1])
def test_on_the_line_through_two_builds(measured, capsys, order):
    small, large = (2000, 30.0, 2, 52e6, 5e8, 2e8), (40000, 410.0, 2, 1002e6, 5.38e8, 1.9e8)
    first, other = [measured("small", *small), measured("large", *large)][::order]
    found = stats(capsys, first, "--project", "800000", "--also", other)["projection"]
    assert found["each_record"] == pytest.approx({"time": 0.01, "disk": 25e3, "memory": 18e6 / 38e3})
    assert (
        found["fixed"] == pytest.approx({"time": 10.0, "disk": 2e6, "memory": 9e8 - 18e6 / 19})
        and found["workers"] == 2
    )
    assert found["time"] == pytest.approx(8010.0)
    assert main(["stats", first, "--project", "800000", "--also", other]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert (
        "Building 800,000 records, 2 workers" in told
        and "2.2 h" in told
        and "20.0 GB" in told
        and "A line through both" in told
    )


def test_memory_that_shrank_is_taken_not_to_grow(measured, capsys):
    small, large = measured("small", 2000, 30.0, 1, 5e7, 9e8, 0), measured("large", 40000, 410.0, 1, 1e9, 8.9e8, 0)
    found = stats(capsys, large, "--project", "800000", "--also", small)["projection"]
    assert found["memory"] == found["fixed"]["memory"] == pytest.approx(8.9e8)


def test_what_its_user_can_mend(dataset, measured, tmp_path, capsys):
    small, twin, slower = (
        measured("small", 10, 1.0, 1, 1, 1, 1),
        measured("twin", 10, 1.0, 1, 1, 1, 1),
        measured("slower", 20, 1.0, 2, 1, 1, 1),
    )
    cut, unmeasured, alone = (
        measured("cut", text='{"records": 1'),
        measured("unmeasured"),
        measured("alone", 20, 1.0, 2, 1, 1, 0),
    )
    for arguments, message in [
        ([tmp_path / "nowhere"], "no finished dataset"), ([dataset, "--project", "0"], "--project 0"), ([dataset, "--also", small], "give --project"),
        ([unmeasured, "--project", "9"], "measured.json is missing"), ([cut, "--project", "9"], "measured.json is damaged"),
        ([small, "--project", "9", "--also", twin], "fewer records"), ([small, "--project", "9", "--also", slower], "as many workers"),
        ([slower, "--project", "9", "--also", alone], "20 records of mimic, mit_bih_arrhythmia, ptbxl by 1 worker"),
    ]:  # fmt: skip
        assert main(["stats", *map(str, arguments)]) == 2
        assert message in " ".join(capsys.readouterr().err.split())
