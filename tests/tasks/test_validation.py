"""The validator: sound questions pass, every kind of broken one fails by name, and no patient hides in two splits."""

from dataclasses import replace

import pytest

from anyecg.config.schema import Slot
from anyecg.data.dataset.data import Data
from anyecg.data.dataset.questions_file import Questions, write_questions
from anyecg.tasks import tasks as registry
from anyecg.tasks.build import build_data
from anyecg.tasks.validation import EXAMPLES, UNREADABLE, validate
from anyecg.types import MARKER, ConfigError, ECGSample, Turn, Window
from tests.building import tasks

ANSWER = "answer that its task's parser does not read as the reference"
TALK = "conversation that is not question and answer in turn"
BEYOND = "window beyond its record's end"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    sources = {
        "mimic": Slot.of("corpus", "mimic", patients=24, seed=2),
        "ptbxl": Slot.of("corpus", "ptbxl", patients=24, seed=2),
        "mit_bih_arrhythmia": Slot.of("corpus", "mit_bih_arrhythmia", patients=8, seed=2, seconds=60.0),
    }
    cfg = tasks(localization={"windows_per_record": 2}, ecg_qa={"folders": {"mimic": "simulated"}, "share": 0.2})
    return build_data(sources, cfg, tmp_path_factory.mktemp("cache"), seed=0, progress=False)


@pytest.fixture
def checked(data, tmp_path):
    """(split, question) pairs -> what the validator finds, with `length` for the tokens of a row."""

    def check(pairs, length=lambda row: 100, context=1000):
        write_questions(tmp_path / "q.arrow", pairs, data.questions.info)
        made = Data(data.stores, Questions(tmp_path / "q.arrow"), "")
        return validate(
            made, {name: registry[name](None, data.questions.info) for name in registry.table()}, length, context
        )

    return check


def pairs(data, **wanted):
    rows = data.questions.select(**wanted)
    return [(str(data.questions.column("split")[row]), data.questions[int(row)]) for row in rows]


def one(data, kind=None, positive=None, **wanted):
    """The first question of such a kind."""
    fits = (
        pair
        for pair in pairs(data, **wanted)
        if kind in (None, pair[1].meta.get("kind")) and positive in (None, bool(pair[1].meta.get("intervals")))
    )
    return next(fits)


def test_sound_questions_pass(data, checked):
    whole = list(zip(data.questions.column("split"), data.questions))
    report = checked(whole, length=lambda row: row, context=99)
    assert not report.failures and not report.examples and report.questions.total() == len(whole)
    assert set(report.questions) == {
        "report",
        "localization_short",
        "localization_long",
        "multi_ecg",
        "classification",
        "ecg_qa",
    }
    assert report.too_long.total() == len(whole) - 100 and max(report.longest.values()) == len(whole) - 1
    kinds = {sample.meta["kind"] for _, sample in whole if sample.task == "multi_ecg"}
    assert len(kinds) == 8


def say(sample, answer):
    return replace(sample, conversation=(*sample.conversation[:-1], Turn("assistant", answer)))


def meta(sample, **changes):
    return replace(sample, meta={**sample.meta, **changes})


def reference(sample, **changes):
    return meta(sample, reference={**sample.meta["reference"], **changes})


def windowed(sample, **changes):
    return replace(sample, records=(replace(sample.records[0], **changes), *sample.records[1:]))


