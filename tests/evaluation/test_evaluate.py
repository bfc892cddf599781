"""Evaluation end to end: resume after a kill, the same bytes on a rerun, controls and the pictures and tables made of them."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from anyecg.evaluation import bars, figures, tables
from anyecg.evaluation.predictions import _claim
from anyecg.evaluation.evaluate import evaluate
from anyecg.tasks.localization.task import Localization
from anyecg.tasks.multi_ecg.task import MultiECG
from anyecg.types import AnyECGError, DataError, ECGSample, Prediction, Turn, Window

from tests.training.test_resume import disk_of


def localization(i):
    intervals = [[1.0 + i / 10, 2.0 + i / 10]] if i % 2 else []
    answer = f"Duration: {intervals[0][0]:.1f}s-{intervals[0][1]:.1f}s" if intervals else "No PVC Found"
    return ECGSample(
        id=f"loc{i}", task="localization", patient=f"p{i % 8}", subset="mit_bih_arrhythmia", records=(Window(f"loc{i}"),),
        conversation=(Turn("user", "<ecg> PVC?"), Turn("assistant", answer)), evidence=(answer,),
        meta={"name": "PVC", "symbol": "V", "seconds": 10.0, "intervals": intervals},
    )  # fmt: skip


def multi(i):
    yes = bool(i % 2)
    answer = f"{'Yes' if yes else 'No'}, the second ECG {'shows' if yes else 'does not show'} atrial fibrillation."
    return ECGSample(
        id=f"multi{i}", task="multi_ecg", patient=f"p{i % 6}", subset="2", records=(Window(f"m{i}a"), Window(f"m{i}b")),
        conversation=(Turn("user", "<ecg><ecg>?"), Turn("assistant", answer)), evidence=(answer, answer),
        meta={"kind": "present", "findings": [[], []], "reference": {"finding": "atrial_fibrillation", "answer": "yes" if yes else "no"}},
    )  # fmt: skip


SAMPLES = {"localization": [localization(i) for i in range(24)], "multi_ecg": [multi(i) for i in range(18)]}
TASKS = {"localization": Localization(), "multi_ecg": MultiECG()}


class Reader:
    """Reads each sample's evidence (so a shuffled ECG misleads it), says one thing when blind, and can be killed."""

    def __init__(self, dies_after=None):
        self.asked, self.left = [], dies_after

    def __call__(self, samples, view, answered=()):
        for sample in (one for one in samples[::-1] if one.id not in answered):
            if self.left is not None and not self.left:
                raise KeyboardInterrupt
            self.left = None if self.left is None else self.left - 1
            self.asked.append((view, sample.id))
            yield Prediction(sample.id, "No PVC Found" if view == "blind" else sample.evidence[-1])


def run(folder, reader=None, **options):
    return evaluate(reader or Reader(), SAMPLES, TASKS, folder, bootstrap=50, progress=False, **options)


def test_a_reader_of_the_signal_beats_both_controls(tmp_path):
    metrics = run(tmp_path)
    assert metrics == json.loads((tmp_path / "metrics.json").read_text())
    for name, task in metrics["tasks"].items():
        primary = task["primary"]
        assert task["n"] == len(SAMPLES[name]) and task["n_patients"] == len({s.patient for s in SAMPLES[name]})
        assert task["views"]["signal"]["metrics"][primary] == (5 if name == "multi_ecg" else 1)
        for control in ("blind", "shuffled"):
            difference, low, high = task["differences"][control][primary]
            assert 0 < low <= difference <= high
            assert difference == pytest.approx(task["views"]["signal"]["metrics"][primary] - task["views"][control]["metrics"][primary], abs=2e-6)
    assert metrics["tasks"]["multi_ecg"]["views"]["blind"]["unparsed"] == 0
    assert metrics["tasks"]["localization"]["views"]["blind"]["metrics"]["iou_balanced"] == 0.5


def test_saved_rows_give_the_metrics_again(tmp_path):
    metrics = run(tmp_path)
    for name, task in TASKS.items():
        rows = pd.read_parquet(tmp_path / "scores" / f"{name}.parquet")
        for view, part in rows.groupby("view"):
            assert task.reduce(part) == pytest.approx(metrics["tasks"][name]["views"][view]["metrics"], abs=1e-6)


