"""The LLM judge: two turns an answer, every way in which a score can be missing counted, and nothing asked twice."""

import json
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest

from anyecg.endpoint import HOPELESS, EndpointConfig, EndpointError
from anyecg.evaluation import judge as judging
from anyecg.evaluation import score_parser, tables
from anyecg.evaluation.evaluate import best, evaluate
from anyecg.evaluation.judge import Judge, Verdict
from anyecg.tasks.multi_ecg.task import SECOND_TURN, MultiECG
from anyecg.tasks.report.task import Report
from anyecg.types import ECGSample, Prediction, Turn, Window
from tests.chat_server import ChatServer
from tests.conftest import Answering

TASK = MultiECG()


def sample(i, ecgs=2):
    answer = "Yes, the second ECG shows atrial fibrillation."
    prompt = "".join(f"ECG {k + 1} (2168-12-1{k}): <ecg>\n" for k in range(ecgs)) + "Is there atrial fibrillation?"
    return ECGSample(
        id=f"q{i}", task="multi_ecg", patient=f"p{i % 5}", subset=str(ecgs), records=tuple(Window(f"q{i}{k}") for k in range(ecgs)),
        conversation=(Turn("user", prompt), Turn("assistant", answer)), evidence=tuple(f"Report: rhythm {i}.{k}" for k in range(ecgs)),
        meta={"kind": "present", "findings": [[]] * ecgs, "reference": {"finding": "atrial_fibrillation", "answer": "yes"}},
    )  # fmt: skip


SAMPLES = [sample(i, 2 + i % 3) for i in range(15)]
SAID = {"signal": "Yes, there is.", "blind": "No."}


def grade(messages):
    """A judge that likes a yes: it assesses, then gives a number that depends on the question."""
    if len(messages) == 1:
        return f"An assessment: {'right' if 'Yes' in messages[0]['content'] else 'wrong'}."
    number = int(messages[0]["content"].split("rhythm ")[1].split(".")[0]) % 3
    return f"{number + 2}/5" if "right" in messages[1]["content"] else f"Score: {number / 2}"


def judge(server, folder, **settings):
    return Judge(
        EndpointConfig(**{"url": server.url, "model": "m", "concurrency": 4, "timeout": 5, "retries": 0} | settings),
        folder,
        progress=False,
    )


def run(folder, judge=None):
    answer = lambda samples, view: (Prediction(s.id, SAID[view]) for s in samples)  # noqa: E731
    return evaluate(
        Answering(answer),
        {"multi_ecg": SAMPLES},
        {"multi_ecg": TASK},
        folder,
        views=list(SAID),
        judge=judge,
        bootstrap=20,
        progress=False,
    )["tasks"]["multi_ecg"]


def test_both_judges_stand_side_by_side_in_every_view(tmp_path):
    alone = run(tmp_path / "alone")
    with ChatServer(grade) as server:
        task = run(tmp_path / "judged", judge(server, tmp_path / "judged"))
        assert len(server.requests) == 4 * len(SAMPLES)  # two turns, two views
        first = next(body["messages"] for body in server.requests if len(body["messages"]) == 3)
    assert (
        "ECG 2 (2168-12-11): Report: rhythm" in first[0]["content"]
        and "Is there atrial fibrillation?" in first[0]["content"]
    )
    assert (
        SAMPLES[0].answer not in first[0]["content"]
        and [m["role"] for m in first] == ["user", "assistant", "user"]
        and first[2]["content"] == SECOND_TURN
    )
    # the findings judge stays the headline
    assert task["primary"] == "score" and task["views"]["signal"]["metrics"]["score"] == 5
    for view, expected in (("signal", 3), ("blind", 0.5)):
        found = task["views"][view]["metrics"]
        assert found["judge_score"] == expected and {f"judge_score_{n}" for n in (2, 3, 4)} <= found.keys()
        assert {name: value for name, value in found.items() if not name.startswith("judge")} == alone["views"][view][
            "metrics"
        ]
        assert task["views"][view]["unjudged"] == {}
        group = task["views"][view]["blocks"]["number of ECGs"]["3"]
        assert sum(group["histogram"]) == sum(group["judge_histogram"]) == group["n"] == 5
    assert "+2.500" in tables.table({"tasks": {"multi_ecg": task}})
    assert task["views"]["signal"]["best"] == {"score": 15, "judge": 15} and task["views"]["blind"]["best"] == {
        "score": 0,
        "judge": 0,
    }
    # the findings judge gives all the same: no correlation, and no NaN
    assert "judge_pearson" not in task["views"]["signal"]["metrics"]


