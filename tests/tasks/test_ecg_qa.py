"""ECG-QA's answers: read from free text as sets, compared whole, and never guessed."""

import csv
import json

import pytest

from anyecg.tasks import tasks
from anyecg.tasks.ecg_qa.parser import plain
from anyecg.tasks.ecg_qa.task import ECGQA
from anyecg.types import ECGSample, Prediction, Turn, Window
from tests.data.native import REAL, real_data

BIGEMINY = "bigeminal pattern (unknown origin, supraventricular, or ventricular)"
ANSWERS = ["no", "not sure", "yes", "none", "sinus rhythm", "atrial fibrillation", "lead V1", "ST Depression", "non-specific ST depression", BIGEMINY,
           "low qrs voltages in the frontal and horizontal leads", "rSr' type in V1 or V2", "2:1 AV block", "ST(-T) change"]  # fmt: skip
TASK = ECGQA(None, {"ecg_qa_answers": {"ptbxl": ANSWERS}})


def sample(answers, kind="single-query", id="q", **meta):
    count = 1 + kind.startswith("comparison")
    return ECGSample(id=id, task="ecg_qa", records=tuple(Window(f"r{k}") for k in range(count)), patient=id, subset=kind,
                     conversation=(Turn("user", "<ecg>" * count + " What?"), Turn("assistant", ", ".join(answers))),
                     meta={"question_type": kind, "template_id": 1, "answers": list(answers), **meta})  # fmt: skip


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("sinus rhythm", {"sinus rhythm"}),
        ("Sinus Rhythm, atrial fibrillation.", {"sinus rhythm", "atrial fibrillation"}),
        ("atrial fibrillation; sinus rhythm", {"sinus rhythm", "atrial fibrillation"}),
        ("ECG answer: sinus rhythm and lead V1", {"sinus rhythm", "lead v1"}),
        ("The final answer is: sinus rhythm", {"sinus rhythm"}),
        ("This ECG shows both sinus rhythm and atrial fibrillation.", {"sinus rhythm", "atrial fibrillation"}),
        ("- sinus rhythm\n- lead V1", {"sinus rhythm", "lead v1"}),
        ("1. sinus rhythm\n2. lead V1", {"sinus rhythm", "lead v1"}),
        ("sinus rhythm. Atrial fibrillation.", {"sinus rhythm", "atrial fibrillation"}),
        ("sinus rhythm, sinus rhythm", {"sinus rhythm"}),
        ("none", {"none"}),
        (f"{BIGEMINY}, sinus rhythm", {BIGEMINY, "sinus rhythm"}),
        (
            "low qrs voltages in the frontal and horizontal leads and none",
            {"low qrs voltages in the frontal and horizontal leads", "none"},
        ),
        ("non-specific ST depression", {"non-specific st depression"}),  # not the shorter answer inside it
        ("sinus rhythm, no atrial fibrillation", None),
        ("sinus rhythm, flutter", None),  # nothing is left out of a set
        ("old atrial fibrillation", None),
        ("no abnormality", None),
        ("", None),
        (" .;, ", None),
        ("A", None),
    ],
)
def test_answers_are_read_as_sets(text, items):
    found = TASK.parse(text, sample(["sinus rhythm"]))
    assert (found and found.items) == (items and frozenset(items))


@pytest.mark.parametrize(
    ("text", "options", "items"),
    [
        ("Yes", ["no", "yes"], {"yes"}),
        ("no.", ["no", "yes"], {"no"}),
        ("Yes, there is no noise.", ["no", "yes"], {"yes"}),
        ("Answer: NO", ["no", "yes"], {"no"}),
        ("Not sure", ["no", "not sure", "yes"], {"not sure"}),
        ("not sure", ["no", "yes"], None),
        ("none", ["no", "yes"], None),
        ("nothing", ["no", "yes"], None),
        ("It is present", ["no", "yes"], None),
        ("", [], None),
        ("not sure", [], {"not sure"}),
    ],
)
def test_yes_or_no_is_the_first_word(text, options, items):
    found = TASK.parse(text, sample(["yes"], "comparison_irrelevant-verify", options=options))
    assert (found and found.items) == (items and frozenset(items))


