"""Classification: AUC as scikit-learn's, label names met exactly, classes without positives left out and named."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torchmetrics.functional import auroc

from anyecg.data.corpora import corpora
from anyecg.data.store.shards import build_store
from anyecg.data.store.store import Stores
from anyecg.tasks.classification.build import classification_questions, label_statements, label_universe
from anyecg.tasks.classification.labels import LabelReader
from anyecg.tasks.classification.task import Classification
from anyecg.tasks.metrics import auc
from anyecg.types import ConfigError, DataError, ECGSample, Prediction, Turn, Window
from tests.data.native import REAL, real_data

UNIVERSE = {
    "super": ["normal ECG", "conduction disturbance"],
    "rhythm": ["sinus rhythm", "atrial fibrillation", "atrial flutter", "pacemaker"],
}


class Words:
    """Texts as unit bags of words; remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def encode(self, texts):
        self.asked.append(list(texts))
        rows = torch.zeros(len(texts), 256, dtype=torch.float32)
        for row, text in zip(rows, texts):
            for word in text.lower().split():
                row[sum(map(ord, word)) % 256] += 1
        return torch.nn.functional.normalize(rows, dim=1)


def sample(i, super_=(), rhythm=(), reference=None):
    names = [*rhythm, *super_]
    return ECGSample(id=f"q{i}", task="classification", records=(Window(f"r{i}"),), patient=f"p{i}", subset="ptbxl",
                     conversation=(Turn("user", "<ecg> Report?"), Turn("assistant", reference or f"Report: {', '.join(names)}")),
                     meta={"labels": {"super": list(super_), "rhythm": list(rhythm)}})  # fmt: skip


SAMPLES = [
    sample(0, ["normal ECG"], ["sinus rhythm"]),
    sample(1, ["conduction disturbance"], ["atrial fibrillation"]),
    sample(2, ["normal ECG"], ["atrial flutter"]),
    sample(3, ["conduction disturbance"], []),
]


def task():
    return Classification(None, {"labels": {"ptbxl": UNIVERSE}}, Words())


def rows(texts, task_=None):
    return (task_ or task()).score(SAMPLES, [Prediction(f"q{i}", text) for i, text in enumerate(texts)])


@pytest.mark.parametrize("ties", [False, True])
def test_auc_agrees_with_the_libraries(ties):
    rng = np.random.default_rng(0)
    targets = rng.random((80, 6)) < 0.3
    scores = rng.normal(size=(80, 6)) + targets
    scores = np.round(scores) if ties else scores
    theirs = [float(auroc(torch.tensor(s), torch.tensor(t), task="binary")) for s, t in zip(scores.T, targets.T)]
    np.testing.assert_allclose(auc(scores, targets), theirs, atol=1e-6)
    sklearn = pytest.importorskip("sklearn.metrics")
    np.testing.assert_allclose(auc(scores, targets), [sklearn.roc_auc_score(t, s) for s, t in zip(scores.T, targets.T)])


def test_auc_is_undefined_without_positives_or_without_negatives():
    assert np.isnan(auc(np.zeros((3, 2)), np.array([[True, False]] * 3))).all()


def test_the_reference_scores_the_maximum_and_a_constant_is_chance():
    found = task().reduce(rows([s.answer for s in SAMPLES]))
    assert found["auc(ptbxl)"] == found["auc(ptbxl.super)"] == found["auc(ptbxl.rhythm)"] == found["finding_f1"] == 1
    constant = task().reduce(rows(["sinus rhythm, normal ECG"] * 4))
    assert constant["auc(ptbxl)"] == constant["auc(ptbxl.rhythm)"] == 0.5


def test_a_label_without_positives_is_left_out_and_named():
    scored = rows([s.answer for s in SAMPLES])
    assert any(
        "auc(ptbxl.rhythm)" in note and "pacemaker" in note and "sinus" not in note for note in task().notes(scored)
    )
    without = scored.iloc[[0, 0]]
    assert "auc(ptbxl.rhythm)" not in task().reduce(without) and "auc(ptbxl)" not in task().reduce(without)
    assert np.isfinite(list(task().reduce(without).values())).all()


