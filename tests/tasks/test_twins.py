"""The task of twins: flips in the right direction, by a reader of the ECG, by one of habit, and by one that is wrong."""

import pytest

from anyecg.config.schema import slots_of
from anyecg.findings import find
from anyecg.tasks.build import build_data
from anyecg.tasks.twins.task import Twins
from anyecg.types import Prediction


@pytest.fixture(scope="module")
def questions(tmp_path_factory):
    data = build_data(
        slots_of("corpus", twins={"patients": 26}, mimic={"patients": 12}), slots_of("task", twins={}, report={}),
        tmp_path_factory.mktemp("twins"), progress=False,
    )  # fmt: skip
    twins = [data.questions[int(row)] for row in data.questions.select(split="test", task="twins")]
    return data, twins


def flips(samples, answer):
    task = Twins()
    return task.reduce(task.score(samples, [Prediction(s.id, answer(s)) for s in samples]))


def test_every_heart_is_asked_twice_in_the_same_words(questions):
    data, samples = questions
    assert len(samples) == 52 and len({s.patient for s in samples}) == 26
    assert all(Twins().agrees(sample) for sample in samples)
    for one in samples[:10]:
        (other,) = [s for s in samples if s.patient == one.patient and s.id != one.id]
        assert one.conversation[0] == other.conversation[0] and one.meta["present"] != other.meta["present"]
    reports = [data.questions[int(row)] for row in data.questions.select(task="report")]
    assert {s.subset for s in reports} == {"mimic"}  # nobody else asks about twins
    assert not len(data.questions.select(split="train", task="twins"))


def test_only_an_answer_that_goes_with_the_finding_flips(questions):
    _, samples = questions
    right = flips(samples, lambda s: s.answer)
    assert (right["flips_right"], right["flips_wrong"], right["sensitivity"], right["specificity"]) == (1, 0, 1, 1)
    habit = flips(samples, lambda s: "Report: inferior infarct, low voltage, left bundle branch block")
    assert habit["flips_right"] == habit["flips_wrong"] == habit["changed"] == 0
    turned = {(s.patient, s.meta["present"]): s.answer for s in samples}
    wrong = flips(samples, lambda s: turned[s.patient, not s.meta["present"]])
    assert (wrong["flips_right"], wrong["flips_wrong"]) == (0, 1)
    assert flips(samples, lambda s: "")["flips_right"] == 0


def test_a_twin_alone_is_left_out_and_said_to_be(questions):
    _, samples = questions
    task = Twins()
    rows = task.score(samples[:5], [Prediction(s.id, s.answer) for s in samples[:5]])
    assert task.reduce(rows)["flips_right"] == 1 and rows["whole"].sum() == 4
    assert "1 twins whose other was not asked" in task.notes(rows)[0]
    assert task.reduce(rows[~rows["whole"]]) == {} and find(samples[0].answer) is not None
