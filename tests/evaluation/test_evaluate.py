"""Evaluation end to end: resume after a kill, the same bytes on a rerun, controls and the pictures and tables made
of them.
"""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from anyecg.answerers.base import Answerer
from anyecg.evaluation import bars, figures, tables
from anyecg.evaluation.evaluate import evaluate, predict_share
from anyecg.evaluation.predictions import PredictionStore, read_predictions
from anyecg.tasks.localization.figures import localization_example
from anyecg.tasks.localization.task import Localization
from anyecg.tasks.multi_ecg.task import MultiECG
from anyecg.types import DataError, DiskFullError, ECGSample, Prediction, Turn, Window
from tests.conftest import Answering
from tests.training.test_resume import disk_of


def localization(i):
    intervals = [[1.0 + i / 10, 2.0 + i / 10]] if i % 2 else []
    answer = f"Duration: {intervals[0][0]:.1f}s-{intervals[0][1]:.1f}s" if intervals else "No PVC Found"
    return ECGSample(
        id=f"loc{i}", task="localization", patient=f"p{i % 22}", subset="mit_bih_arrhythmia", records=(Window(f"loc{i}"),),
        conversation=(Turn("user", "<ecg> PVC?"), Turn("assistant", answer)), evidence=(answer,),
        meta={"name": "PVC", "symbol": "V", "seconds": 10.0, "intervals": intervals},
    )  # fmt: skip


def multi(i):
    yes = bool(i % 2)
    answer = f"{'Yes' if yes else 'No'}, the second ECG {'shows' if yes else 'does not show'} atrial fibrillation."
    return ECGSample(
        id=f"multi{i}", task="multi_ecg", patient=f"p{i % 21}", subset="2", records=(Window(f"m{i}a"), Window(f"m{i}b")),
        conversation=(Turn("user", "<ecg><ecg>?"), Turn("assistant", answer)), evidence=(answer, answer),
        meta={"kind": "present", "findings": [[], []], "reference": {"finding": "atrial_fibrillation", "answer": "yes" if yes else "no"}},
    )  # fmt: skip


SAMPLES = {"localization": [localization(i) for i in range(24)], "multi_ecg": [multi(i) for i in range(24)]}
TASKS = {"localization": Localization(), "multi_ecg": MultiECG()}


class Reader(Answerer):
    """Reads each sample's evidence (so a shuffled ECG misleads it), says one thing when blind, and can be killed."""

    def __init__(self, dies_after=None, key="k"):
        self.asked, self.left, self.key = [], dies_after, key

    def answer(self, samples, view, answered=()):
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
            assert difference == pytest.approx(
                task["views"]["signal"]["metrics"][primary] - task["views"][control]["metrics"][primary], abs=2e-6
            )
    assert metrics["tasks"]["multi_ecg"]["views"]["blind"]["unparsed"] == 0
    assert metrics["tasks"]["localization"]["views"]["blind"]["metrics"]["iou_balanced"] == 0.5


def test_saved_rows_give_the_metrics_again(tmp_path):
    metrics = run(tmp_path)
    for name, task in TASKS.items():
        rows = pd.read_parquet(tmp_path / "scores" / f"{name}.parquet")
        for view, part in rows.groupby("view"):
            assert task.reduce(part) == pytest.approx(metrics["tasks"][name]["views"][view]["metrics"], abs=1e-6)


