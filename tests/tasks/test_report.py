"""Reports: corpus metrics agree with the library, findings follow negation, empty reports count."""

import pytest
from torchmetrics.functional.text import bleu_score, rouge_score

from anyecg.tasks.report import Report, phrases
from anyecg.types import ECGSample, Prediction, Turn, Window

TASK = Report()
REFERENCES = ["Report: Sinus rhythm, Left axis deviation, Borderline ECG", "Report: Atrial fibrillation, PVC(s), Abnormal ECG",
              "Report: Sinus rhythm, Normal ECG"]  # fmt: skip


def samples():
    return [ECGSample(id=f"q{i}", task="report", records=(Window("r"),), patient=f"p{i}",
                      conversation=(Turn("user", "<ecg> Report?"), Turn("assistant", text)))
            for i, text in enumerate(REFERENCES)]  # fmt: skip


def rows(texts):
    return TASK.score(samples(), [Prediction(f"q{i}", text) for i, text in enumerate(texts)])


def test_the_reference_scores_the_maximum_and_a_constant_does_not():
    assert list(TASK.reduce(rows(REFERENCES)).values()) == pytest.approx([1.0] * 5)
    constant = TASK.reduce(rows(["Sinus rhythm, Normal ECG"] * 3))
    assert all(value < 0.75 for value in constant.values())


def test_bleu_and_rouge_are_those_of_torchmetrics_over_the_corpus():
    said = ["sinus rhythm with left axis deviation, borderline ecg", "atrial fibrillation, abnormal ecg", "sinus rhythm, normal ecg today"]
    true = [text.removeprefix("Report: ").lower() for text in REFERENCES]
    found = TASK.reduce(rows(said))
    for order in (1, 4):
        assert found[f"bleu_{order}"] == pytest.approx(float(bleu_score(said, [[t] for t in true], n_gram=order)), abs=1e-6)
    assert found["rouge_l"] == pytest.approx(float(rouge_score(said, true, rouge_keys="rougeL")["rougeL_fmeasure"]), abs=1e-6)


def test_negated_findings_and_look_alikes_do_not_count():
    assert TASK.reduce(rows(["Sinus rhythm", "No atrial fibrillation", "Sinus rhythm"]))["finding_f1"] < TASK.reduce(
        rows(["Sinus rhythm", "AF", "Sinus rhythm"]))["finding_f1"]  # fmt: skip
    assert TASK.reduce(rows(["", "AFL", ""]))["finding_f1"] == 0


def test_empty_and_garbled_reports_are_unparsed_and_finite():
    scored = rows(["", "Report: ...", "?!"])
    assert not scored["parsed"].any()
    assert set(TASK.reduce(scored).values()) == {0.0}
    assert "atrial_flutter" in TASK.notes(scored)[0]


def test_phrases_are_the_statements_of_a_report():
    assert phrases("Report: Sinus rhythm, PR 0.2 s; PVC(s)\nAbnormal ECG.") == ["Sinus rhythm", "PR 0.2 s", "PVC(s)", "Abnormal ECG"]
    assert phrases("Report: , .") == []
