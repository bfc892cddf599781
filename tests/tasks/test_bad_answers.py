"""Answers that are none: every task reads them in time, counts them, and gives finite numbers."""

import numpy as np
import pytest

from anyecg.tasks import meteor, tasks
from anyecg.tasks.base import LONGEST
from anyecg.text_encoders import text_encoders
from anyecg.types import DataError, ECGSample, Prediction, Turn, Window

LEXICAL = text_encoders["lexical"]
INFO = {
    "labels": {"ptbxl": {"rhythm": ["sinus rhythm", "atrial fibrillation"]}},
    "ecg_qa_answers": {"ptbxl": ["sinus rhythm", "none"]},
}
NOTHING = ["", " \n", "?!", "\ufffd\ufffd\x00", "\ud800", "..."]
ENDLESS = ["a" * 60_000, "no " * 30_000, "no PVC, " * 12_000, "sinus rhythm and " * 6_000, "Duration: 1.0s-2.0s, " * 6_000, "1" * 60_000,
           "(" * 60_000, "0.1s-" * 20_000, "yes\n" * 20_000]  # fmt: skip
META = {
    "localization": {"name": "PVC", "symbol": "V", "seconds": 10.0, "intervals": [[1.0, 2.0]]},
    "multi_ecg": {
        "kind": "present",
        "findings": [["sinus_rhythm"], ["sinus_rhythm"]],
        "reference": {"finding": "sinus_rhythm", "answer": "yes"},
    },
    "classification": {"labels": {"rhythm": ["sinus rhythm"]}},
    "ecg_qa": {"question_type": "single-query", "answers": ["sinus rhythm"]},
    "report": {},
}
ANSWER = {
    "localization": "Duration: 1.0s-2.0s",
    "multi_ecg": "Yes, the first ECG shows sinus rhythm.",
    "ecg_qa": "sinus rhythm",
}


@pytest.fixture(autouse=True)
def no_java(monkeypatch):
    monkeypatch.setattr(meteor, "_java", lambda: None)


def questions(name, count):
    ecgs = 2 if name == "multi_ecg" else 1
    turns = Turn("user", "<ecg>" * ecgs + " What?"), Turn("assistant", ANSWER.get(name, "Report: Sinus rhythm"))
    return [ECGSample(id=f"q{i}", task=name, records=tuple(Window(f"r{i}{k}") for k in range(ecgs)), conversation=turns, patient=f"p{i}",
                      subset="ptbxl", meta=META[name]) for i in range(count)]  # fmt: skip


def score(name, texts):
    task = tasks[name](None, INFO, LEXICAL(LEXICAL.Config()))
    samples = questions(name, len(texts))
    rows = task.score(samples, [Prediction(sample.id, text) for sample, text in zip(samples, texts)])
    return rows, task.reduce(rows), task.notes(rows), task.blocks(rows)


@pytest.mark.parametrize("name", sorted(META))
def test_nothing_is_unparsed_and_scores_the_least(name):
    rows, found, _, _ = score(name, NOTHING)
    assert not rows["parsed"].any() and not rows["endless"].any()
    assert all(np.isfinite(value) for value in found.values())
    headline = tasks[name]().headline(rows)
    assert found[headline] == (0.5 if name == "classification" else 0) if headline in found else True


@pytest.mark.parametrize("name", sorted(META))
@pytest.mark.parametrize("text", ENDLESS, ids=lambda text: text[:12])
def test_the_endless_is_read_and_counted(name, text):
    rows, found, _, _ = score(name, [text, text[:50]])
    assert rows["endless"].tolist() == [True, False]
    assert all(np.isfinite(value) for value in found.values())


def test_what_follows_the_longest_answer_is_not_read():
    rows, _, _, _ = score("localization", [" " * LONGEST + "Duration: 1.0s-2.0s", " " * 20 + "Duration: 1.0s-2.0s"])
    assert rows["parsed"].tolist() == [False, True]


def test_an_answer_that_is_no_text_is_refused_by_name():
    with pytest.raises(DataError, match="question q0: its answer is no text but None"):
        score("localization", [None])