@pytest.mark.parametrize("answered", [0, 1, 30, 100, 144])
def test_a_killed_evaluation_resumes_without_asking_twice_and_gives_the_same_bytes(tmp_path, answered):
    whole = run(tmp_path / "whole")
    first, second = Reader(answered), Reader()
    if answered < 144:
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path / "killed", first)
    else:
        run(tmp_path / "killed", first)
    for file in (tmp_path / "killed" / "kept").rglob("*.jsonl"):
        with file.open("ab") as kept:
            kept.write(b'{"id": "loc3", "key": "localiz\xc3')  # the half line a kill leaves
    assert run(tmp_path / "killed", second) == whole
    assert (
        len(first.asked) == answered
        and not set(first.asked) & set(second.asked)
        and len(second.asked) == 144 - answered
    )
    for name in ("metrics.json", "predictions.jsonl"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    lines = [json.loads(line) for line in (tmp_path / "killed" / "predictions.jsonl").read_text().splitlines()]
    assert len({(line["task"], line["view"], line["id"]) for line in lines}) == len(lines) == 144
    third = Reader()
    before = (tmp_path / "killed" / "metrics.json").read_bytes()
    run(tmp_path / "killed", third)
    assert not third.asked and (tmp_path / "killed" / "metrics.json").read_bytes() == before


def kept(folder, view="signal"):
    """The kept predictions of a view with the answerer `k`."""
    (path,) = (folder / "kept").rglob(f"*-{view}.jsonl")
    return path


def test_a_damaged_line_is_asked_again(tmp_path, caplog):
    expected = run(tmp_path)
    path = kept(tmp_path)
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join([*lines[:4], "not json", '{"id": 3}', '{"id": "a", "key": "b", "text": null}', *lines[5:]]) + "\n"
    )
    again = Reader()
    assert run(tmp_path, again) == expected
    assert len(again.asked) == 1 and "3 lines cannot be read" in caplog.text


def test_predictions_of_another_answerer_stand_apart(tmp_path):
    run(tmp_path, Reader(key="a"))
    other = Reader(key="b")
    run(tmp_path, other)
    assert len(other.asked) == 144


def test_another_statistic_view_task_or_limit_asks_for_nothing_that_is_kept(tmp_path):
    store = PredictionStore(tmp_path / "shared")
    some = {"localization": SAMPLES["localization"][:10]}
    evaluate(
        Reader(),
        some,
        {"localization": Localization()},
        tmp_path / "some",
        views=["signal"],
        bootstrap=0,
        store=store,
        progress=False,
    )
    every = Reader()
    first = run(tmp_path / "all", every, store=store)
    assert len(every.asked) == 134
    again = Reader()
    evaluate(again, SAMPLES, TASKS, tmp_path / "more", bootstrap=100, store=store, progress=False)
    evaluate(
        again,
        some,
        {"localization": Localization()},
        tmp_path / "less",
        views=["signal", "blind"],
        bootstrap=10,
        store=store,
        progress=False,
    )
    assert not again.asked
    assert run(tmp_path / "fresh", Reader()) == first
    for name in ("predictions.jsonl", "metrics.json"):
        assert (tmp_path / "fresh" / name).read_bytes() == (tmp_path / "all" / name).read_bytes()


def test_a_question_that_is_put_otherwise_is_asked_again(tmp_path):
    store, one = PredictionStore(tmp_path), SAMPLES["localization"][0]
    variants = [one, replace(one, conversation=(Turn("user", "<ecg> A PVC?"), one.conversation[1])), replace(one, records=(Window("loc0", 1.0),)),
                replace(one, meta={**one.meta, "seconds": 9.0})]  # fmt: skip
    asked = []
    for variant in [
        *variants,
        *variants,
        replace(one, evidence=("other",)),
        replace(one, conversation=(one.conversation[0], Turn("assistant", "x"))),
    ]:
        reader = Reader()
        store.predict(reader, [variant], "signal")
        asked.append(len(reader.asked))
    assert asked == [1] * 4 + [0] * 6  # neither the true answer nor the evidence is put


