"""The vocabulary: every finding recognised, nothing found in part of a word or under negation."""

import json
from collections import Counter
from pathlib import Path

import pytest

from anyecg.findings import BY_KEY, FINDINGS, KINDS, find

REAL = Path(__file__).parents[2] / "shared" / "data" / "upstream_json" / "stage1.json"


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.key)
def test_its_own_words_name_a_finding_and_no_other(finding):
    assert find(finding.statement) == find(finding.name) == {finding.key}
    assert find(f"There is no {finding.name}.") == frozenset()
    assert finding.kind in KINDS


def test_keys_are_unique():
    assert len(BY_KEY) == len(FINDINGS)


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("AFL", {"atrial_flutter"}),
        ("AF", {"atrial_fibrillation"}),
        (
            "Sinus rhythm with PVC(s), Inferior/lateral ST-T changes are nonspecific, Abnormal ECG",
            {
                "sinus_rhythm",
                "premature_ventricular_contraction",
                "t_inversion_inferior",
                "t_inversion_lateral",
                "abnormal_ecg",
            },
        ),
        (
            "Multiple premature complexes, vent & supraven",
            {"premature_ventricular_contraction", "premature_atrial_contraction"},
        ),
        ("Supraventricular premature complexes", {"premature_atrial_contraction"}),
        ("RBBB with left anterior fascicular block", {"right_bundle_branch_block", "left_anterior_fascicular_block"}),
        ("Incomplete right bundle branch block", set()),
        ("sinusrhythmus unvollständiger rechtsschenkelblock sonst normales ekg", {"sinus_rhythm"}),
        ("Sinus tachycardia, Normal ECG except for rate", {"sinus_tachycardia"}),
        ("Summary: ABNORMAL ECG", {"abnormal_ecg"}),
        ("Anteroseptal infarct - age undetermined", {"infarct_anterior"}),
        ("Inferior ST elevation, CONSIDER ACUTE INFARCT", {"st_elevation_inferior"}),
        ("T wave inversion in the lateral leads", {"t_inversion_lateral"}),
    ],
)
def test_real_wordings(text, keys):
    assert find(text) == keys


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("The ECG no longer shows atrial fibrillation.", set()),
        ("Sinus rhythm without PVCs", {"sinus_rhythm"}),
        ("No AF, LBBB or PVCs, but sinus rhythm", {"sinus_rhythm"}),
        ("No ST elevation, Atrial fibrillation", {"atrial_fibrillation"}),
        ("The PVCs have resolved", set()),
        ("Atrial fibrillation is not present; sinus rhythm is", {"sinus_rhythm"}),
        ("Atrial fibrillation has been replaced by sinus rhythm", {"sinus_rhythm"}),
        ("Cannot rule out anterior infarct - age undetermined", {"infarct_anterior"}),
        ("Not only PVCs but also PACs", {"premature_ventricular_contraction", "premature_atrial_contraction"}),
        ("Sinus rhythm instead of atrial flutter", {"sinus_rhythm"}),
        ("This is not a normal ECG", set()),
        ("The ECG doesn't show atrial fibrillation.", set()),
        ("There isn't any atrial fibrillation", set()),
        ("The PVCs aren't there, PACs are", {"premature_atrial_contraction"}),
        ("Atrial fibrillation: absent", set()),
        ("Atrial fibrillation: no, sinus rhythm: yes", {"sinus_rhythm"}),
        ("PVCs (absent), LBBB (present)", {"left_bundle_branch_block"}),
        ("Report: no atrial fibrillation", set()),
        ("Report: atrial fibrillation. No PVCs", {"atrial_fibrillation"}),
        ("Atrial flutter cannot be seen", set()),
        ("Atrial flutter can't be seen", set()),
        ("An anterior infarct cannot be ruled out", {"infarct_anterior"}),
        ("Atrial flutter is unlikely", set()),
        ("A non-AF rhythm", set()),
        ("The ECG fails to show atrial flutter", set()),
        ("This excludes atrial flutter", set()),
        ("Absence of P waves with atrial fibrillation", {"atrial_fibrillation"}),
        ("No AF with LBBB", {"left_bundle_branch_block"}),
        ("Not consistent with LBBB", set()),
        ("No ECG with atrial fibrillation", set()),
    ],
)
def test_negation(text, keys):
    assert find(text) == keys


@pytest.mark.skipif(not REAL.exists(), reason="the real samples are not at hand")
def test_most_real_reports_are_understood():
    reports = [row["answer"] for row in json.loads(REAL.read_text())]
    counts = Counter(len(find(report)) for report in reports)
    assert counts[0] <= 0.03 * len(reports)
