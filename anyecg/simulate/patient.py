"""The seeded patient: one heart over its visits, with findings that stay, appear and resolve."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from zlib import crc32

import numpy as np

from anyecg.simulate.beat import Anatomy
from anyecg.simulate.rhythm import Ectopy

HEALTHY = 0.17

# Chance that a patient who is not healthy has each disease, and whether it comes and goes between visits.
RHYTHM = {
    "atrial_fibrillation": (0.16, True),
    "atrial_flutter": (0.15, True),
    "sinus_bradycardia": (0.14, True),
    "sinus_tachycardia": (0.14, True),
    "sinus_arrhythmia": (0.15, True),
}
CONDUCTION = {
    "left_bundle_branch_block": (0.09, False),
    "right_bundle_branch_block": (0.10, False),
    "left_anterior_fascicular_block": (0.09, False),
}
SHAPE = {
    "left_ventricular_hypertrophy": (0.13, False),
    "low_voltage": (0.09, False),
    "left_axis_deviation": (0.04, False),
    "right_axis_deviation": (0.10, False),
}
INFARCT = {"infarct_inferior": (0.12, False), "infarct_anterior": (0.12, False)}
ISCHEMIA = {
    "st_elevation_inferior": (0.15, True),
    "st_elevation_anterior": (0.15, True),
    "st_elevation_lateral": (0.14, True),
    "st_depression_inferior": (0.12, True),
    "st_depression_lateral": (0.04, True),
    "t_inversion_inferior": (0.12, True),
    "t_inversion_anterior": (0.18, True),
    "t_inversion_lateral": (0.04, True),
}
EXTRA = {
    "first_degree_av_block": (0.12, False),
    "premature_ventricular_contraction": (0.16, True),
    "premature_atrial_contraction": (0.22, True),
    "ventricular_run": (0.08, True),
}

SHOWN = 0.66  # chance that a finding which comes and goes shows at one visit
REPOLARISATION = frozenset(ISCHEMIA)
AXES = frozenset({"left_axis_deviation", "right_axis_deviation"})

# What cannot be told beside a finding, and is left out where both would hold: each key beats the keys of its set.
HIDES: dict[str, frozenset[str]] = {
    "left_bundle_branch_block": frozenset({*INFARCT, *ISCHEMIA, *SHAPE}),
    "right_bundle_branch_block": frozenset(
        {"infarct_anterior", "left_ventricular_hypertrophy", *AXES, "t_inversion_anterior", "st_elevation_anterior"}
    ),
    "left_anterior_fascicular_block": frozenset({"infarct_inferior", *AXES}),
    "left_ventricular_hypertrophy": frozenset({"low_voltage", "right_axis_deviation", *REPOLARISATION}),
    "low_voltage": frozenset(REPOLARISATION),
    "infarct_inferior": frozenset({*AXES, "infarct_anterior"}),
    "right_axis_deviation": frozenset({"left_axis_deviation", "infarct_anterior"}),
    "atrial_flutter": frozenset({"first_degree_av_block", "premature_atrial_contraction", *REPOLARISATION}),
    "atrial_fibrillation": frozenset({"first_degree_av_block", "premature_atrial_contraction"}),
    "sinus_tachycardia": frozenset({"first_degree_av_block"}),
    "sinus_arrhythmia": frozenset({"premature_atrial_contraction"}),
}
PAIRS = (
    frozenset({"st_depression_lateral", "t_inversion_lateral"}),
    frozenset({"st_depression_inferior", "t_inversion_inferior"}),
)


@dataclass(frozen=True)
class Visit:
    """One ECG to be recorded: when, and the findings to show."""

    when: datetime
    findings: frozenset[str]


@dataclass(frozen=True)
class Patient:
    """A person.

    Attributes:
        index: 0-based within the simulated set.
        age: years at the first visit; male: sex.
        anatomy: shape of the beats, the same at all visits.
        visits: in order of time.
    """

    index: int
    age: int
    male: bool
    anatomy: Anatomy
    visits: tuple[Visit, ...]


def source(seed: int, layout: str, index: int) -> np.random.Generator:
    """The patient's own source of randomness, whichever process draws from it."""
    return np.random.default_rng([seed, crc32(layout.encode()), index])


