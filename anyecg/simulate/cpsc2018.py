"""Writes CPSC2018 as PhysioNet's 2021 challenge has it: `training/cpsc_2018/g1/A0001.{hea,mat}`, 6 to 60 s long."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from anyecg.simulate import snomed
from anyecg.simulate.dataset import Simulator
from anyecg.simulate.faults import Faults
from anyecg.simulate.patient import draw, source
from anyecg.simulate.record import record

SHORTEST, USUAL, LONGEST = 6.0, 12.0, 60.0  # s
NORMAL = ("426783006",)
ECTOPY = {"premature_atrial_contraction": ("284470004",), "premature_ventricular_contraction": ("164884008",)}
CODES = {
    "atrial_fibrillation": ("164889003",),
    "first_degree_av_block": ("270492004",),
    "left_bundle_branch_block": ("164909002",),
    "right_bundle_branch_block": ("59118001",),
    **ECTOPY,
    **{f"st_elevation_{region}": ("164931005",) for region in ("inferior", "anterior", "lateral")},
    **{f"st_depression_{region}": ("429622005",) for region in ("inferior", "lateral")},
}


class CPSC2018(Simulator):
    """CPSC2018, one record a patient."""

    name = "cpsc2018"

    def records(self, seed: int, index: int) -> int:
        """One record a patient."""
        return 1

    def write(self, root: Path, seed: int, index: int, first: int, seconds: float | None) -> list[dict]:
        """Write one patient's record, which shows findings of the nine classes only."""
        rng = source(seed, self.name, index)
        patient = draw(index, rng, snomed.ONE_VISIT, 2018, 1)
        findings = patient.visits[0].findings & CODES.keys()
        shortest = 10.0 if findings & ECTOPY.keys() else SHORTEST  # an early beat must come within the record
        length = seconds or float(np.clip(USUAL * rng.lognormal(0.0, 0.5), shortest, LONGEST))
        drawn = record(findings, patient.anatomy, Faults.draw(rng, broken=0.02, mains_hz=50.0), length, snomed.FS, rng)
        codes = snomed.codes_of(drawn.findings, CODES) or NORMAL
        return [
            snomed.write(
                root,
                f"training/cpsc_2018/g{1 + index // 1000}",
                f"A{1 + index:04d}",
                drawn.signal,
                codes,
                patient,
                when=" 05-Feb-2020 11:39:16",
                mark="# ",
            )
        ]

    def finish(self, root: Path, rows: list[dict]) -> None:
        """Write `RECORDS`."""
        snomed.write_records(root, rows)