LOCAL, SEVERAL, LABELS, BRIEF = ({"task": name} for name in ("localization", "multi_ecg", "classification", "ecg_qa"))
BROKEN = [
    (LOCAL, lambda s: windowed(s, end=s.records[0].end + 1000), BEYOND),
    (LOCAL, lambda s: windowed(s, start=5000.0, end=None), BEYOND),
    (LOCAL, lambda s: windowed(s, end=s.records[0].end - 1), ANSWER),  # not so long as its answer has it
    (LOCAL, lambda s: windowed(s, record="mit_bih_arrhythmia/nobody"), "record that is not in the stores"),
    (LOCAL, lambda s: windowed(s, record="elsewhere/100"), "record that is not in the stores"),
    (LOCAL, lambda s: replace(s, patient="mit_bih_arrhythmia/nobody"), "patient whose records it does not have"),
    (LOCAL, lambda s: say(s, "Duration: 0.1s-0.2s"), ANSWER),
    (LOCAL, lambda s: say(s, "in the middle"), ANSWER),
    (LOCAL, lambda s: say(s, "Duration: 3.0s-2.0s"), ANSWER),
    ({**LOCAL, "positive": True}, lambda s: meta(s, intervals=[*s.meta["intervals"], [9.0, 9.0]]), ANSWER),
    ({**LOCAL, "positive": True}, lambda s: meta(s, intervals=[]), ANSWER),
    ({**LOCAL, "positive": False}, lambda s: meta(s, intervals=[[1.0, 2.0]]), ANSWER),
    ({**LOCAL, "positive": True}, lambda s: say(s, f"No {s.meta['name']} Found"), ANSWER),
    (LOCAL, lambda s: replace(s, meta={}), ANSWER),
    (LOCAL, lambda s: meta(s, intervals="all of it"), ANSWER),
    ({"task": "report"}, lambda s: say(s, "Report: ."), ANSWER),
    ({"task": "report"}, lambda s: say(s, "  "), TALK),
    ({"task": "report"}, lambda s: replace(s, conversation=s.conversation[:1]), TALK),
    ({"task": "report"}, lambda s: replace(s, conversation=(*s.conversation, Turn("user", "And?"))), TALK),
    ({"task": "report"}, lambda s: replace(s, conversation=s.conversation[::-1]), TALK),
    ({"task": "report"}, lambda s: replace(s, conversation=(Turn("system", "Be brief."), *s.conversation)), TALK),
    ({"task": "report"}, lambda s: replace(s, conversation=(), records=()), TALK),
    ({"task": "report"}, lambda s: replace(s, task="reports"), "task 'reports', which nobody knows"),
    *(
        ({**SEVERAL, "kind": kind}, change, ANSWER)
        for kind, change in (
            ("key_findings", lambda s: reference(s, findings=["pacemaker"])),
            ("consistent", lambda s: say(s, "The moon.")),
            ("changes", lambda s: reference(s, new=["pacemaker"])),
            ("first_seen", lambda s: reference(s, ecg=9)),
            ("how_many", lambda s: reference(s, count=9)),
            ("present", lambda s: reference(s, answer="no" if s.meta["reference"]["answer"] == "yes" else "yes")),
            ("present", lambda s: reference(s, finding="nothing")),
            ("persists", lambda s: say(s, "Maybe.")),
            ("rhythm", lambda s: reference(s, rhythms=[["pacemaker"]])),
            ("rhythm", lambda s: meta(s, reference={})),
        )
    ),
    (LABELS, lambda s: meta(s, labels={}), ANSWER),
    (LABELS, lambda s: meta(s, labels={"super": []}), ANSWER),
    (LABELS, lambda s: say(s, "Report:"), ANSWER),
    (LABELS, lambda s: meta(s, labels={**s.meta["labels"], "super": ["tiredness"]}), ANSWER),
    (LABELS, lambda s: replace(s, subset="elsewhere"), ANSWER),
    (BRIEF, lambda s: meta(s, answers=[*s.meta["answers"], "another"]), ANSWER),
    (BRIEF, lambda s: say(s, "perhaps"), ANSWER),
]


@pytest.mark.parametrize("number", range(len(BROKEN)))
def test_what_is_broken_fails_by_name(data, checked, number):
    wanted, change, why = BROKEN[number]
    split, sample = one(data, **wanted)
    report = checked([(split, change(sample))])
    assert {why} <= {what for _, what in report.failures} <= {why, ANSWER}
    assert list(report.examples.values()) == [[sample.id]] * len(report.failures)
    assert not report.longest  # tokens are counted of what is sound


