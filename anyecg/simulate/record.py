"""One recording: a heart's beats drawn, projected to leads, and disturbed."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from scipy.signal import resample_poly

from anyecg.findings import BY_KEY
from anyecg.simulate import rhythm as timing
from anyecg.simulate.beat import Anatomy, normal_beat, ventricular_beat
from anyecg.simulate.faults import Faults, break_leads, noise
from anyecg.simulate.heart import DOWER, Wave, dipole, leads
from anyecg.simulate.measure import axis_findings
from anyecg.simulate.report import rhythm, statements
from anyecg.types import DataError

MARGIN = 0.35  # s: an ectopic beat counts as shown only this far from either end
TRIES = 200
# What a finding always brings along here: hypertrophy its strain pattern, a run its premature beats.
IMPLIED = {
    "ventricular_run": frozenset({"premature_ventricular_contraction"}),
    "left_ventricular_hypertrophy": frozenset({"st_depression_lateral", "t_inversion_lateral"}),
}


@dataclass(frozen=True)
class Recording:
    """A drawn record and its whole truth.

    Attributes:
        signal: `[12, T]` as recorded, mV, order of `heart.LEADS`; NaN where a lead is off.
        clean: `[12, T]` the heart alone, mV.
        fs: Hz.
        times, kinds: `[B]` R times, s, and "N", "V" or "A"; beats outside the record included.
        findings: keys that hold of the signal, without the summary.
        beat: the waves of a conducted beat.
        rr: mean interval between conducted neighbours within the record, s.
        faults: the recording's state.
    """

    signal: np.ndarray
    clean: np.ndarray
    fs: float
    times: np.ndarray
    kinds: np.ndarray
    findings: frozenset[str]
    beat: list[Wave]
    rr: float
    faults: Faults

    @property
    def statements(self) -> tuple[str, ...]:
        return statements(self.findings, 60 / self.rr, (*self.faults.flat, *self.faults.off))

    def peaks(self, lead: int) -> tuple[np.ndarray, np.ndarray]:
        """Samples of the R peaks in a lead of the heart's signal, and their annotation symbols (N, L, R, V, A)."""
        conducted = "N"
        if "left_bundle_branch_block" in self.findings:
            conducted = "L"
        elif "right_bundle_branch_block" in self.findings:
            conducted = "R"
        trace = np.abs(self.clean[lead])
        reach = np.arange(-round(0.06 * self.fs), round(0.06 * self.fs) + 1)
        near = np.round(self.times * self.fs).astype(int)[:, None] + reach
        inside = (near[:, 0] >= 0) & (near[:, -1] < len(trace))
        near = near[inside]
        samples = near[np.arange(len(near)), trace[near].argmax(axis=1)]
        return samples, np.where(self.kinds[inside] == "N", conducted, self.kinds[inside])