@pytest.mark.parametrize("answered", [0, 1, 30, 100, 126])
def test_a_killed_evaluation_resumes_without_asking_twice_and_gives_the_same_bytes(tmp_path, answered):
    whole = run(tmp_path / "whole")
    first, second = Reader(answered), Reader()
    if answered < 126:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed", first)
    else:
        run(tmp_path / "killed", first)
    with (tmp_path / "killed" / "predictions.jsonl").open("ab") as file:
        file.write(b'{"id": "loc3", "task": "localiz\xc3')  # the half line a kill leaves
    assert run(tmp_path / "killed", second) == whole
    assert len(first.asked) == answered and not set(first.asked) & set(second.asked) and len(second.asked) == 126 - answered
    assert (tmp_path / "killed" / "metrics.json").read_bytes() == (tmp_path / "whole" / "metrics.json").read_bytes()
    lines = [json.loads(line) for line in (tmp_path / "killed" / "predictions.jsonl").read_text().splitlines()]
    assert len({(line["task"], line["view"], line["id"]) for line in lines}) == len(lines) == 126
    third = Reader()
    before = (tmp_path / "killed" / "metrics.json").read_bytes()
    run(tmp_path / "killed", third)
    assert not third.asked and (tmp_path / "killed" / "metrics.json").read_bytes() == before


def test_a_damaged_line_is_named(tmp_path):
    run(tmp_path)
    path = tmp_path / "predictions.jsonl"
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], "not json", *lines[5:]]) + "\n")
    with pytest.raises(DataError, match="line 5"):
        run(tmp_path)


def test_answers_of_another_model_are_not_mixed_in(tmp_path):
    run(tmp_path, key="a")
    with pytest.raises(DataError, match="another model"):
        run(tmp_path, key="b")


def test_a_file_of_another_version_is_refused(tmp_path):
    run(tmp_path)
    (tmp_path / "predictions.key").write_text("the key alone, as it once was")
    with pytest.raises(DataError, match="predictions.jsonl was written by another version.*move it away"):
        run(tmp_path)
    (tmp_path / "predictions.key").unlink()
    with pytest.raises(DataError, match="another version"):
        run(tmp_path)


@pytest.mark.parametrize("line", ['{"id": "loc0", "task": "localization", "view": "signal"}', '{"id": "loc0", "task": "localization", "view": "signal", "text": null}',
                                  '{"id": 3, "task": "localization", "view": "signal", "text": "a"}', "[1]"])
def test_a_line_of_another_form_is_named(tmp_path, line):
    path = tmp_path / "predictions.jsonl"
    run(tmp_path)
    path.write_text("\n".join([*path.read_text().splitlines()[:2], line]) + "\n")
    with pytest.raises(DataError, match="line 3: not a prediction"):
        run(tmp_path)


def test_endless_answers_are_counted(tmp_path):
    def babble(samples, view):
        return (Prediction(sample.id, "no " * 5000) for sample in samples)

    metrics = evaluate(babble, SAMPLES, {"localization": Localization()}, tmp_path, views=["signal"], bootstrap=0, progress=False)
    assert metrics["tasks"]["localization"]["views"]["signal"]["endless"] == metrics["tasks"]["localization"]["n"]


def test_bad_calls_are_refused_by_name(tmp_path):
    def silent(samples, view):
        return iter(())

    def stranger(samples, view):
        yield Prediction("who", "")

    for bad, message in ((silent, "24 questions stayed without an answer: loc0"), (stranger, "question who")):
        with pytest.raises(DataError, match=message):
            run(tmp_path / message[:2], bad)
    with pytest.raises(DataError, match="task localization: there are no questions"):
        evaluate(Reader(), {"localization": []}, {"localization": Localization()}, tmp_path, progress=False)
    with pytest.raises(DataError, match="deaf"):
        run(tmp_path, views=["signal", "deaf"])