def test_the_correlation_of_the_judges_is_over_answers_that_both_scored():
    rows = pd.DataFrame({"ecgs": [2] * 6, "score": [0, 1, 2, 3, np.nan, 5], "judge": [1, 2, 3, np.nan, 0, 5.0]})
    found = TASK.compute(rows)
    expected = rows.dropna()
    assert found["judge_pearson"] == pytest.approx(expected["score"].corr(expected["judge"]))
    assert (
        found["judge_spearman"] == pytest.approx(1)
        and found["judge_score"] == pytest.approx(2.2)
        and found["score"] == pytest.approx(2.2)
    )


def test_the_highest_are_counted_question_by_question():
    rows = {
        name: pd.DataFrame({"id": list("abcd"), "score": scores})
        for name, scores in (("one", [1, 2, 3, np.nan]), ("other", [1, 3, 2, 5.0]))
    }
    assert best(rows, ["score", "judge"]) == {"one": {"score": 2}, "other": {"score": 2}}


TROUBLES = {"q0": 400, "q1": "hang", "q2": "", "q3": "I refuse.", "q4": "9", "q5": "4/5", "q6": "3 or 4", "q7": "8/10"}


def test_every_way_to_miss_a_score_is_counted_and_none_is_zero(tmp_path):
    questions = {f"q{i}": f"question q{i}" for i in range(20)}
    name = lambda messages: messages[0]["content"].split()[-1]  # noqa: E731

    def act(number, body):
        trouble = TROUBLES.get(name(body["messages"])) if len(body["messages"]) == 3 else None
        return trouble if trouble in (400, "hang") else None

    def answer(messages):
        return "assessed" if len(messages) == 1 else TROUBLES.get(name(messages), "2")

    cases = {id: (text, SECOND_TURN) for id, text in questions.items()} | {"bare": None}
    with ChatServer(answer, act, pause=5) as server:
        found = judge(server, tmp_path, timeout=2)(cases)
        asked = len(server.requests)
        assert asked == 40
        # the missing too, until the file is deleted
        assert judge(server, tmp_path)(cases) == found and len(server.requests) == asked
        (tmp_path / judging.JUDGEMENTS).unlink()
        again = judge(server, tmp_path)(cases)
        assert len(server.requests) == asked + 2 and again["q2"] == found["q2"]  # only what had no reply
    reasons = {id: verdict.unjudged for id, verdict in found.items() if verdict.score is None}
    assert reasons == {"q0": judging.REFUSED, "q1": judging.LATE, "q2": score_parser.EMPTY, "q3": score_parser.NO_NUMBER, "q4": score_parser.OUTSIDE,
                       "q6": score_parser.SEVERAL, "q7": score_parser.OTHER_SCALE, "bare": judging.NO_REPORT}  # fmt: skip
    assert found["q5"] == Verdict(4.0, "", "assessed", "4/5") and found["q19"].score == 2
    assert all((verdict.score is None) == bool(verdict.unjudged) for verdict in found.values())


def test_missing_scores_are_told_in_the_metrics(tmp_path):
    answer = lambda messages: (  # noqa: E731
        "assessed" if len(messages) == 1 else "3" if "rhythm 1." in messages[0]["content"] else "No."
    )
    with ChatServer(answer) as server:
        task = run(tmp_path, judge(server, tmp_path))
    assert (
        task["views"]["signal"]["unjudged"] == {score_parser.NO_NUMBER: 14}
        and task["views"]["signal"]["metrics"]["judge_score"] == 3
    )
    assert (
        f"14 of 15 answers without a score of the LLM judge: {score_parser.NO_NUMBER} (14)"
        in task["views"]["signal"]["notes"]
    )
    with ChatServer(lambda messages: "No.") as server:
        task = run(tmp_path / "none", judge(server, tmp_path / "none"))
    assert "judge_score" not in task["views"]["signal"]["metrics"] and task["views"]["signal"]["unjudged"] == {
        score_parser.NO_NUMBER: 15
    }


