"""The words: the machine statements that report a set of findings."""

from __future__ import annotations

from collections.abc import Collection

from anyecg.findings import BY_KEY, FINDINGS
from anyecg.simulate.heart import LEADS

RHYTHMS = (
    "atrial_fibrillation",
    "atrial_flutter",
    "sinus_bradycardia",
    "sinus_tachycardia",
    "sinus_arrhythmia",
    "sinus_rhythm",
)
MILD = frozenset(
    {
        "sinus_bradycardia",
        "sinus_tachycardia",
        "premature_atrial_contraction",
        "low_voltage",
        "premature_ventricular_contraction",
        "first_degree_av_block",
        "left_axis_deviation",
        "right_axis_deviation",
    }
)
HARMLESS = frozenset({"sinus_rhythm", "sinus_arrhythmia"})


def rhythm(findings: Collection[str]) -> str:
    """The one rhythm among the findings; sinus rhythm when none is named."""
    return next((key for key in RHYTHMS if key in findings), "sinus_rhythm")


def summary(findings: Collection[str]) -> str:
    """The key of the summary that the other findings deserve."""
    serious = set(findings) - HARMLESS
    if not serious:
        return "normal_ecg"
    return "borderline_ecg" if serious <= MILD and len(serious) <= 2 else "abnormal_ecg"


def statements(findings: Collection[str], rate: float, failed: Collection[int] = ()) -> tuple[str, ...]:
    """The report of one ECG.

    Args:
        findings: keys, without a summary.
        rate: ventricular rate, beats a minute.
        failed: indices of leads that did not record.

    Returns:
        Statements from the rhythm to the summary.
    """
    base = rhythm(findings)
    first = BY_KEY[base].statement
    if base == "atrial_fibrillation" and rate > 110:
        first += " with rapid ventricular response"
    early = [
        BY_KEY[key].statement
        for key in ("premature_ventricular_contraction", "premature_atrial_contraction")
        if key in findings
    ]
    if early:
        first += " with " + " and ".join(early)
    if "first_degree_av_block" in findings:
        first += " with 1st degree A-V block"
    told = {base, "premature_ventricular_contraction", "premature_atrial_contraction", "first_degree_av_block"}
    lines = [first]
    order = ("ectopy", "axis", "conduction", "voltage", "infarct", "st", "t_wave")
    for finding in sorted(FINDINGS, key=lambda f: order.index(f.kind) if f.kind in order else -1):
        if finding.key in findings and finding.key not in told and finding.kind in order:
            lines.append(_line(finding.key, findings))
    lines += [f"Possible faulty {LEADS[lead]} - omitted from analysis" for lead in failed]
    return (*lines, BY_KEY[summary(findings)].statement)


def _line(key: str, findings: Collection[str]) -> str:
    statement = BY_KEY[key].statement
    if key.startswith("st_elevation"):
        return statement + ", CONSIDER ACUTE INFARCT"
    if key == "t_inversion_lateral" and "left_ventricular_hypertrophy" in findings:
        return "Lateral ST-T changes are probably due to ventricular hypertrophy"
    return statement