def test_the_headline_says_what_it_is_a_mean_of():
    scored = rows([s.answer for s in SAMPLES])
    assert task().headline(scored) == "auc(ptbxl)" and "all label sets of ptbxl" in task().meaning("auc(ptbxl)")
    both = Classification(None, {"labels": {"ptbxl": UNIVERSE, "cpsc": {"rhythm": ["sinus rhythm"]}}}, Words())
    assert both.headline(rows([""] * 4, both)) == "auc(cpsc,ptbxl)" and "label set super of ptbxl" in both.meaning(
        "auc(ptbxl.super)"
    )
    one = Classification(
        None,
        {"labels": {"ptbxl": {"super": UNIVERSE["super"], "rhythm": []} | {"rhythm": UNIVERSE["rhythm"]}}},
        Words(),
    )
    assert (
        one.headline(rows([""] * 4, one)[[c for c in rows([""] * 4, one) if ".rhythm:" not in c]]) == "auc(ptbxl.super)"
    )


def test_resamples_are_means_over_the_same_labels():
    """A resample without the only positive of a hard label is not a mean over the easy ones alone."""
    texts = [
        "normal ECG, sinus rhythm",
        "conduction disturbance, sinus rhythm",
        "normal ECG, atrial flutter",
        "conduction disturbance",
    ]
    scored, judge = rows(texts), task()
    whole = judge.reduce(scored)
    easy = scored[scored["id"] != "q1"]  # atrial fibrillation, which no answer names
    assert judge.reduce(easy)["auc(ptbxl.rhythm)"] > whole["auc(ptbxl.rhythm)"]
    resampled = judge.reducer(scored)(pd.concat([easy, easy.iloc[:1]]))["auc(ptbxl.rhythm)"]
    stood_in = judge.reducer(scored)(scored)["auc(ptbxl.rhythm)"]
    assert stood_in == whole["auc(ptbxl.rhythm)"] and resampled < judge.reduce(easy)["auc(ptbxl.rhythm)"]


def test_a_sample_without_a_label_of_a_set_is_no_part_of_it():
    scored = rows([s.answer for s in SAMPLES])
    assert scored["label:ptbxl.rhythm:sinus rhythm"].isna().tolist() == [False, False, False, True]
    assert scored["label:ptbxl.super:normal ECG"].notna().all()


def test_corpora_keep_their_own_label_sets():
    universe = {"ptbxl": UNIVERSE, "cpsc": {"rhythm": ["atrial fibrillation", "sinus rhythm"]}}
    other = [
        replace(s, id=f"c{i}", subset="cpsc", meta={"labels": {"rhythm": s.meta["labels"]["rhythm"]}})
        for i, s in enumerate(SAMPLES[:2])
    ]
    both = [*SAMPLES, *other]
    found = Classification(None, {"labels": universe}, Words())
    found = found.reduce(found.score(both, [Prediction(s.id, s.answer) for s in both]))
    assert found["auc(cpsc.rhythm)"] == found["auc(ptbxl.rhythm)"] == 1 and "auc(cpsc.super)" not in found


def test_labels_are_names_not_substrings():
    universe = {"ptbxl": {"rhythm": ["AF", "AFL"]}}
    said = [ECGSample(id=f"q{i}", task="classification", subset="ptbxl", records=(Window("r"),), conversation=(Turn("user", "<ecg>"), Turn("assistant", name)),
                      meta={"labels": {"rhythm": [name]}}) for i, name in enumerate(["AF", "AFL"])]  # fmt: skip
    scored = Classification(None, {"labels": universe}, Words()).score(
        said, [Prediction("q0", "AF"), Prediction("q1", "AFL")]
    )
    assert scored["label:ptbxl.rhythm:AF"].tolist() == [1, 0] and scored["score:ptbxl.rhythm:AF"].tolist() == [1, 0]
    assert scored["said:atrial_fibrillation"].tolist() == [True, False]


def test_an_empty_report_is_unparsed_and_scores_zero():
    scored = rows(["", "Report:", " . ", "sinus rhythm"])
    assert scored["parsed"].tolist() == [False, False, False, True]
    assert (scored.filter(like="score:").iloc[:3] == 0).all(axis=None)


def test_each_phrase_is_embedded_once():
    judge = task()
    rows(["sinus rhythm, normal ECG", "Report: sinus rhythm", "sinus rhythm; normal ECG", "normal ECG"], judge)
    ((asked),) = judge.text_encoder.asked
    assert asked[:2] == ["normal ECG", "sinus rhythm"] and len(asked) == 2 + 6


def test_cosine_takes_a_denial_for_a_match_and_the_findings_do_not():
    scored = rows(["no atrial fibrillation"] * 4)
    assert (scored["score:ptbxl.rhythm:atrial fibrillation"] > 0.5).all() and not scored[
        "said:atrial_fibrillation"
    ].any()