def test_a_reply_cut_in_its_thoughts_is_no_assessment(tmp_path):
    body = json.dumps({"choices": [{"message": {"content": "<think>well"}, "finish_reason": "length"}]}).encode()
    with ChatServer(act=lambda number, _: body) as server:
        assert judge(server, tmp_path)({"a": ("question", SECOND_TURN)})["a"] == Verdict(None, score_parser.CUT)
        assert len(server.requests) == 1


@pytest.mark.parametrize("dies_at", [5, 50])
def test_a_judge_that_dies_half_way_is_not_asked_twice_and_gives_the_same_bytes(tmp_path, dies_at):
    with ChatServer(grade) as server:
        whole = run(tmp_path / "whole", judge(server, tmp_path / "whole"))
    with ChatServer(grade, act=lambda number, body: 503 if number >= dies_at else None) as server:
        with pytest.raises(EndpointError, match="answered and kept in .*judge.sqlite; give the same command"):
            run(tmp_path / "killed", judge(server, tmp_path / "killed"))
        done = {json.dumps(body["messages"]) for body in server.requests[:dies_at]}
    with ChatServer(grade) as server:
        assert run(tmp_path / "killed", judge(server, tmp_path / "killed")) == whole
        again = [body for body in server.requests if json.dumps(body["messages"]) in done]
        assert len(again) <= 4  # those under way when it died
        assert len(server.requests) <= 60 - dies_at + 4
    for name in ("metrics.json", judging.JUDGEMENTS):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    before = (tmp_path / "whole" / "metrics.json").read_bytes()
    run(tmp_path / "whole", judge(server, tmp_path / "whole"))  # the server has gone
    assert (tmp_path / "whole" / "metrics.json").read_bytes() == before


KILLED = """
import sys
from anyecg.endpoint import EndpointConfig
from anyecg.evaluation.judge import Judge
Judge(EndpointConfig(url=sys.argv[1], model="m", concurrency=2), sys.argv[2], progress=False)({i: (f"question {i}", "And the number?") for i in range(30)})
"""


def test_killed_it_asks_only_for_what_is_left(tmp_path):
    with ChatServer(lambda messages: "3", act=lambda number, body: "hang", pause=0.03) as server:
        asking = subprocess.Popen([sys.executable, "-c", KILLED, server.url, tmp_path])
        while len(server.requests) < 40 and asking.poll() is None:
            time.sleep(0.01)
        asking.send_signal(signal.SIGKILL)
        asking.wait(60)
        asked = len(server.requests)
        assert 40 <= asked < 60 and not (tmp_path / judging.JUDGEMENTS).exists()
        found = judge(server, tmp_path)({i: (f"question {i}", "And the number?") for i in range(30)})
        assert {verdict.score for verdict in found.values()} == {3.0}
        assert 60 - asked <= len(server.requests) - asked <= 60 - asked + 2


def test_a_judge_that_never_answers_is_told(tmp_path):
    cases = {i: (f"question {i}", SECOND_TURN) for i in range(HOPELESS + 5)}
    with ChatServer(act=lambda number, body: "hang", pause=2) as server:
        with pytest.raises(EndpointError, match=r"first \d+ requests stayed without a reply"):
            judge(server, tmp_path, timeout=0.1, concurrency=25)(cases)
    assert not (tmp_path / judging.JUDGEMENTS).exists()


def test_another_judge_and_another_answer_are_judged_anew(tmp_path):
    with ChatServer(lambda messages: "3") as server:
        cases = {"a": ("question", SECOND_TURN), "b": ("question", SECOND_TURN)}
        assert judge(server, tmp_path)(cases)["b"].score == 3 and len(server.requests) == 2  # the same case once
        judge(server, tmp_path, model="n")(cases)
        assert len(server.requests) == 4
        judge(server, tmp_path)({"a": ("another", SECOND_TURN)})
        assert len(server.requests) == 6
        (tmp_path / judging.JUDGEMENTS).write_text("not json\n[1]\n{}\n")
        assert judge(server, tmp_path)(cases)["a"].score == 3 and len(server.requests) == 6


