"""Writes G12EC as PhysioNet's 2021 challenge has it: `training/georgia/g1/E00001.{hea,mat}`, ten seconds long."""

from __future__ import annotations

from pathlib import Path

from anyecg.simulate import snomed
from anyecg.simulate.dataset import Simulator
from anyecg.simulate.faults import Faults
from anyecg.simulate.patient import draw, source
from anyecg.simulate.record import record

NORMAL = ("426783006",)
CODES = {
    "atrial_fibrillation": ("164889003",),
    "atrial_flutter": ("164890007",),
    "sinus_bradycardia": ("426177001",),
    "sinus_tachycardia": ("427084000",),
    "sinus_arrhythmia": ("427393009",),
    "first_degree_av_block": ("270492004",),
    "left_bundle_branch_block": ("164909002",),
    "right_bundle_branch_block": ("59118001",),
    "left_anterior_fascicular_block": ("445118002",),
    "left_ventricular_hypertrophy": ("164873001",),
    "low_voltage": ("251146004",),
    "left_axis_deviation": ("39732003",),
    "right_axis_deviation": ("47665007",),
    "premature_atrial_contraction": ("284470004",),
    "premature_ventricular_contraction": ("427172004",),
    **{f"t_inversion_{region}": ("59931005",) for region in ("inferior", "anterior", "lateral")},
    **{f"st_elevation_{region}": ("164931005",) for region in ("inferior", "anterior", "lateral")},
    **{f"st_depression_{region}": ("429622005",) for region in ("inferior", "lateral")},
}


class G12EC(Simulator):
    """G12EC, one record a patient."""

    name = "g12ec"

    def records(self, seed: int, index: int) -> int:
        """One record a patient."""
        return 1

    def write(self, root: Path, seed: int, index: int, first: int, seconds: float | None) -> list[dict]:
        """Write one patient's record, which shows findings that have a code only."""
        rng = source(seed, self.name, index)
        patient = draw(index, rng, snomed.ONE_VISIT, 2020, 1)
        findings = patient.visits[0].findings & CODES.keys()
        faults = Faults.draw(rng, broken=0.02, mains_hz=60.0)
        drawn = record(findings, patient.anatomy, faults, seconds or 10.0, snomed.FS, rng)
        codes = snomed.codes_of(drawn.findings, CODES) or NORMAL
        folder, name = f"training/georgia/g{1 + index // 1000}", f"E{1 + index:05d}"
        return [snomed.write(root, folder, name, drawn.signal, codes, patient, when=" 05-May-2020 14:50:55")]

    def finish(self, root: Path, rows: list[dict]) -> None:
        """Write `RECORDS`."""
        snomed.write_records(root, rows)