def test_a_prediction_is_kept_with_its_company(tmp_path):
    class InPairs(Reader):
        def company(self, samples, view):
            return {
                sample.id: [other.id for other in samples[place // 2 * 2 : place // 2 * 2 + 2]]
                for place, sample in enumerate(samples)
            }

    store, samples = PredictionStore(tmp_path), SAMPLES["localization"]
    asked = []
    for n in (5, 8, 8, 6):
        reader = InPairs()
        store.predict(reader, samples[:n], "signal")
        asked.append(sorted(int(id.removeprefix("loc")) for _, id in reader.asked))
    assert asked == [[0, 1, 2, 3, 4], [4, 5, 6, 7], [], []]  # the fifth was alone at first


@pytest.mark.parametrize("world", [2, 3])
def test_processes_that_divide_the_questions_give_the_bytes_of_one(tmp_path, world):
    """Each answers its share, companies whole, in a file of its own; the first then finds everything kept."""

    class InPairs(Reader):
        def company(self, samples, view):
            pairs = [samples[place : place + 2] for place in range(0, len(samples) - 1, 2)]
            return {sample.id: [other.id for other in pair] for pair in pairs for sample in pair}

    store, asked = PredictionStore(tmp_path / "shared"), []
    for number in range(world):
        reader = InPairs()
        predict_share(reader, SAMPLES, TASKS, store, (number, world))
        asked.append(set(reader.asked))
        for view, id in reader.asked:  # an odd question out stands alone, there is none in 24
            other = f"{id.rstrip('0123456789')}{int(id.lstrip('loctmui')) ^ 1}"
            assert (view, other) in asked[-1]
    whole = InPairs()
    run(tmp_path / "alone", whole, store=PredictionStore(tmp_path / "own"))
    assert sum(map(len, asked)) == len(set.union(*asked)) == len(whole.asked)
    assert max(map(len, asked)) <= len(whole.asked) / world + 8
    small = {name: samples[:2] for name, samples in SAMPLES.items()}  # one pair a task and view: they go in turn
    readers = [InPairs() for _ in range(world)]
    for number, reader in enumerate(readers):
        predict_share(reader, small, TASKS, PredictionStore(tmp_path / "small"), (number, world))
    assert all(reader.asked for reader in readers)
    again = InPairs()
    run(tmp_path / "divided", again, store=store)
    assert not again.asked
    for name in ("predictions.jsonl", "metrics.json"):
        assert (tmp_path / "divided" / name).read_bytes() == (tmp_path / "alone" / name).read_bytes()


def test_scores_come_back_as_they_were_written(tmp_path):
    answerer = Answering(lambda samples, view: (Prediction(s.id, "x", {"a": 1 / 3}) for s in samples))
    store, samples = PredictionStore(tmp_path), SAMPLES["localization"][:2]
    first = store.predict(answerer, samples, "signal")
    assert first == PredictionStore(tmp_path).predict(Answering(lambda *_: iter(())), samples, "signal") and first[
        "loc0"
    ].scores == {"a": 0.333333}


def test_a_line_of_a_runs_predictions_of_another_form_is_named(tmp_path):
    run(tmp_path)
    path = tmp_path / "predictions.jsonl"
    assert read_predictions(path)["localization", "signal", "loc0"] == "No PVC Found"
    for line in (
        '{"id": "loc0", "task": "localization", "view": "signal"}',
        '{"id": 3, "task": "localization", "view": "signal", "text": "a"}',
        "[1]",
    ):
        path.write_text("\n".join([*path.read_text().splitlines()[:2], line]) + "\n")
        with pytest.raises(DataError, match="line 3: not a prediction"):
            read_predictions(path)


def test_endless_answers_are_counted(tmp_path):
    def babble(samples, view):
        return (Prediction(sample.id, "no " * 5000) for sample in samples)

    metrics = evaluate(
        Answering(babble),
        SAMPLES,
        {"localization": Localization()},
        tmp_path,
        views=["signal"],
        bootstrap=0,
        progress=False,
    )
    assert metrics["tasks"]["localization"]["views"]["signal"]["endless"] == metrics["tasks"]["localization"]["n"]


def test_bad_calls_are_refused_by_name(tmp_path):
    def silent(samples, view):
        return iter(())

    def stranger(samples, view):
        yield Prediction("who", "")

    for bad, message in ((silent, "24 questions stayed without an answer: loc0"), (stranger, "question who")):
        with pytest.raises(DataError, match=message):
            run(tmp_path / message[:2], Answering(bad))
    with pytest.raises(DataError, match="task localization: there are no questions"):
        evaluate(Reader(), {"localization": []}, {"localization": Localization()}, tmp_path, progress=False)
    with pytest.raises(DataError, match="deaf"):
        run(tmp_path, views=["signal", "deaf"])


def test_the_shuffled_view_knows_a_questions_second_patient(tmp_path):
    asked = []

    def reader(samples, view):
        asked.extend(samples)
        return (Prediction(sample.id, "") for sample in samples)

    patients = {f"m{i}{letter}": f"p{(i + (letter == 'b') * 2) % 21}" for i in range(24) for letter in "ab"}
    evaluate(
        Answering(reader),
        SAMPLES,
        {"multi_ecg": MultiECG()},
        tmp_path,
        views=["shuffled"],
        patients=patients,
        bootstrap=0,
        progress=False,
    )
    own = {sample.id: {patients[window.record] for window in sample.records} for sample in SAMPLES["multi_ecg"]}
    assert len(asked) == 24 and all(
        not own[one.id] & {patients[window.record] for window in one.records} for one in asked
    )


def test_a_lead_is_withheld_in_localization_only(tmp_path):
    views = ["signal", "first_lead_masked", "random_lead_masked"]
    reader = Reader()
    metrics = run(tmp_path, reader, views=views)
    assert {view for view, id in reader.asked if id.startswith("multi")} == {"signal"}
    assert (
        {view for view, id in reader.asked if id.startswith("loc")}
        == set(metrics["tasks"]["localization"]["views"])
        == set(views)
    )
    assert (
        set(metrics["tasks"]["localization"]["differences"]) == set(views[1:])
        and not metrics["tasks"]["multi_ecg"]["differences"]
    )
    text = tables.table(metrics)
    assert "| first lead masked | 1.000" in text and "| random lead masked | 1.000" in text
    with pytest.raises(DataError, match="task multi_ecg: is asked in none of the views first_lead_masked"):
        run(tmp_path / "alone", views=["first_lead_masked"])


def test_one_patient_or_no_bootstrap_leaves_intervals_out(tmp_path):
    alone = {"localization": [replace(s, patient="p") for s in SAMPLES["localization"]]}
    metrics = evaluate(
        Reader(), alone, {"localization": Localization()}, tmp_path, views=["signal", "blind"], progress=False
    )
    task = metrics["tasks"]["localization"]
    assert task["differences"] == {} and task["views"]["signal"]["intervals"] == {}
    assert "| with the ECG | 1.000 [too few patients (1)] | – |" in tables.table(metrics)


def test_tables_show_controls_intervals_counts_and_the_paper(tmp_path):
    metrics = run(tmp_path)
    text = tables.table(metrics, {"localization": ("iou_balanced", 0.5), "multi_ecg": ("score", None)})
    assert "| paper (other data and weights) | 0.500 |" in text and "| paper (other data and weights) | – |" in text
    for words in (
        "blind (no ECG)",
        "shuffled",
        "| 24 | 22 | 0 |",
        "iou_balanced",
        "by abnormality",
        "ECG − this [95 %]",
    ):
        assert words in text
    console = Console(width=160, record=True, quiet=True)
    console.print(tables.terminal(metrics))
    assert text.count("\n### ") > 4


def test_pictures_are_drawn_from_what_a_run_leaves(tmp_path):
    metrics = run(tmp_path)
    curve = {"step": [1, 2, 3], "loss": [3.0, None, 1.0]}
    example = {
        "title": "PVC?",
        "leads": ["II"],
        "fs": 100.0,
        "signal": np.random.default_rng(0).integers(-99, 99, (1, 1000)).tolist(),
        "truth": [[1, 2]],
        "answer": [[1.5, 3]],
    }
    drawn = [
        *bars.run_figures(metrics, tmp_path),
        *figures.loss_curves(
            {"stage 1": curve, "stage 2": curve | {"validation_loss": [3, 2, 1]}}, tmp_path / "figures" / "loss"
        ),
        *localization_example(example, tmp_path / "example"),
        *localization_example(example | {"truth": [], "answer": None}, tmp_path / "unreadable"),
    ]
    assert len(drawn) == 12 and all(path.stat().st_size > 1000 for path in drawn)
    with pytest.raises(DataError, match="no loss curves"):
        figures.loss_curves({}, tmp_path / "loss")
    with pytest.raises(DataError, match="without leads"):
        localization_example(example | {"leads": []}, tmp_path / "none")


def test_a_full_disk_stops_an_evaluation_that_goes_on_afterwards(tmp_path):
    first = Reader()
    with disk_of(2000), pytest.raises(DiskFullError, match="signal.jsonl: could not be written"):
        run(tmp_path / "full", first)
    second = Reader()
    assert run(tmp_path / "full", second) == run(tmp_path / "roomy") and 0 < len(second.asked) < 144


def test_what_each_control_changes_is_counted(tmp_path):
    task = run(tmp_path)["tasks"]["localization"]
    # half have nothing to find
    assert task["views"]["blind"]["unchanged"] == 0.5 and "unchanged" not in task["views"]["signal"]
    donors = task["views"]["shuffled"]["donors"]
    assert donors["same"]["n"] + donors["other"]["n"] == 24 and donors["same"]["n"] > 0
    rows = pd.read_parquet(tmp_path / "scores" / "localization.parquet")
    rows = rows[rows["view"] == "shuffled"]
    for name, same in (("same", 1.0), ("other", 0.0)):
        part = rows[rows["donor_same"] == same]
        assert donors[name]["n"] == len(part) and donors[name]["value"] == pytest.approx(
            Localization().reduce(part)[donors[name]["metric"]], abs=1e-6
        )
    assert (rows.loc[rows["donor_same"] == 1.0, "unchanged"] == 1).all()  # the reader reads what it is shown
    text = tables.table(json.loads((tmp_path / "metrics.json").read_text()))
    assert "… the donor's true answer another" in text and "| blind (no ECG) | 0.500" in text and "| 50 % [" in text


@pytest.mark.parametrize(("patients", "few"), [(19, True), (20, False)])
def test_no_interval_is_taken_from_fewer_than_twenty_patients(tmp_path, patients, few):
    samples = {"localization": [replace(localization(i), patient=f"p{i % patients}") for i in range(40)]}
    metrics = evaluate(Reader(), samples, {"localization": Localization()}, tmp_path, bootstrap=20, progress=False)
    task = metrics["tasks"]["localization"]
    assert (task["views"]["signal"]["intervals"] == {} and task["differences"] == {}) == few
    assert (f"1.000 [too few patients ({patients})]" in tables.table(metrics)) == few
    assert (
        f"+0.500 [too few patients ({patients})]" in tables.table(metrics)
    ) == few  # the difference itself is still there


def test_another_answerer_stands_beside_the_views(tmp_path):
    class Constant(Answerer):
        label, knows, tasks, key = "constant", "training labels", frozenset(["localization"]), "c"

        def answer(self, samples, view, answered=()):
            return (Prediction(sample.id, "No PVC Found") for sample in samples)

    metrics = run(tmp_path, references={"constant": Constant()}, views=["signal", "blind"])
    task = metrics["tasks"]["localization"]
    assert metrics["references"] == {"constant": "training labels"} and metrics["views"] == ["signal", "blind"]
    assert task["views"]["constant"]["metrics"]["iou_balanced"] == 0.5 and task["differences"]["constant"][
        "iou_balanced"
    ][0] == pytest.approx(0.5)
    assert "constant" not in metrics["tasks"]["multi_ecg"]["views"] and "best" in task["views"]["constant"]
    assert "| constant | 0.500 [" in tables.table(metrics)
