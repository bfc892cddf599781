"""MultiECG: the judge reads every kind's own references, ignores order and wording, and gives nothing to wrong
roles.
"""

import random

import pytest

from anyecg.tasks.multi_ecg.series import Series, Visit
from anyecg.tasks.multi_ecg.task import HIGHEST, MultiECG
from anyecg.tasks.multi_ecg.templates import KINDS
from anyecg.types import ECGSample, Prediction, Turn, Window

TASK = MultiECG()
POOL = ["sinus_rhythm", "sinus_tachycardia", "atrial_fibrillation", "premature_ventricular_contraction", "left_axis_deviation",
        "first_degree_av_block", "st_elevation_inferior"]  # fmt: skip
BLIND = ("", "sinus rhythm", "Yes.", "No.", "Nothing changes.", "Two of the three ECGs show it.", "The first ECG.")


def question(kind, answer, reference, n=3, id="q"):
    return ECGSample(id=id, task="multi_ecg", records=tuple(Window(f"r{i}") for i in range(n)), patient=id, subset=str(n),
                     conversation=(Turn("user", "<ecg>" * n + "?"), Turn("assistant", answer)),
                     meta={"kind": kind, "findings": [], "reference": reference})  # fmt: skip


def score(sample, text):
    return float(TASK.score([sample], [Prediction(sample.id, text)])["score"][0])


def generated(count=60):
    rng = random.Random(0)
    for i in range(count):
        visits = []
        for _ in range(rng.randint(2, 6)):
            found = rng.sample(POOL[:3], 1) + rng.sample(POOL[3:], rng.randint(0, 3))
            visits.append(
                Visit(
                    record="r",
                    seconds=10.0,
                    date="2168-01-01",
                    report="",
                    findings=tuple(sorted(found, key=POOL.index)),
                )
            )
        series = Series(f"s{i}", f"p{i}", tuple(visits))
        for kind, make in KINDS.items():
            asked = make(series, dict.fromkeys(POOL, 1), rng)
            if asked is not None:
                yield question(kind, asked.answer, asked.reference, len(series), f"{kind}/{i}")


QUESTIONS = list(generated())