def test_a_classification_may_lack_a_report(data, checked):
    """Its labels come from codes; a record of theirs may have no report at all."""
    split, sample = one(data, **LABELS)
    assert not checked([(split, replace(say(sample, "Report:"), evidence=("",)))]).failures


def test_a_released_question_has_no_reference_but_its_answer(data, checked):
    split, sample = one(data, **SEVERAL, kind="key_findings")
    assert not checked([(split, replace(sample, meta={}))]).failures
    assert checked([(split, replace(say(sample, "It is fine."), meta={}))]).failures


def test_what_is_no_question_is_told(data, checked):
    split, sample = one(data, task="report")
    for broken, words in ((replace(sample), "2 <ecg> markers for 1 ECGs"), (replace(sample), "holds no signal")):
        if "markers" in words:
            object.__setattr__(broken, "conversation", (Turn("user", f"{MARKER}{MARKER}"), *sample.conversation[1:]))
        else:
            object.__setattr__(broken.records[0], "end", -1.0)
        report = checked([(split, broken), ("train", one(data, task="localization")[1])])
        assert report.questions[UNREADABLE] == 1 and report.failures.total() == 1
        assert words in report.examples[UNREADABLE, "not one marker an ECG, or an empty window"][0]


def test_an_id_is_given_once(data, checked):
    some = pairs(data, task="report", split="train")[:5]
    report = checked([*some, *some, some[0]])
    assert report.failures == {("report", "id of another question"): 6} and report.examples[
        "report", "id of another question"
    ] == [sample.id for _, sample in some[:EXAMPLES]]


def test_a_patient_in_two_splits(data, checked):
    """By the stores, whatever the question says of its patient."""
    first, second = next(
        (a, b)
        for a in pairs(data, task="report", split="train")
        for b in pairs(data, task="report", split="train")
        if a[1].patient == b[1].patient and a[1].records != b[1].records
    )
    report = checked([first, ("test", second[1])])
    assert report.failures == {("report", "patient of the train split in test"): 1}
    assert report.examples["report", "patient of the train split in test"] == [f"{second[1].id} ({second[1].patient})"]
    assert not checked([first, second]).failures
    two = next(
        sample
        for _, sample in pairs(data, task="ecg_qa", split="train")
        if sample.subset.startswith("comparison_irrelevant")
    )
    records = data.stores.records["patient"]
    other = next(
        pair for pair in pairs(data, task="report", split="train") if pair[1].patient == records[two.records[1].record]
    )
    report = checked([("val", replace(two, patient=records[two.records[0].record])), other])
    assert ("report", "patient of the val split in train") in report.failures


def test_a_record_in_two_splits(data, checked):
    split, sample = one(data, **LOCAL)
    moved = {"train": "test", "val": "train", "test": "train"}[split]
    report = checked([(split, sample), (moved, replace(sample, id="moved"))])
    assert set(what for _, what in report.failures) == {  # noqa: C401
        f"{what} of the {split} split in {moved}" for what in ("patient", "record")
    }


def test_what_the_llm_cannot_be_asked(data, checked):
    def refuse(row):
        raise ConfigError("no template")

    report = checked([one(data, task="report")], length=refuse)
    assert list(report.failures) == [("report", "conversation that the LLM cannot be asked (no template)")]


def test_text_only_questions_pass(checked):
    sample = ECGSample(
        "q", "report", (), (Turn("user", "What is a report?"), Turn("assistant", "Report: Sinus rhythm")), pool="text"
    )
    assert not checked([("train", sample)]).failures


def test_whole_windows_and_all_turns_are_looked_at(data, checked):
    split, sample = one(data, task="report")
    twice = replace(
        sample,
        conversation=(*sample.conversation, Turn("user", "Sure?"), Turn("assistant", "Report: Sinus rhythm")),
        records=(Window(sample.records[0].record),),
    )
    assert not checked([(split, twice)]).failures
