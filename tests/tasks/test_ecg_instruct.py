"""ECGInstruct's families: every form is answered by its own reference, and read strictly."""

import random
from collections import Counter
from types import SimpleNamespace

import pytest

from anyecg.tasks.base import Sources
from anyecg.tasks.ecg_instruct import words
from anyecg.tasks.ecg_instruct.build import FAMILIES, FORMS, SHARES, InstructConfig, asked_as, instruct_questions
from anyecg.tasks.ecg_instruct.task import ECGInstruct
from anyecg.types import ConfigError, ECGSample, Prediction, Turn, Window


class Store:
    """Reports without recordings."""

    reports = (
        ("Sinus rhythm", "Left bundle branch block", "Left axis deviation"),
        ("Atrial fibrillation", "PVC(s)", "Inferior infarct - age undetermined"),
        ("Sinus tachycardia", "Low QRS voltages", "Right axis deviation", "PAC(s)"),
        ("Normal ECG",),
    )

    def __init__(self, copies=40):
        self.summary = {"corpus": "mimic", "info": {}}
        self.copies = copies

    def rows(self, columns):
        for number in range(self.copies):
            for place, report in enumerate(self.reports):
                yield f"r{number}.{place}", f"p{number}", "test", 10.0, report


@pytest.fixture(scope="module")
def samples():
    return [sample for _, sample in instruct_questions([Store()], InstructConfig(), 0, Counter())]


def test_every_reference_is_the_answer_and_every_form_is_asked(samples):
    task = ECGInstruct()
    assert all(task.agrees(sample) for sample in samples), [s.answer for s in samples if not task.agrees(s)][:5]
    assert {sample.pool for sample in samples} == set(task.pools)
    assert {sample.meta["form"] for sample in samples} == {*FORMS, "report"}
    assert len({sample.id for sample in samples}) == len(samples) == 4 * 40 * 4
    assert all(
        2 <= sum(turn.role == "user" for turn in s.conversation) <= 4 for s in samples if s.meta["form"] == "dialogue"
    )
    scored = task.score(samples, [Prediction(sample.id, sample.answer) for sample in samples])
    assert scored["score"].eq(1).all() and task.reduce(scored) == {"score": 1.0, "closed": 1.0, "free": 1.0}


def test_questions_are_worded_in_many_ways(samples):
    asked = {sample.conversation[0].text for sample in samples if sample.meta["form"] == "report"}
    assert len(asked) > 30 and all(abs(sum(shares.values()) - 1) < 0.02 for shares in SHARES.values())
    yes = [sample.answer for sample in samples if sample.meta["form"] == "yes_no"]
    assert {*yes} == {"Yes", "No"}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("family", FAMILIES)
def test_options_and_gold_belong_to_the_family(form, family):
    known = FAMILIES[family]
    for seed in range(12):
        held = frozenset(random.Random(seed).sample(sorted(known), seed % 3))
        turns, gold, options = asked_as(form, family, known, held, random.Random(seed))
        assert all(question.strip() and answer.strip() for question, answer in turns)
        if form == "choice":
            assert 4 <= len(options) <= 8 and len(set(options)) == len(options) and len(gold) == 1
        elif form not in ("yes_no", "dialogue"):
            assert gold == held


def question(form, family="rhythm", gold=(), options=(), answer="x"):
    return ECGSample(
        "q", "ecg_instruct", (Window("r"),), (Turn("user", "<ecg>\nq"), Turn("assistant", answer)),
        meta={"form": form, "family": family, "gold": list(gold), "options": list(options)},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("form", "options", "said", "read"),
    [
        ("yes_no", ["atrial_fibrillation"], "Yes, there is.", {"atrial_fibrillation"}),
        ("yes_no", ["atrial_fibrillation"], "No.", set()),
        ("yes_no", ["atrial_fibrillation"], "perhaps", None),
        ("choice", ["sinus rhythm", "atrial fibrillation"], "B", {"B"}),
        ("choice", ["sinus rhythm", "atrial fibrillation"], "A or B", None),
        ("choice", ["sinus rhythm", "atrial fibrillation"], "", None),
        ("list", ["atrial_fibrillation"], "atrial fibrillation; no atrial flutter", {"atrial_fibrillation"}),
        ("list", ["atrial_fibrillation"], "none", set()),
        ("fill", [], "...", None),
        ("open", [], "The ECG shows sinus rhythm and left axis deviation.", {"sinus_rhythm"}),
    ],
)
def test_answers_are_read_strictly(form, options, said, read):
    parsed = ECGInstruct().parse(said, question(form, options=options))
    assert parsed == (None if read is None else frozenset(read))


def test_free_text_is_scored_by_its_findings_and_silence_as_wrong():
    task = ECGInstruct()
    sample = question("open", gold=["sinus_rhythm", "left_bundle_branch_block"])
    for said, score in (("sinus rhythm", 2 / 3), ("", 0.0), ("atrial fibrillation", 0.0)):
        assert task.score([sample], [Prediction("q", said)])["score"].item() == pytest.approx(score)


def test_settings_that_do_not_fit_name_their_key():
    with pytest.raises(ConfigError, match=r"forms\.essay"):
        InstructConfig(forms={"essay": 1})
    task = ECGInstruct(InstructConfig(corpora=["nowhere"]))
    assert task.check(["mimic"]) == [("corpora", "no corpus of the experiment is called 'nowhere'")]


def test_a_record_without_a_statement_is_counted():
    store, dropped = Store(1), Counter()
    store.reports = ((),)
    sources = Sources([store], {}, None, dropped=dropped)
    assert not list(ECGInstruct().build(sources)) and sum(dropped.values()) == 1


def test_the_words_have_no_stray_fields():
    everything = (*words.YES_NO, *words.LIST, *words.CHOICE, *words.FILL, *words.OPEN, *words.REPORT)
    fields = SimpleNamespace(name="a", options="b", mark="c", topic="d")
    assert all("{" not in text.format(**vars(fields)) for text in everything)
