"""The shape of one beat: which waves a heart with given findings and anatomy draws.

Repolarisation that a bundle branch block turns round is secondary: it is drawn, and by the convention of ECG reading
it is no finding of its own.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from anyecg.simulate.heart import Wave, rotation

NORMAL_QRS = [
    Wave("QRS", -0.026, 0.007, 0.008, (-0.16, -0.10, -0.30)),  # septum: r in V1, q in V6
    Wave("QRS", 0.000, 0.010, 0.010, (1.05, 0.85, 0.18)),  # free walls
    Wave("QRS", 0.018, 0.009, 0.011, (0.10, 0.00, 0.72)),  # posterior wall: S in V1-V3
    Wave("QRS", 0.036, 0.006, 0.007, (-0.20, -0.16, 0.10)),  # base
]
LBBB_QRS = [
    Wave("QRS", -0.034, 0.014, 0.014, (0.62, 0.32, 0.30)),
    Wave("QRS", -0.006, 0.014, 0.014, (0.40, 0.14, 0.58)),
    Wave("QRS", 0.028, 0.015, 0.018, (0.84, 0.20, 0.74)),
]
LAFB_QRS = [
    Wave("QRS", -0.026, 0.008, 0.009, (-0.24, 0.36, -0.20)),
    Wave("QRS", 0.004, 0.012, 0.012, (0.95, -0.78, 0.12)),
    Wave("QRS", 0.024, 0.010, 0.012, (0.28, -0.42, 0.58)),
]
RBBB_TAIL = [Wave("QRS", 0.062, 0.015, 0.018, (-0.62, -0.04, -0.78))]
# Old infarcts: the Q wave, what is left of each axis of the other waves, and what the free-wall wave loses for good.
INFARCT = {
    "infarct_inferior": (Wave("QRS", -0.024, 0.013, 0.010, (0.02, -0.72, 0.00)), (1.0, 0.5, 1.0), (0.0, 0.0, 0.0)),
    "infarct_anterior": (Wave("QRS", -0.018, 0.013, 0.014, (0.04, 0.06, 0.62)), (0.85, 1.0, 0.8), (-0.15, 0.0, 0.52)),
}
LVH_GAIN = (1.9, 1.3, 1.75)
ST_SHIFT = {
    "st_elevation_inferior": (-0.06, 0.30, 0.00),
    "st_elevation_anterior": (0.10, 0.02, -0.30),
    "st_elevation_lateral": (0.31, -0.05, 0.06),
    "st_depression_inferior": (0.02, -0.21, 0.00),
    "st_depression_lateral": (-0.24, 0.00, -0.03),
}
T_NORMAL = (0.32, 0.27, -0.18)
T_INVERTED = {
    "t_inversion_inferior": (0.30, -0.38, -0.16),
    "t_inversion_anterior": (0.11, 0.24, 0.50),
    "t_inversion_lateral": (-0.38, 0.18, -0.26),
}


@dataclass(frozen=True)
class Anatomy:
    """What makes one person's beats their own.

    Attributes:
        axis: turn of the frontal QRS axis, degrees clockwise from the usual 45.
        tilt: turn in the horizontal plane, degrees.
        size: QRS scale.
        t_size: T scale.
        pr: PR interval, s, without block.
        width: scale of QRS duration.
        right_focus: whether the ventricular ectopic focus is in the right ventricle (looks like LBBB).
        atrial: turn of an ectopic P wave, degrees.
    """

    axis: float = 0.0
    tilt: float = 0.0
    size: float = 1.0
    t_size: float = 1.0
    pr: float = 0.16
    width: float = 1.0
    right_focus: bool = True
    atrial: float = -100.0

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Anatomy:
        return cls(
            axis=rng.uniform(-28, 26),
            tilt=rng.normal(0, 5),
            size=rng.uniform(0.9, 1.15),
            t_size=rng.uniform(0.85, 1.3),
            pr=rng.uniform(0.135, 0.18),
            width=rng.uniform(0.92, 1.06),
            right_focus=bool(rng.random() < 0.5),
            atrial=rng.uniform(-120, -80),
        )


def normal_beat(findings: Collection[str], anatomy: Anatomy, rr: float, gait: str = "P") -> list[Wave]:
    """The waves of a conducted beat.

    Args:
        findings: keys of `anyecg.findings`.
        anatomy: the person.
        rr: RR interval, s; sets QT.
        gait: "P" sinus P wave, "A" ectopic P wave, "-" none.
    """
    qrs = _qrs(findings, anatomy)
    return _atrial(qrs, findings, anatomy, gait) + qrs + _repolarisation(qrs, findings, anatomy, rr)


def ventricular_beat(anatomy: Anatomy, rr: float) -> list[Wave]:
    """A premature ventricular beat: no P wave, wide, tall, bizarre, T opposite to the QRS."""
    if anatomy.right_focus:
        first, second = (0.70, 1.05, 0.35), (0.75, 0.85, 1.15)
    else:
        first, second = (-0.35, 0.75, -0.90), (-0.95, 0.95, -0.75)
    turn = rotation(anatomy.atrial + 100, anatomy.tilt)
    qrs = [
        Wave("QRS", -0.034, 0.020, 0.020, first).turned(turn, anatomy.size),
        Wave("QRS", 0.014, 0.024, 0.026, second).turned(turn, 1.15 * anatomy.size),
    ]
    away = -0.62 * np.array(qrs[1].vector)
    peak = 0.10 + 0.24 * np.sqrt(min(rr, 1.0))
    return qrs + [Wave("ST", 0.07, 0.0, peak - 0.11, tuple(0.25 * away)), Wave("T", peak, 0.065, 0.045, tuple(away))]


def onset(waves: list[Wave], part: str = "QRS") -> float:
    """Where a part of the beat begins, s relative to R."""
    return min(wave.at - 2.4 * wave.rise for wave in waves if wave.part == part)


def end(waves: list[Wave], part: str = "QRS") -> float:
    """Where a part of the beat ends, s relative to R."""
    return max(wave.at + 2.4 * wave.fall for wave in waves if wave.part == part)


def _qrs(findings: Collection[str], anatomy: Anatomy) -> list[Wave]:
    size = anatomy.size
    if "left_bundle_branch_block" in findings:
        waves, size = LBBB_QRS, 1.15 * size
    elif "left_anterior_fascicular_block" in findings:
        waves = LAFB_QRS
    else:
        waves = NORMAL_QRS
    turn = rotation(_frontal_turn(findings, anatomy), anatomy.tilt)
    waves = [wave.turned(turn, size) for wave in waves]
    if "left_ventricular_hypertrophy" in findings:
        waves = [Wave(w.part, w.at, 1.12 * w.rise, 1.12 * w.fall, w.turned(np.diag(LVH_GAIN)).vector) for w in waves]
    for key, (q, loss, shift) in INFARCT.items():
        if key in findings:
            waves = [
                Wave(
                    w.part,
                    w.at + 0.004,
                    w.rise,
                    w.fall,
                    tuple(k * v + (size * d if i == 1 else 0) for k, v, d in zip(loss, w.vector, shift)),
                )
                for i, w in enumerate(waves)
            ]
            waves = [q.turned(np.eye(3), size), *waves]
    if "right_bundle_branch_block" in findings:
        waves = [wave if wave.vector[2] < 0.4 else wave.turned(np.diag((1.0, 1.0, 0.65))) for wave in waves]
        waves += [wave.turned(np.eye(3), size) for wave in RBBB_TAIL]
    if "low_voltage" in findings:
        waves = [wave.turned(np.eye(3), 0.30) for wave in waves]
    stretch = anatomy.width
    return [Wave(w.part, stretch * w.at, stretch * w.rise, stretch * w.fall, w.vector) for w in waves]


def _frontal_turn(findings: Collection[str], anatomy: Anatomy) -> float:
    if "left_anterior_fascicular_block" in findings:
        return anatomy.axis / 4
    if "left_axis_deviation" in findings:
        return -92 + anatomy.axis / 4
    if "right_axis_deviation" in findings:
        return 82 + anatomy.axis / 4
    if not {"left_bundle_branch_block", "right_bundle_branch_block"}.isdisjoint(findings):
        return anatomy.axis / 2
    return anatomy.axis


def _atrial(qrs: list[Wave], findings: Collection[str], anatomy: Anatomy, gait: str) -> list[Wave]:
    if gait == "-":
        return []
    pr = anatomy.pr + 0.105 if "first_degree_av_block" in findings and gait == "P" else anatomy.pr
    turn = rotation(anatomy.atrial if gait == "A" else anatomy.axis / 3)
    centre = onset(qrs) - pr + 0.052
    scale = 0.8 if "low_voltage" in findings else 1.0
    return [
        Wave("P", centre - 0.014, 0.015, 0.017, (0.045, 0.085, -0.055)).turned(turn, scale),
        Wave("P", centre + 0.014, 0.016, 0.017, (0.075, 0.070, 0.040)).turned(turn, scale),
    ]


def _repolarisation(qrs: list[Wave], findings: Collection[str], anatomy: Anatomy, rr: float) -> list[Wave]:
    pace = np.sqrt(np.clip(rr, 0.4, 1.3))
    late = end(qrs)
    peak = max(0.045 + 0.25 * pace, late + 0.10 * pace + 0.03)
    rise, fall = 0.052 * pace, 0.036 * pace
    shift = sum((np.array(v) for k, v in ST_SHIFT.items() if k in findings), np.zeros(3))
    vector = np.array(T_NORMAL)
    if "left_bundle_branch_block" in findings:
        vector, shift = np.array((-0.40, -0.06, -0.36)), np.array((-0.09, -0.02, -0.11))
    elif "right_bundle_branch_block" in findings:
        vector = vector + np.array((0.04, 0.0, 0.34))
    inverted = [np.array(v) for k, v in T_INVERTED.items() if k in findings]
    if inverted:
        vector = sum(inverted) / len(inverted) ** 0.5
        if "left_ventricular_hypertrophy" in findings:
            vector = vector * 1.25
    elif "left_ventricular_hypertrophy" in findings:
        vector = vector * 1.15
    vector = anatomy.t_size * vector * (0.55 if "low_voltage" in findings else 1.0) + 0.9 * shift
    waves = [Wave("T", peak, rise, fall, tuple(vector))]
    if shift.any():
        begin = late - 0.008
        waves.append(Wave("ST", begin, 0.0, max(peak - begin - 0.01, 0.05), tuple(shift)))
    return waves
