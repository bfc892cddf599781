"""Writes MIMIC-IV-ECG 1.0's layout: `files/p1000/p10000032/s40689238/40689238.{hea,dat}` and its two tables."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from anyecg.simulate import wfdb_files
from anyecg.simulate.dataset import Simulator
from anyecg.simulate.faults import Faults
from anyecg.simulate.heart import LEADS
from anyecg.simulate.measure import machine
from anyecg.simulate.patient import count_visits, draw, source
from anyecg.simulate.record import record

ORDER = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")
CHANCES = (0.20, 0.32, 0.20, 0.13, 0.09, 0.06)
FS, SECONDS = 500, 10.0
STORAGE = wfdb_files.Storage(16, 200.0, "200.0(0)/mV", 16)


class MIMIC(Simulator):
    """MIMIC-IV-ECG 1.0."""

    name = "mimic"

    def records(self, seed: int, index: int) -> int:
        """How many records a patient has."""
        return count_visits(source(seed, self.name, index), CHANCES)

    def write(self, root: Path, seed: int, index: int, first: int, seconds: float | None) -> list[dict]:
        """Write one patient's records; returns the joined rows of both tables."""
        rng = source(seed, self.name, index)
        patient = draw(index, rng, CHANCES, 2110, 80)
        subject = 10_000_000 + (32 + 7919 * index) % 10_000_000
        rows = []
        for number, visit in enumerate(patient.visits):
            study = 40_000_000 + (689_238 + 7_654_321 * (first + number)) % 10_000_000
            drawn = record(visit.findings, patient.anatomy, Faults.draw(rng), seconds or SECONDS, FS, rng)
            folder = f"files/p{subject // 10_000}/p{subject}/s{study}"
            (root / folder).mkdir(parents=True)
            wfdb_files.write(
                root / folder,
                str(study),
                drawn.signal[[LEADS.index(lead) for lead in ORDER]],
                FS,
                ORDER,
                STORAGE,
                visit.when,
                [f"<subject_id>: {subject}"],
            )
            lines = drawn.statements
            rows.append(
                {
                    "subject_id": subject,
                    "study_id": study,
                    "cart_id": 6_000_000 + (7 * index) % 1000,
                    "ecg_time": f"{visit.when:%Y-%m-%d %H:%M:%S}",
                    "file_name": study,
                    "path": f"{folder}/{study}",
                    **{f"report_{i}": lines[i] if i < len(lines) else None for i in range(18)},
                    "bandwidth": "0.005-150 Hz",
                    "filtering": "60 Hz notch Baseline filter",
                    **machine(drawn.beat, drawn.rr),
                }
            )
        return rows

    def finish(self, root: Path, rows: list[dict]) -> None:
        """Write `record_list.csv` and `machine_measurements.csv`."""
        table = pd.DataFrame(rows)
        table[["subject_id", "study_id", "file_name", "ecg_time", "path"]].to_csv(root / "record_list.csv", index=False)
        table.drop(columns=["file_name", "path"]).to_csv(root / "machine_measurements.csv", index=False)
