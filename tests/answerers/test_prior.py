"""The prior: the commonest training answer, of as narrow a kind as has enough of them, and nothing of the test
split.
"""

import json

import pytest

from anyecg.answerers import answerers
from anyecg.answerers.base import Answerer, Fitting, TrainingQuestions
from anyecg.answerers.prior import Prior
from anyecg.registry import registry
from anyecg.run import main
from anyecg.tasks.localization.task import Localization
from anyecg.tasks.multi_ecg.task import MultiECG
from anyecg.types import DataError, ECGSample, Turn
from tests.conftest import SMALL


def sample(i, answer, kind="a", subset="x", task="multi_ecg"):
    return ECGSample(id=f"{task}{i}", task=task, records=(), conversation=(Turn("user", "?"), Turn("assistant", answer)), subset=subset,
                     meta={"kind": kind, "name": kind})  # fmt: skip


class Training:
    fingerprint = "f"

    def __init__(self, samples):
        self._samples = samples

    def samples(self, task, split="train"):
        return (one for one in self._samples if one.task == task)


def prior(samples, tasks, **settings):
    found = Prior(Prior.Config(**settings))
    found.fit(Fitting(None, Training(samples), None, tasks))
    return found


def test_the_narrowest_kind_with_enough_training_questions_says_what_is_common():
    samples = [*(sample(i, "yes") for i in range(6)), *(sample(10 + i, "no", subset="y") for i in range(3)), *(sample(20 + i, "three", "b") for i in range(2)),
               *(sample(30 + i, "no", "c", "y") for i in range(9))]  # fmt: skip
    found = prior(samples, {"multi_ecg": MultiECG()})
    asked = [sample(100, ""), sample(101, "", subset="y"), sample(102, "", "b"), sample(103, "", "z", "new")]
    texts = {one.id: one.text for one in found.answer(asked, "signal")}
    assert list(texts.values()) == ["yes", "yes", "yes", "no"]  # subset x, any subset, all of x (8), all (12 no)
    assert list(found.answer(asked, "blind", {"multi_ecg100", "multi_ecg101"})) == list(
        found.answer(asked[2:], "signal")
    )
    assert {one.id: one.text for one in prior(samples, {"multi_ecg": MultiECG()}, least=2).answer(asked, "signal")}[
        "multi_ecg102"
    ] == "three"


def test_where_intervals_are_asked_for_nothing_is_found():
    answers = [f"Duration: {i}.0s-{i + 1}.0s" for i in range(8)] + ["No PVC Found"] * 3
    found = prior(
        [sample(i, answer, "PVC", task="localization") for i, answer in enumerate(answers)],
        {"localization": Localization()},
    )
    assert [one.text for one in found.answer([sample(99, "", "PVC", task="localization")], "signal")] == [
        "No PVC Found"
    ]


def test_a_task_without_training_questions_is_not_answered():
    found = prior([sample(0, "yes")], {"multi_ecg": MultiECG(), "localization": Localization()})
    assert found.answers("multi_ecg") and not found.answers("localization")
    with pytest.raises(DataError, match="cannot answer questions of localization"):
        list(found.answer([sample(0, "", task="localization")], "signal"))


def test_no_answerer_learns_from_the_test_split(small_data):
    training = TrainingQuestions(small_data)
    assert len(list(training.samples("report"))) > 0
    with pytest.raises(DataError, match="learns from the splits train and val, not from test"):
        training.samples("report", "test")


def test_every_registered_answerer_keeps_the_contract():
    assert registry("answerer") is answerers
    for name in answerers.table():
        kind = answerers[name]
        assert (
            issubclass(kind, Answerer)
            and kind(kind.Config()).key == ""
            and kind.knows in ("nothing", "options", "label names", "training labels")
        )


def test_a_run_of_the_prior_trains_nothing_and_gives_the_same_tables(small_cache, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("anyecg.training.pipeline.train", lambda *_: pytest.fail("trained"))
    monkeypatch.setattr("anyecg.evaluation.run.build_model", lambda *_: pytest.fail("a model was built"))
    assert main(["experiments/baselines/prior.yaml", *SMALL, f"cache={small_cache}", f"output={tmp_path}"]) == 0
    (run,) = tmp_path.iterdir()
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["answerer"] == {"name": "prior", "knows": "training labels"} and metrics["references"] == {}
    tasks = metrics["tasks"]
    # of a rhythm, the commonest answer may be the whole window
    assert 0.5 <= tasks["localization"]["views"]["signal"]["metrics"]["iou_balanced"] < 0.6
    assert all(
        value == 0.5
        for name, value in tasks["classification"]["views"]["signal"]["metrics"].items()
        if name.startswith("auc")
    )
    assert all(task["views"]["blind"]["unchanged"] == 1 for task in tasks.values())
    assert "answered by prior, which knows training labels beforehand" in (run / "table.md").read_text()
    assert not (run / "stages").exists()


def test_what_an_answerer_cannot_do_is_said_before_anything_is_built(small_cache, tmp_path, capsys):
    command = ["experiments/baselines/prior.yaml", *SMALL, f"cache={small_cache}", f"output={tmp_path}", "evaluation.conversations=experiments/conversations.yaml",
               "evaluation.tasks=[report,multi_ecg,localization]"]  # fmt: skip
    assert main(command) == 2
    assert "answerer 'prior' holds no conversations" in capsys.readouterr().err