def test_the_shuffled_view_knows_a_questions_second_patient(tmp_path):
    asked = []

    def reader(samples, view):
        asked.extend(samples)
        return (Prediction(sample.id, "") for sample in samples)

    patients = {f"m{i}{letter}": f"p{(i + (letter == 'b') * 2) % 6}" for i in range(18) for letter in "ab"}
    evaluate(reader, SAMPLES, {"multi_ecg": MultiECG()}, tmp_path, views=["shuffled"], patients=patients, bootstrap=0, progress=False)
    own = {sample.id: {patients[window.record] for window in sample.records} for sample in SAMPLES["multi_ecg"]}
    assert len(asked) == 18 and all(not own[one.id] & {patients[window.record] for window in one.records} for one in asked)


def test_a_lead_is_withheld_in_localization_only(tmp_path):
    views = ["signal", "first_lead_masked", "random_lead_masked"]
    reader = Reader()
    metrics = run(tmp_path, reader, views=views)
    assert {view for view, id in reader.asked if id.startswith("multi")} == {"signal"}
    assert {view for view, id in reader.asked if id.startswith("loc")} == set(metrics["tasks"]["localization"]["views"]) == set(views)
    assert set(metrics["tasks"]["localization"]["differences"]) == set(views[1:]) and not metrics["tasks"]["multi_ecg"]["differences"]
    text = tables.table(metrics)
    assert "| first lead masked | 1.000" in text and "| random lead masked | 1.000" in text
    with pytest.raises(DataError, match="task multi_ecg: is asked in none of the views first_lead_masked"):
        run(tmp_path / "alone", views=["first_lead_masked"])


def test_one_patient_or_no_bootstrap_leaves_intervals_out(tmp_path):
    alone = {"localization": [replace(s, patient="p") for s in SAMPLES["localization"]]}
    metrics = evaluate(Reader(), alone, {"localization": Localization()}, tmp_path, views=["signal", "blind"], progress=False)
    task = metrics["tasks"]["localization"]
    assert task["differences"] == {} and task["views"]["signal"]["intervals"] == {}
    assert "| with the ECG | 1.000 | – |" in tables.table(metrics)


def test_tables_show_controls_intervals_counts_and_the_paper(tmp_path):
    metrics = run(tmp_path)
    text = tables.table(metrics, {"localization": ("iou_balanced", 0.5), "multi_ecg": ("score", None)})
    assert "| paper (other data and weights) | 0.500 |" in text and "| paper (other data and weights) | – |" in text
    for words in ("blind (no ECG)", "shuffled", "| 24 | 8 | 0 |", "iou_balanced", "by abnormality", "ECG − this [95 %]"):
        assert words in text
    console = Console(width=160, record=True, quiet=True)
    console.print(tables.terminal(metrics))
    assert text.count("\n### ") > 4


def test_pictures_are_drawn_from_what_a_run_leaves(tmp_path):
    metrics = run(tmp_path)
    curve = {"step": [1, 2, 3], "loss": [3.0, None, 1.0]}
    example = {"title": "PVC?", "leads": ["II"], "signal": np.random.default_rng(0).integers(-99, 99, (1, 1000)).tolist(), "truth": [[1, 2]], "answer": [[1.5, 3]]}
    drawn = [
        *bars.run_figures(metrics, tmp_path),
        *figures.loss_curves({"stage 1": curve, "stage 2": curve | {"validation_loss": [3, 2, 1]}}, tmp_path / "figures" / "loss"),
        *figures.localization_example(example, tmp_path / "example"),
        *figures.localization_example(example | {"truth": [], "answer": None}, tmp_path / "unreadable"),
    ]
    assert len(drawn) == 12 and all(path.stat().st_size > 1000 for path in drawn)
    with pytest.raises(DataError, match="no loss curves"):
        figures.loss_curves({}, tmp_path / "loss")
    with pytest.raises(DataError, match="without leads"):
        figures.localization_example(example | {"leads": []}, tmp_path / "none")


def test_a_disk_that_is_full_leaves_the_key_of_the_answers_as_it_was(tmp_path):
    path, predictions = tmp_path / "predictions.key", tmp_path / "predictions.jsonl"
    _claim(path, predictions, "key")
    predictions.touch()
    with disk_of(5), pytest.raises(AnyECGError, match="predictions.key: could not be written"):
        _claim(path, predictions, "key")
    _claim(path, predictions, "key")