def draw(index: int, rng: np.random.Generator, chances: tuple[float, ...], first_year: int, years: int) -> Patient:
    """Draw a patient.

    Args:
        index: of the patient.
        rng: from `source`; the number of visits is its first draw.
        chances: of having 1, 2, ... visits.
        first_year, years: when the first visits happen.
    """
    visits = count_visits(rng, chances)
    when = datetime(first_year, 1, 1) + timedelta(minutes=int(rng.integers(0, years * 365 * 1440)))
    diseases = _diseases(rng)
    anatomy = Anatomy.draw(rng)
    plan = []
    since = {key: int(rng.integers(0, visits)) if rng.random() < 0.35 else 0 for key in sorted(diseases)}
    for visit in range(visits):
        plan.append(Visit(when, _showing(diseases, since, visit, rng)))
        when += timedelta(minutes=int(60 * 24 * rng.choice([rng.uniform(0.5, 10), rng.uniform(30, 900)])))
    return Patient(
        index,
        int(np.clip(rng.normal(58 if diseases else 45, 15), 19, 89)),
        bool(rng.random() < 0.52),
        anatomy,
        tuple(plan),
    )


def count_visits(rng: np.random.Generator, chances: tuple[float, ...]) -> int:
    """The number of visits: the first thing drawn of any patient."""
    return int(rng.choice(np.arange(1, len(chances) + 1), p=chances))


def _diseases(rng: np.random.Generator) -> dict[str, bool]:
    """Diseases that a patient has or will have, and whether each comes and goes."""
    if rng.random() < HEALTHY:
        return {}
    found: dict[str, bool] = {}
    for group in (RHYTHM, CONDUCTION, SHAPE, INFARCT, ISCHEMIA):
        keys = list(group)
        chances = np.array([group[key][0] for key in keys])
        picked = rng.choice(len(keys) + 1, p=[*chances, 1 - chances.sum()])
        if picked < len(keys):
            found[keys[picked]] = group[keys[picked]][1]
            for pair in PAIRS:
                if keys[picked] in pair and rng.random() < 0.4:
                    found.update(dict.fromkeys(pair, True))
    for key, (chance, passing) in EXTRA.items():
        if rng.random() < chance:
            found[key] = passing
    if "atrial_fibrillation" in found and rng.random() < 0.4:
        found["atrial_fibrillation"] = False
    return found


def _showing(diseases: dict[str, bool], since: dict[str, int], visit: int, rng: np.random.Generator) -> frozenset[str]:
    shown = set()
    for key, passing in sorted(diseases.items()):
        present = rng.random() < SHOWN
        if visit >= since[key] and (present or not passing):
            shown.add(key)
    return told(shown)


def told(findings: set[str]) -> frozenset[str]:
    """The findings that can be told from one another in one ECG."""
    kept = set(findings)
    for key, hidden in HIDES.items():
        if key in kept:
            kept -= hidden
    return frozenset(kept)


def burden(rng: np.random.Generator) -> tuple[Ectopy, Ectopy]:
    """Ventricular and atrial ectopy of a long recording: about half of all patients have some, singly and in
    bigeminy.
    """
    ventricular, atrial = Ectopy(), Ectopy()
    place = rng.random()
    if place < 0.45:
        ventricular = Ectopy(float(rng.uniform(14, 36)), 0.15, float(rng.uniform(0.05, 0.25)), bigeminy=0.4)
    if 0.28 < place < 0.62:
        atrial = Ectopy(float(rng.uniform(14, 36)), bigeminy=0.4)
    return ventricular, atrial