def test_every_answer_of_the_vocabulary_reads_back_alone_and_with_another():
    for first in ANSWERS[3:]:
        for answers in ([first], [first, "pause"], ["sinus rhythm", first] if first != "sinus rhythm" else [first]):
            one = sample(answers)
            assert TASK.parse(one.answer, one) == TASK.reference(one) and TASK.reference(one).items == {
                plain(answer) for answer in answers
            }


def test_order_matters_to_the_published_match_only():
    samples = [sample(["sinus rhythm", "lead V1"], id="a"), sample(["lead V1"], "single-choose", id="b"), sample(["yes"], "single-verify", id="c"),
               sample(["no"], "single-verify", id="d")]  # fmt: skip
    texts = ["Lead V1 and sinus rhythm", "lead V1, sinus rhythm", "Yes", "lead V1"]
    rows = TASK.score(samples, [Prediction(one.id, text) for one, text in zip(samples, texts)])
    assert rows["correct"].tolist() == [True, False, True, False] and rows["exact"].tolist() == [
        False,
        False,
        True,
        False,
    ]
    assert rows["parsed"].tolist() == [True, True, True, False]
    thirds = {"accuracy_macro": pytest.approx(0.5), "exact_match_macro": pytest.approx(1 / 6)}  # query, choose, verify
    assert TASK.reduce(rows) == {"accuracy": 0.5, "exact_match": 0.25, **thirds}
    blocks = TASK.blocks(rows)["question type"]
    assert blocks["single-verify"].items() >= {
        "accuracy": 0.5,
        "accuracy_macro": 0.5,
        "exact_match": 0.5,
        "exact_match_macro": 0.5,
        "n": 2,
    }.items() and set(blocks) == {one.subset for one in samples}


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("Sinus Rhythm, lead v1", True),
        ("sinus rhythm, lead V1.", False),
        ("Answer: sinus rhythm, lead V1", False),
        ("lead V1, sinus rhythm", False),
    ],
)
def test_the_published_match_is_of_the_whole_string(text, exact):
    one = sample(["sinus rhythm", "lead V1"])
    row = TASK.score([one], [Prediction("q", text)]).iloc[0]
    assert row["correct"] and row["exact"] == exact


def test_the_reference_scores_one_and_a_constant_does_not():
    samples = [sample([answer], id=answer) for answer in ANSWERS[3:]]
    perfect = TASK.score(samples, [Prediction(one.id, one.answer) for one in samples])
    assert set(TASK.reduce(perfect).values()) == {1.0}
    constant = TASK.score(samples, [Prediction(one.id, "none") for one in samples])
    assert TASK.reduce(constant)["accuracy"] == 1 / len(samples)


def test_without_a_vocabulary_the_separators_tell():
    task = tasks["ecg_qa"]()
    one = ECGSample(id="q", task="ecg_qa", records=(Window("r"),), subset="single-query",
                    conversation=(Turn("user", "<ecg> What?"), Turn("assistant", "qrs duration, pr interval")))  # fmt: skip
    assert task.reference(one).items == {"qrs duration", "pr interval"}
    assert task.measure([one], [task.parse("pr interval, qrs duration", one)])["correct"].all()


@real_data
def test_every_real_question_parses_to_its_own_answers():
    with (REAL / "ecgqa" / "ptbxl" / "answers.csv").open() as file:
        task = ECGQA(None, {"ecg_qa_answers": {"ptbxl": [row["class"] for row in csv.DictReader(file)]}})
    rows = [row for path in sorted((REAL / "ecgqa" / "ptbxl").rglob("*.json")) for row in json.loads(path.read_text())]
    assert len(rows) == 480
    for row in rows:
        one = sample(row["answer"], row["question_type"])
        assert task.parse(one.answer, one) == task.reference(one) and len(task.reference(one).items) == len(
            row["answer"]
        )
    for row in json.loads((REAL / "upstream_json" / "ecgqa_train.json").read_text()):
        one = sample(row["answer"].split(", "), row["question_type"])
        assert task.parse(row["answer"], one) == task.reference(one)