def record(
    findings: Collection[str],
    anatomy: Anatomy,
    faults: Faults,
    seconds: float,
    fs: float,
    rng: np.random.Generator,
    ventricular: timing.Ectopy | None = None,
    atrial: timing.Ectopy | None = None,
) -> Recording:
    """Draw one record that shows the findings.

    Args:
        findings: keys; unknown ones raise KeyError. The axis findings of the result are measured, not taken over.
        anatomy, faults: the person and the recording.
        seconds, fs: length and Hz.
        rng: everything random comes from it.
        ventricular, atrial: how often beats come early in a long record; by default as often as a short record needs
            to show the premature beats among the findings.
    """
    wanted = frozenset(BY_KEY[key].key for key in findings if BY_KEY[key].kind != "summary")
    for key, brought in IMPLIED.items():
        if key in wanted:
            wanted |= brought
    rr = timing.mean_rr(wanted, rng)
    plan = _beats(wanted, rr, seconds, ventricular, atrial, rng)
    inner = 500.0 if fs <= 200 else fs
    length = round(seconds * inner)
    gait = "-" if wanted & {"atrial_fibrillation", "atrial_flutter"} else "P"
    beat = normal_beat(wanted, anatomy, rr, gait)
    shapes = {"N": beat, "A": normal_beat(wanted, anatomy, 0.85 * rr, "A"), "V": ventricular_beat(anatomy, rr)}
    gains = 1 + 0.03 * rng.normal(size=len(plan.times))
    heart = np.zeros((3, length))
    for kind, waves in shapes.items():
        chosen = plan.kinds == kind
        dipole(waves, plan.times[chosen], gains[chosen], inner, length, heart)
    if "atrial_fibrillation" in wanted:
        heart += timing.fibrillation(length, inner, rng)
    if "atrial_flutter" in wanted:
        heart += timing.flutter(length, inner, rr / max(round(rr / 0.2025), 2), plan.times[0] - 0.12)
    eight = DOWER @ heart
    if inner != fs:
        eight = resample_poly(eight, round(fs), round(inner), axis=1, padtype="line")
    clean = leads(eight)
    noisy = leads(eight + noise(8, eight.shape[1], fs, faults, rng))
    shown = (wanted - {"left_axis_deviation", "right_axis_deviation"}) | axis_findings(beat) | {rhythm(wanted)}
    return Recording(
        break_leads(noisy, faults).astype(np.float32),
        clean,
        fs,
        plan.times,
        plan.kinds,
        frozenset(shown),
        beat,
        _mean_interval(plan, seconds, rr),
        faults,
    )


def _beats(
    findings: frozenset[str],
    rr: float,
    seconds: float,
    ventricular: timing.Ectopy | None,
    atrial: timing.Ectopy | None,
    rng: np.random.Generator,
) -> timing.Beats:
    if ventricular is not None or atrial is not None:
        return timing.beats(findings, rr, seconds, ventricular or timing.Ectopy(), atrial or timing.Ectopy(), rng)
    runs = "ventricular_run" in findings
    pvc = runs or "premature_ventricular_contraction" in findings
    pac = "premature_atrial_contraction" in findings
    ventricular = timing.Ectopy(7 if runs else 4, 0.12, 1.0 if runs else 0.0) if pvc else timing.Ectopy()
    for _ in range(TRIES):
        plan = timing.beats(findings, rr, seconds, ventricular, timing.Ectopy(4) if pac else timing.Ectopy(), rng)
        inside = plan.kinds[(plan.times > MARGIN) & (plan.times < seconds - MARGIN)]
        text = "".join(inside)
        if (not pvc or "V" in text) and (not pac or "A" in text) and (not runs or "VVV" in text):
            return plan
    raise DataError(f"{seconds} s are too short to show {', '.join(sorted(findings))}")


def _mean_interval(plan: timing.Beats, seconds: float, rr: float) -> float:
    """Mean interval between conducted neighbours within the record, s; the planned one where there are none."""
    conducted = (plan.kinds == "N") & (plan.times >= 0) & (plan.times < seconds)
    steps = np.diff(plan.times)[conducted[:-1] & conducted[1:]]
    return float(steps.mean()) if len(steps) else rr


def ecg(
    findings: Collection[str], *, seconds: float = 10.0, fs: float = 500, seed: int = 0
) -> tuple[np.ndarray, list[tuple[float, str]], tuple[str, ...]]:
    """One clean-enough ECG in memory, for tests and figures.

    Args:
        findings: keys of `anyecg.findings`; a rhythm left out is sinus rhythm.
        seconds, fs: length and Hz.
        seed: the same arguments give the same ECG.

    Returns:
        signal `[12, T]` float32 mV (I, II, III, aVR, aVL, aVF, V1-V6), beats as (second of the R peak in lead II,
        symbol N, L, R, V or A), and the report's statements.

    Raises:
        KeyError: for an unknown finding.
        DataError: when the record is too short to show its premature beats.
    """
    rng = np.random.default_rng([seed, 12])
    drawn = record(findings, Anatomy.draw(rng), Faults(), seconds, fs, rng)
    samples, symbols = drawn.peaks(1)
    return drawn.signal, [(int(s) / fs, str(k)) for s, k in zip(samples, symbols)], drawn.statements
