"""Counterfactual twins in MIMIC-IV-ECG's layout: a heart recorded twice, with a finding and without, all else equal."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from anyecg.simulate import wfdb_files
from anyecg.simulate.faults import Faults
from anyecg.simulate.heart import LEADS
from anyecg.simulate.measure import machine
from anyecg.simulate.mimic import FS, MIMIC, ORDER, SECONDS, STORAGE
from anyecg.simulate.patient import draw, source, told
from anyecg.simulate.record import Recording, record

# Findings that change the shape of the beats and nothing that is drawn: not one beat, gain or sample of noise moves.
SHAPES = (
    "left_bundle_branch_block",
    "right_bundle_branch_block",
    "left_ventricular_hypertrophy",
    "low_voltage",
    "infarct_inferior",
    "infarct_anterior",
    "st_elevation_inferior",
    "st_elevation_anterior",
    "st_elevation_lateral",
    "st_depression_inferior",
    "t_inversion_inferior",
    "t_inversion_anterior",
    "first_degree_av_block",
)


class Twins(MIMIC):
    """A pair of records a patient, and `twins.csv`: study, finding, whether this record has it, and all it shows."""

    name = "twins"
    version = 1

    def records(self, seed: int, index: int) -> int:
        """Two."""
        return 2

    def write(self, root: Path, seed: int, index: int, first: int, seconds: float | None) -> list[dict]:
        """Write one patient's pair; returns the joined rows of the tables."""
        rng = source(seed, self.name, index)
        patient = draw(index, rng, (1.0,), 2110, 80)
        finding = SHAPES[index % len(SHAPES)]
        subject = 10_000_000 + (32 + 7919 * index) % 10_000_000
        pair = twins(
            finding, patient.visits[0].findings, patient.anatomy, Faults.draw(rng), seconds or SECONDS, FS, index + seed
        )
        rows = []
        for number, (present, drawn) in enumerate(zip((False, True), pair)):
            study = 40_000_000 + (689_238 + 7_654_321 * (first + number)) % 10_000_000
            folder = f"files/p{subject // 10_000}/p{subject}/s{study}"
            (root / folder).mkdir(parents=True)
            wfdb_files.write(
                root / folder,
                str(study),
                drawn.signal[[LEADS.index(lead) for lead in ORDER]],
                FS,
                ORDER,
                STORAGE,
                patient.visits[0].when,
                [f"<subject_id>: {subject}"],
            )
            lines = drawn.statements
            rows.append(
                {
                    "subject_id": subject,
                    "study_id": study,
                    "cart_id": 6_000_000,
                    "ecg_time": f"{patient.visits[0].when:%Y-%m-%d %H:%M:%S}",
                    "file_name": study,
                    "path": f"{folder}/{study}",
                    **{f"report_{i}": lines[i] if i < len(lines) else None for i in range(18)},
                    "bandwidth": "0.005-150 Hz",
                    "filtering": "60 Hz notch Baseline filter",
                    **machine(drawn.beat, drawn.rr),
                    "finding": finding,
                    "present": int(present),
                    "findings": " ".join(sorted(drawn.findings)),
                }
            )
        return rows

    def finish(self, root: Path, rows: list[dict]) -> None:
        """Write MIMIC's two tables and `twins.csv`."""
        table = pd.DataFrame(rows)
        own = ["finding", "present", "findings"]
        table[["study_id", *own]].to_csv(root / "twins.csv", index=False)
        super().finish(root, table.drop(columns=own).to_dict("records"))


def twins(
    finding: str, others: frozenset[str], anatomy, faults: Faults, seconds: float, fs: float, seed: int
) -> tuple[Recording, Recording]:
    """The same heart without and with a finding of `SHAPES`: beats, gains and disturbances are equal to the bit.

    others: findings of both, as far as they can be told beside it.
    """
    base = told(set(others) - {finding})
    if told({*base, finding}) != base | {finding}:
        base = frozenset(key for key in base if told({key, finding}) == {key, finding})
    if told({*base, finding}) != base | {finding}:
        base = frozenset()
    without, with_it = (
        record(found, anatomy, faults, seconds, fs, np.random.default_rng([seed, 77]))
        for found in (base, base | {finding})
    )
    return without, with_it
