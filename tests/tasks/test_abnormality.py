"""Abnormality: labels of a list, read strictly and as published, scored label by label."""

from collections import Counter

import numpy as np
import pytest
from sklearn.metrics import f1_score, hamming_loss, roc_auc_score

from anyecg.simulate.conversations import labels_row, write_bench
from anyecg.tasks.abnormality.build import AbnormalityConfig, abnormality_questions
from anyecg.tasks.abnormality.parser import read_as_published, read_labels
from anyecg.tasks.abnormality.task import Abnormality
from anyecg.tasks.base import Sources
from anyecg.types import DataError, Prediction

CPSC = {
    "NORM": "normal sinus rhythm",
    "AF": "atrial fibrillation",
    "I-AVB": "first-degree AV block",
    "LBBB": "left bundle branch block",
    "STE": "ST elevation",
}


class Store:
    """Labels without recordings."""

    def __init__(self, corpus="cpsc2018", count=40, splits=("train", "val", "test")):
        self.corpus, self.count, self.splits = corpus, count, splits
        self.codes = {str(1000 + place): name for place, name in enumerate(CPSC.values())}
        acronyms = dict(zip(self.codes, CPSC))
        self.summary = {"corpus": corpus, "info": {"labels": {"all": self.codes}, "acronyms": acronyms}}

    def rows(self, columns):
        rng = np.random.default_rng(1)
        for number in range(self.count):
            held = [code for code in self.codes if rng.random() < 0.3]
            row = {
                "id": f"{self.corpus}/A{number:04d}",
                "patient": f"{self.corpus}/p{number}",
                "split": self.splits[number % len(self.splits)],
                "seconds": 10.0,
                "statements": [self.codes[code] for code in held],
                "labels": held,
            }
            yield tuple(row[column] for column in columns)


class Stores(dict):
    """As the stores of a data set: iterated by store, got by corpus."""

    def __iter__(self):
        return iter(self.values())


def stores(*corpora, **settings):
    return Stores({corpus: Store(corpus, **settings) for corpus in corpora or ("cpsc2018",)})


@pytest.mark.parametrize(
    ("said", "strict", "published"),
    [
        ("AF; LBBB", {"AF", "LBBB"}, {"AF", "LBBB"}),
        ("atrial fibrillation, left bundle branch block", {"AF", "LBBB"}, set()),
        ("AF(atrial fibrillation); I-AVB (first-degree AV block)", {"AF", "I-AVB"}, {"AF", "I-AVB"}),
        ("The ECG shows AF.", {"AF"}, {"AF"}),
        ("There is no AF; STE", {"STE"}, {"AF", "STE"}),  # a denial
        ("NORM", {"NORM"}, {"NORM"}),
        ("ABNORMAL", None, {"NORM"}),  # a code inside a word
        ("none", set(), set()),
        ("None of these applies.", set(), set()),
        ("AF or LBBB", None, {"AF", "LBBB"}),  # open
        ("af", None, set()),  # an acronym has its capitals
        ("", None, set()),
        ("I cannot say.", None, set()),
        ('["AF", "STE"]', {"AF", "STE"}, {"AF", "STE"}),
        ("<think>LBBB?</think>Answer: STE", {"STE"}, {"STE"}),
        ("Not LBBB, because the QRS is narrow. Answer: AF", {"AF"}, {"AF"}),
        ("no AF", None, {"AF"}),  # says what is not there, and not what is
    ],
)
def test_labels_are_read_strictly_and_as_published(said, strict, published):
    assert read_labels(said, CPSC) == (None if strict is None else frozenset(strict))
    assert read_as_published(said, CPSC) == frozenset(published)


@pytest.fixture(scope="module")
def samples():
    return [sample for _, sample in abnormality_questions(stores(), AbnormalityConfig(), 0, Counter())]


def test_every_record_is_asked_and_its_labels_are_the_answer(samples):
    task = Abnormality()
    assert len(samples) == 40 and all(task.agrees(sample) for sample in samples)
    assert {sample.answer for sample in samples} >= {"none"} and len({s.conversation[0].text for s in samples}) == 8
    rows = task.score(samples, [Prediction(sample.id, sample.answer) for sample in samples])
    found = task.reduce(rows)
    assert found["auc"] == found["f1"] == found["exact"] == found["auc_published"] == 1 and found["hamming"] == 0
    assert len(set(task.wordings(samples[0]))) == 8 and not task.secrets(samples[0])


def test_metrics_are_those_of_hard_labels(samples):
    """The three metrics agree with scikit-learn's on the same decisions, as PULSE's scorer has them."""
    rng = np.random.default_rng(3)
    said = [frozenset(label for label in CPSC if rng.random() < 0.4) for _ in samples]
    texts = ["; ".join(label for label in CPSC if label in held) or "none" for held in said]
    task = Abnormality()
    found = task.reduce(task.score(samples, [Prediction(s.id, text) for s, text in zip(samples, texts)]))
    true = np.array([[label in sample.meta["labels"] for label in CPSC] for sample in samples])
    guess = np.array([[label in held for label in CPSC] for held in said])
    assert found["auc"] == pytest.approx(np.mean([roc_auc_score(true[:, k], guess[:, k]) for k in range(len(CPSC))]))
    assert found["f1"] == pytest.approx(f1_score(true, guess, average="macro"))
    assert found["hamming"] == pytest.approx(hamming_loss(true, guess))
    assert found["auc_published"] == pytest.approx(found["auc"])


