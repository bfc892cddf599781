"""Writes ecg-arrhythmia 1.0.0's layout: `WFDBRecords/01/010/JS00001.{hea,mat}`, its list of conditions and RECORDS."""

from __future__ import annotations

from pathlib import Path

from anyecg.codes import CONDITION_NAMES, CONDITIONS
from anyecg.simulate import snomed
from anyecg.simulate.dataset import Simulator
from anyecg.simulate.faults import Faults
from anyecg.simulate.patient import draw, source
from anyecg.simulate.record import record

SECONDS = 10.0
INFARCT = ("164865005", "164917005")  # and its Q wave
CODES = {
    "sinus_rhythm": ("426783006",),
    "sinus_bradycardia": ("426177001",),
    "sinus_tachycardia": ("427084000",),
    "sinus_arrhythmia": ("427393009",),
    "atrial_fibrillation": ("164889003",),
    "atrial_flutter": ("164890007",),
    "first_degree_av_block": ("270492004",),
    "left_bundle_branch_block": ("164909002",),
    "right_bundle_branch_block": ("59118001",),
    "left_anterior_fascicular_block": ("445118002",),
    "premature_ventricular_contraction": ("17338001",),
    "premature_atrial_contraction": ("284470004",),
    "ventricular_run": ("425856008",),
    "left_ventricular_hypertrophy": ("164873001",),
    "low_voltage": ("251146004",),
    "infarct_inferior": INFARCT,
    "infarct_anterior": INFARCT,
    "left_axis_deviation": ("39732003",),
    "right_axis_deviation": ("47665007",),
    **{f"st_elevation_{region}": ("164930006",) for region in ("inferior", "anterior", "lateral")},
    **{f"st_depression_{region}": ("429622005",) for region in ("inferior", "lateral")},
    **{f"t_inversion_{region}": ("59931005",) for region in ("inferior", "anterior", "lateral")},
}


class CSN(Simulator):
    """Chapman-Shaoxing-Ningbo, one record a patient."""

    name = "csn"

    def records(self, seed: int, index: int) -> int:
        """One record a patient."""
        return 1

    def write(self, root: Path, seed: int, index: int, first: int, seconds: float | None) -> list[dict]:
        """Write one patient's record; a folder holds a hundred."""
        rng = source(seed, self.name, index)
        patient = draw(index, rng, snomed.ONE_VISIT, 2013, 6)
        faults = Faults.draw(rng, broken=0.02, mains_hz=50.0)
        drawn = record(patient.visits[0].findings, patient.anatomy, faults, seconds or SECONDS, snomed.FS, rng)
        hundred = 10 + index // 100
        codes = snomed.codes_of(drawn.findings, CODES)
        return [
            snomed.write(
                root,
                f"WFDBRecords/{hundred // 10:02d}/{hundred:03d}",
                f"JS{1 + index:05d}",
                drawn.signal,
                codes,
                patient,
            )
        ]

    def finish(self, root: Path, rows: list[dict]) -> None:
        """Write `RECORDS` and the list of conditions."""
        snomed.write_records(root, rows)
        (root / CONDITION_NAMES).write_text(CONDITIONS)