@pytest.mark.parametrize(("evidence", "text", "shown"), [
    (("Sinus rhythm", "AF"), "fine", True), (("Sinus rhythm",), "fine", False), (("Sinus rhythm", " "), "fine", False),
    (("Sinus rhythm", "AF"), "", True), (("Sinus rhythm", "AF"), "a\ud800\0b", True)])  # fmt: skip
def test_the_judges_question(evidence, text, shown):
    asked = ECGSample(id="q", task="multi_ecg", records=(Window("a"), Window("b")), evidence=evidence,
                      conversation=(Turn("user", "<ecg>\n<ecg>\nWhat changed?"), Turn("assistant", "AF is new."), Turn("user", "Since when?"), Turn("assistant", "2168")))  # fmt: skip
    turn = TASK.judging(asked, text)
    assert (turn is not None) == shown
    if turn:
        turn.encode()
        assert (
            "user: Sinus rhythm\nAF\nWhat changed?\nassistant: AF is new.\nuser: Since when?" in turn
            and "2168" not in turn
        )
        assert text or "(there is no answer)" in turn


def report(i):
    said = "Report: Atrial fibrillation" if i % 2 else "Report: Sinus rhythm"
    return ECGSample(id=f"r{i}", task="report", patient=f"p{i}", subset="mimic", records=(Window(f"c/r{i}", 0.0, 10.0),),
                     conversation=(Turn("user", "<ecg>\nReport?"), Turn("assistant", said)), evidence=(said,))  # fmt: skip


def criterion(messages):
    """A judge of reports: an assessment by the findings, then a grade that depends on the criterion."""
    if len(messages) == 1:
        parts = messages[0]["content"].split("fibrillation")
        return "It agrees." if len(parts) != 2 else "It does not agree."
    name = messages[2]["content"].split("how do you grade its ")[1].split(":")[0]
    right = "not" not in messages[1]["content"]
    if name == "terminology":
        return "5"
    if name == "logic":
        return "On a scale from 1 to 5: 4"
    return ("5" if right else "1") if name == "diagnosis" else ("4 out of 5" if right else "0")


def test_reports_are_graded_by_four_criteria_in_every_view(tmp_path):
    samples = [report(i) for i in range(24)]
    answers = {
        "signal": lambda s: s.answer,
        "blind": lambda s: "Report: Sinus rhythm",
        "shuffled": lambda s: "Report: Sinus rhythm" if "fibrillation" in s.answer else "Report: Atrial fibrillation",
    }
    answer = lambda samples, view: (Prediction(s.id, answers[view](s)) for s in samples)  # noqa: E731
    with ChatServer(criterion) as server:
        task = evaluate(Answering(answer), {"report": samples}, {"report": Report()}, tmp_path, views=list(answers),
                        judge=judge(server, tmp_path), bootstrap=20, progress=False, seconds=lambda window: 10.0)["tasks"]["report"]  # fmt: skip
        asked = len(server.requests)
    assert asked == 4 * 5  # four different pairs of reference and report, an assessment and four grades each
    graded = {view: task["views"][view]["metrics"] for view in answers}
    assert [graded[view]["judge_diagnosis"] for view in answers] == [5, 3, 1]
    assert {graded[view]["judge_terminology"] for view in answers} == {5} and graded["blind"]["judge_logic"] == 4
    # the number 0 is none on this scale, and no grade of 0
    assert graded["blind"]["judge_completeness"] == 4 and "judge_completeness" not in graded["shuffled"]
    assert task["views"]["blind"]["unjudged"] == {"number outside 1 to 5": 12}
    assert task["differences"]["blind"]["judge_diagnosis"][1] > 0 and task["judged"]
    assert any("number outside 1 to 5 (12)" in note for note in task["views"]["blind"]["notes"])