def test_an_unread_answer_is_wrong_in_every_label(samples):
    task = Abnormality()
    rows = task.score(samples, [Prediction(sample.id, "I cannot say.") for sample in samples])
    assert not rows["parsed"].any()
    found = task.reduce(rows)
    assert found["hamming"] == 1 and found["auc"] == 0 and found["exact"] == 0
    assert found["auc_published"] == 0.5  # says nothing, as that scorer has it


def test_corpora_are_averaged_and_absent_labels_are_named(samples):
    task = Abnormality()
    more = [s for _, s in abnormality_questions(stores("cpsc2018", "other"), AbnormalityConfig(), 0, Counter())]
    texts = {s.id: s.answer if s.subset == "other" else "none" for s in more}
    found = task.reduce(rows := task.score(more, [Prediction(id, text) for id, text in texts.items()]))
    assert found["auc"] == pytest.approx(0.75) and set(task.blocks(rows)["corpus"]) == {"cpsc2018", "other"}
    few = [sample for sample in samples if "AF" not in sample.meta["labels"]]
    assert "AF" in task.notes(task.score(few, [Prediction(s.id, s.answer) for s in few]))[0]
    resampled = task.reducer(rows)(rows[~rows["true:other:AF"].eq(1)])
    assert set(resampled) == set(found)


def test_only_the_chosen_sets_are_asked():
    asked = lambda cfg: {s.subset for _, s in abnormality_questions(stores("a", "b"), cfg, 0, Counter())}  # noqa: E731
    assert asked(AbnormalityConfig(sets={"a": "all"})) == {"a"} and asked(AbnormalityConfig()) == {"a", "b"}
    with pytest.raises(DataError, match="no label set 'some'"):
        asked(AbnormalityConfig(sets={"a": "some"}))
    problems = Abnormality(AbnormalityConfig(sets={"x": "all"}, files={"a": "/nowhere"})).check(["a"])
    assert [key for key, _ in problems] == ["sets.x", "files.a"]


def test_the_benchmarks_own_file_takes_the_place_of_our_questions(tmp_path):
    rows = [
        labels_row("cpsc", "A0003", CPSC, ["AF", "STE"]),
        labels_row("cpsc", "A0004", {"LBBB": CPSC["LBBB"], "AF": CPSC["AF"]}, ["LBBB"]),
        labels_row("cpsc", "A9999", CPSC, ["AF"]),
    ]
    write_bench(tmp_path, "cpsc-test", rows)
    cfg, dropped = AbnormalityConfig(files={"cpsc2018": str(tmp_path / "cpsc-test")}, split="test"), Counter()
    found = list(abnormality_questions(stores(), cfg, 0, dropped))
    assert [(split, sample.records[0].record) for split, sample in found] == [
        ("test", "cpsc2018/A0003"),
        ("test", "cpsc2018/A0004"),
    ]
    assert [sample.meta["labels"] for _, sample in found] == [["AF", "STE"], ["LBBB"]]
    assert list(found[1][1].meta["options"]) == ["AF", "LBBB"]  # what its question names
    assert dropped == {("abnormality", "recording that is not in the stores"): 1}
    assert all(Abnormality().agrees(sample) for _, sample in found)
    sources = Sources(stores(), {}, tmp_path)
    assert Abnormality(cfg).settings(sources)["files"]["cpsc2018"] != str(tmp_path)


@pytest.mark.parametrize(("said", "held"), [
    ('{"AF": false, "LBBB": true}', {"LBBB"}), ('{"AF": 0, "LBBB": 1}', {"LBBB"}), ('{"AF": "no", "LBBB": "yes"}', {"LBBB"}),
    ('{"absent": ["AF"], "present": ["LBBB"]}', {"LBBB"}), ('{"AF": 0.2, "LBBB": 0.9}', None), ("AF: 0.1\nLBBB: 0.9", None), ("AF (10%), LBBB (90%)", None),
    ("| Label | Present |\n|---|---|\n| AF | No |\n| LBBB | Yes |", {"LBBB"}), ("[ ] AF\n[x] LBBB", {"LBBB"}), ("❌ AF\n✅ LBBB", {"LBBB"}), ("AF ❌ LBBB ✅", {"LBBB"}),
    ("Absent: AF, STE. Present: LBBB", {"LBBB"}), ("Present: LBBB\nAbsent: AF, STE", {"LBBB"}), ("AF (unlikely), LBBB", {"LBBB"}),
    ("rule out AF", None), ("AF cannot be excluded", None),
])  # fmt: skip
def test_verdicts_label_by_label(said, held):
    assert read_labels(said, CPSC) == (None if held is None else frozenset(held))


def test_a_separator_inside_a_label_is_the_labels():
    options = {"STTC": "ST/T change", "HYP": "hypertrophy"}
    assert read_labels("ST/T change / hypertrophy", options) == {"STTC", "HYP"}
    assert read_labels("The ECG shows hypertrophy and ST/T change.", options) == {"STTC", "HYP"}
