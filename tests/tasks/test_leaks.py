"""Prompts that leak on purpose are found, by kind; those of the tasks as they are built are not."""

from dataclasses import replace

import pytest

from anyecg.tasks.ecg_qa.task import ECGQA
from anyecg.tasks.leaks import Wordings, leaks
from anyecg.tasks.localization.task import Localization
from anyecg.tasks.multi_ecg.task import MultiECG
from anyecg.tasks.report.task import Report
from anyecg.types import MARKER, ECGSample, Turn, Window

ANSWER = "prompt that names its answer"


def asked(text, answer="Report: Sinus rhythm, Inferior infarct, age undetermined", task="report", **meta):
    return ECGSample(
        id="q", task=task, patient="mimic/10000032", records=(Window("mimic/40689238"),), pool=task,
        conversation=(Turn("user", f"{MARKER}\n{text}"), Turn("assistant", answer)), meta=meta,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Give me the report of this ECG.", []),
        ("Confirm that this ECG shows an inferior infarct, and report it.", [ANSWER]),
        ("A 63-year-old patient. Give me the report.", ["age"]),
        ("Age: 63. Report?", ["age"]),
        ("Report the ECG of this female patient.", ["sex"]),
        ("Sex: M. Give me the report.", ["sex"]),
        ("Recorded 2168-12-15. Give me the report.", ["date"]),
        ("device: AT-6. Give me the report.", ["device"]),
        ("72 kg, 180 cm. Give me the report.", ["body"]),
        ("baseline_drift: , II. Give me the report.", ["column of a table"]),
        ("Patient 10000032: give me the report.", ["id"]),
        ("Study 40689238, please report.", ["id"]),
        ("Where is the lead of interest in a man-made disturbance?", []),
        ("age: 40, sex: F. Is it an inferior infarct?", [ANSWER, "age", "sex"]),
    ],
)
def test_what_a_prompt_gives_away_is_named(text, found):
    whole = list(leaks(Report(), asked(text)))
    assert len(whole) == len(found) and all(any(word in line for line in whole) for word in found), whole


def test_a_task_says_what_of_it_is_meant_to_stand_in_its_prompts():
    sample = asked("ECG of 2168-12-15: what changes?", "The second ECG newly shows atrial fibrillation.", "multi_ecg")
    assert list(leaks(MultiECG(), sample)) == []
    assert list(leaks(Report(), sample)) == ["prompt with the date of the patient or the recording"]


def test_options_are_no_leak_and_the_answer_of_an_open_question_is():
    info = {"ecg_qa_answers": {"ptbxl": ["lead v1", "lead v2", "sinus rhythm", "atrial flutter"]}}
    task = ECGQA(None, info)
    choose = asked("Sinus rhythm or atrial flutter?", "sinus rhythm", "ecg_qa", question_type="single-choose",
                   answers=["sinus rhythm"], options=["sinus rhythm", "atrial flutter"])  # fmt: skip
    assert list(leaks(task, choose)) == []
    query = replace(choose, meta={**choose.meta, "question_type": "single-query"})
    assert list(leaks(task, query)) == []  # several are named
    alone = asked(
        "What rhythm is it, if not a sinus rhythm?",
        "sinus rhythm",
        "ecg_qa",
        question_type="single-query",
        answers=["sinus rhythm"],
    )
    assert list(leaks(task, alone)) == [ANSWER]


def test_intervals_in_a_prompt_are_found():
    meta = {"name": "PVC", "symbol": "V", "seconds": 10.0, "intervals": [[1.0, 2.5]]}
    told = asked("Where is the PVC? Look at 1.0s-2.5s.", "Duration: 1.0s-2.5s", "localization", **meta)
    assert list(leaks(Localization(), told)) == [ANSWER]
    assert list(leaks(Localization(), asked("Where is the PVC?", "Duration: 1.0s-2.5s", "localization", **meta))) == []


def test_a_wording_that_goes_with_one_kind_of_answer_is_found():
    def questions(worded):
        found = Wordings()
        for i in range(200):
            positive = i % 2 == 0
            text = f"Where is the PVC ({'a' if worded(i, positive) else 'b'})?"
            meta = {"name": "PVC", "seconds": 10.0, "intervals": [[1, 2]] if positive else []}
            found.add(Localization(), asked(text, "x", "localization", **meta))
        return list(found.found())

    assert sorted((pool, kind, n) for pool, kind, n, _ in questions(lambda i, positive: positive)) == [
        ("localization", "negative", 100), ("localization", "positive", 100)]  # fmt: skip
    assert questions(lambda i, positive: i % 3 == 0) == []