def meant(sample):
    """The facts that the reference is, as data."""
    reference, kind, n = sample.meta["reference"], sample.meta["kind"], len(sample.records)
    if kind in ("key_findings", "consistent"):
        return {("shows", key) for key in reference["findings"]}
    if kind == "changes":
        return {(role, key) for role in ("new", "resolved") for key in reference[role]}
    if kind == "rhythm":
        return {(k + 1, key) for k in range(n) for key in reference["rhythms"][k]}
    return {
        {"first_seen": ("ecg", reference.get("ecg")), "how_many": ("count", reference.get("count"))}.get(
            kind, ("answer", reference.get("answer"))
        )
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_reference_is_read_as_it_is_meant_and_scores_the_highest(kind):
    samples = [sample for sample in QUESTIONS if sample.meta["kind"] == kind]
    assert len(samples) > 20
    for sample in samples:
        facts = TASK.parse(sample.answer, sample)
        if kind == "changes" and ("nothing changes",) in facts:
            assert not meant(sample)
        else:
            assert facts == meant(sample), sample.answer
        assert score(sample, sample.answer) == HIGHEST


def test_constant_answers_do_not_score_well():
    for text in BLIND:
        rows = TASK.score(QUESTIONS, [Prediction(s.id, text) for s in QUESTIONS])
        assert TASK.reduce(rows)["score"] < 0.35 * HIGHEST
    rows = TASK.score(QUESTIONS, [Prediction(s.id, s.answer) for s in QUESTIONS])
    assert set(TASK.reduce(rows)) == {"score", "highest", *(f"score_{n}" for n in range(2, 7))}


FINDINGS = question(
    "key_findings", "The second ECG shows sinus rhythm, premature ventricular contraction and left axis deviation.", {}
)
CHANGES = question(
    "changes",
    "The third ECG newly shows atrial fibrillation. The third ECG no longer shows sinus rhythm or left axis deviation.",
    {},
)
SAME = question("changes", "Nothing changes: both ECGs show sinus rhythm.", {})
FIRST = question(
    "first_seen", "The second ECG is the first to show atrial fibrillation.", {"finding": "atrial_fibrillation"}
)
NEVER = question("first_seen", "No ECG shows atrial fibrillation.", {"finding": "atrial_fibrillation"})
COUNT = question("how_many", "Two of the three ECGs show atrial fibrillation.", {"finding": "atrial_fibrillation"})
YES = question("present", "Yes, the second ECG shows atrial fibrillation.", {"finding": "atrial_fibrillation"})
NO = question("persists", "No, the third ECG no longer shows atrial fibrillation.", {"finding": "atrial_fibrillation"})
RHYTHM = question(
    "rhythm", "The rhythm goes from sinus rhythm in the first ECG, then atrial fibrillation in the third ECG.", {}
)


@pytest.mark.parametrize(
    "sample, text, expected",
    [
        (FINDINGS, "Left axis deviation, PVCs, sinus rhythm", 5),  # another order, other words
        (FINDINGS, "sinus rhythm, sinus rhythm, sinus rhythm", 2.5),
        (FINDINGS, "sinus rhythm, no PVCs, left axis deviation", 4),
        (FINDINGS, "The second ECG shows nothing.", 0),
        (CHANGES, "Sinus rhythm and left axis deviation have resolved; atrial fibrillation is new.", 5),
        (
            CHANGES,
            "The third ECG newly shows atrial fibrillation and no longer shows sinus rhythm or left axis deviation.",
            5,
        ),
        (
            CHANGES,
            "The third ECG newly shows sinus rhythm and left axis deviation. The third ECG no longer shows atrial "
            "fibrillation.",
            0,
        ),
        (CHANGES, "Nothing changes.", 0),
        (SAME, "Nothing changes: both ECGs show atrial fibrillation.", 2.5),
        (SAME, "The second ECG newly shows sinus rhythm.", 0),
        (FIRST, "In ECG 2.", 5),
        (FIRST, "The second one", 5),
        (FIRST, "The first ECG is the first to show atrial fibrillation.", 0),
        (FIRST, "No ECG shows atrial fibrillation.", 0),
        (FIRST, "All ECGs.", 2.5),
        (NEVER, "None of the ECGs does.", 5),
        (NEVER, "The first ECG is the first to show atrial fibrillation.", 0),
        (COUNT, "2", 5),
        (COUNT, "It is in the first ECG and in ECG 3.", 5),
        (COUNT, "All three ECGs show atrial fibrillation.", 0),
        (COUNT, "No ECG shows atrial fibrillation.", 0),
        (YES, "Yes", 5),
        (YES, "The second ECG shows AF.", 5),
        (YES, "No, the second ECG does not show atrial fibrillation.", 0),
        (YES, "The second ECG shows atrial flutter (AFL).", 0),  # AF is not in AFL
        (NO, "no.", 5),
        (NO, "Yes, the third ECG still shows atrial fibrillation.", 0),
        (RHYTHM, "The first ECG shows sinus rhythm, the second ECG sinus rhythm, ECG 3 atrial fibrillation.", 5),
        (RHYTHM, "The rhythm stays the same: sinus rhythm in all ECGs.", 5 * 4 / 6),
        (RHYTHM, "The rhythm stays the same: atrial flutter in all ECGs.", 0),
    ],
)
def test_answers_score_by_their_facts(sample, text, expected):
    assert score(sample, text) == pytest.approx(expected)


@pytest.mark.parametrize("sample", [FINDINGS, CHANGES, FIRST, COUNT, YES, NO, RHYTHM])
@pytest.mark.parametrize("text", ["", "A", "the the the the", "0.4s-3.7s", "?!"])
def test_empty_and_garbled_answers_are_unparsed_and_score_nothing(sample, text):
    row = TASK.score([sample], [Prediction("q", text)]).iloc[0]
    assert not row["parsed"] and row["score"] == 0


def test_an_answer_that_contradicts_itself_is_unparsed():
    assert TASK.parse("Yes, the second ECG does not show atrial fibrillation.", YES) is None
    assert TASK.parse("No, the second ECG shows atrial fibrillation.", YES) is None


def test_a_reference_without_facts_is_left_out_and_named():
    free = question("", "It would be prudent to ask a cardiologist.", {}, id="free")
    rows = TASK.score([free, FINDINGS], [Prediction("free", "Ask a cardiologist."), Prediction("q", FINDINGS.answer)])
    assert TASK.reduce(rows)["score"] == 5 and "1 questions left out" in TASK.notes(rows)[0]
    assert TASK.reduce(rows.iloc[:1]) == {}
    assert TASK.notes(rows.iloc[1:]) == []