LABELS = {
    "sub": ["AV block", "complete left bundle branch block", "incomplete right bundle branch block"],
    "rhythm": ["atrial fibrillation", "atrial flutter", "pacemaker"],
}
READER = LabelReader(LABELS, {"first degree AV block": {"sub": ["AV block"]}, "left bundle branch block of late": {}})


@pytest.mark.parametrize(
    ("report", "said"),
    [
        ("Atrial fibrillation, AV block", {"atrial fibrillation", "AV block"}),
        ("AF. 1st degree A-V block", {"atrial fibrillation", "AV block"}),
        ("no atrial fibrillation, no AV block", set()),
        ("pacemaker is absent", set()),
        ("AFL", {"atrial flutter"}),
        ("left bundle branch block", {"complete left bundle branch block"}),
        ("incomplete left bundle branch block", set()),
        ("Incomplete  right bundle branch block", {"incomplete right bundle branch block"}),
        ("right bundle branch block", set()),
        ("pacemakers", set()),
        ("", set()),
    ],
)
def test_labels_are_read_as_asserted(report, said):
    assert {name for _, name in READER(report)} == said


def test_a_phrase_inside_a_longer_one_is_not_read():
    reader = LabelReader({"csn": ["atrioventricular block", "3 degree atrioventricular block"]})
    assert reader("3 degree atrioventricular block") == {("csn", "3 degree atrioventricular block")}
    assert LabelReader({})("atrial fibrillation") == frozenset()


def test_each_label_has_its_auc_beside_its_f1():
    texts = [
        "sinus rhythm, normal ECG",
        "no atrial fibrillation, conduction disturbance",
        "atrial flutter, normal ECG",
        "conduction disturbance",
    ]
    scored = rows(texts)
    found, labels = task().reduce(scored), task().blocks(scored)["labels of ptbxl.rhythm"]
    asked = {
        "n": 3,
        "n_patients": int(scored["patient"][scored["label:ptbxl.rhythm:pacemaker"].notna()].nunique()),
        "n_unparsed": 0,
    }
    assert labels["sinus rhythm"] == {"auc": 1.0, "f1": 1.0, "positives": 1, **asked}
    # denied: alike, but not asserted
    assert labels["atrial fibrillation"] == {"auc": 1.0, "f1": 0.0, "positives": 1, **asked}
    assert labels["pacemaker"] == {"positives": 0, **asked}
    assert (
        found["f1(ptbxl.super)"] == 1
        and found["f1(ptbxl.rhythm)"] == pytest.approx(2 / 3)
        and found["f1(ptbxl)"] == pytest.approx(5 / 6)
    )


@real_data
def test_real_reports_assert_their_own_labels_and_denied_ones_none(tmp_path):
    corpus = corpora["ptbxl"]
    stores = Stores(
        [
            build_store(
                corpus(corpus.Config(root=str(REAL / "ptbxl"), limit=150), REAL / "ptbxl"), tmp_path, progress=False
            )
        ]
    )
    samples = [sample for _, sample in classification_questions(stores, Counter())]
    judge = Classification(
        None, {"labels": label_universe(stores), "label_statements": label_statements(stores)}, Words()
    )
    assert {group: len(names) for group, names in judge.info["labels"]["ptbxl"].items()} == {
        "super": 5,
        "sub": 23,
        "form": 19,
        "rhythm": 12,
    }
    found = judge.reduce(judge.score(samples, [Prediction(s.id, s.answer) for s in samples]))
    assert found["f1(ptbxl)"] == found["f1(ptbxl.super)"] == found["f1(ptbxl.sub)"] == found["finding_f1"] == 1
    denied = ["no " + s.answer.removeprefix("Report: ").replace(", ", ", no ") for s in samples]
    found = judge.reduce(judge.score(samples, [Prediction(s.id, text) for s, text in zip(samples, denied)]))
    assert found["f1(ptbxl)"] == found["finding_f1"] == 0 and found["auc(ptbxl)"] > 0.9


def test_what_is_missing_is_said():
    with pytest.raises(ConfigError, match="text_encoder"):
        rows([""] * 4, Classification(None, {"labels": {"ptbxl": UNIVERSE}}))
    with pytest.raises(DataError, match="label names"):
        rows([""] * 4, Classification(None, {}, Words()))
    with pytest.raises(DataError, match="q0.*'ptbxl.super'.*normal ECG"):
        rows(
            [""] * 4,
            Classification(None, {"labels": {"ptbxl": {**UNIVERSE, "super": ["conduction disturbance"]}}}, Words()),
        )
