"""Writes CODE-15%'s layout: `exams.csv`, and parts of HDF5 with `exam_id` and zero-padded `tracings [N, 4096, 12]`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from anyecg.simulate.dataset import Simulator
from anyecg.simulate.faults import Faults
from anyecg.simulate.patient import count_visits, draw, source
from anyecg.simulate.record import record
from anyecg.simulate.report import summary
from anyecg.types import AnyECGError

FS, SAMPLES = 400, 4096
PART = 100  # exams of a part
FIRST = 1_108_000  # of the exams' numbers
CODES = {  # column of exams.csv -> the finding that it says
    "1dAVb": "first_degree_av_block",
    "RBBB": "right_bundle_branch_block",
    "LBBB": "left_bundle_branch_block",
    "SB": "sinus_bradycardia",
    "ST": "sinus_tachycardia",
    "AF": "atrial_fibrillation",
}
VISITS = (0.8, 0.2)  # chances of one and two exams
SHORT = 2934 / FS  # s: most recordings last as long, the others 10 s


class CODE15(Simulator):
    """CODE-15%: one or two exams a patient, of at most 4,096 samples."""

    name = "code15"

    def records(self, seed: int, index: int) -> int:
        """How many exams a patient has."""
        return count_visits(source(seed, self.name, index), VISITS)

    def write(self, root: Path, seed: int, index: int, first: int, seconds: float | None) -> list[dict]:
        """Write one patient's tracings, each in a file that `finish` takes into a part; returns rows of `exams.csv`."""
        rng = source(seed, self.name, index)
        patient = draw(index, rng, VISITS, 2014, 2)
        rows = []
        for number, visit in enumerate(patient.visits):
            long = min(seconds or (10.0 if rng.random() < 0.6 else SHORT), SAMPLES / FS)
            faults = Faults.draw(rng, broken=0.02, mains_hz=60.0)
            drawn = record(visit.findings, patient.anatomy, faults, long, FS, rng)
            tracing = np.zeros((SAMPLES, 12), np.float32)
            begin = (SAMPLES - drawn.signal.shape[1]) // 2
            tracing[begin : begin + drawn.signal.shape[1]] = np.nan_to_num(drawn.signal.T)
            place = first + number
            np.save(root / f"{place}.npy", tracing)
            rows.append(
                {
                    "exam_id": FIRST + 7 * place,
                    "age": patient.age,
                    "is_male": patient.male,
                    "nn_predicted_age": float(patient.age),
                    **{code: key in drawn.findings for code, key in CODES.items()},
                    "patient_id": 900_000 + index,
                    "death": False,
                    "timey": 1.0,
                    "normal_ecg": summary(drawn.findings) == "normal_ecg",
                    "trace_file": f"exams_part{place // PART}.hdf5",
                    "place": place,
                }
            )
        return rows

    def finish(self, root: Path, rows: list[dict]) -> None:
        """Write `exams.csv` and the parts."""
        try:
            import h5py
        except ImportError as error:
            raise AnyECGError("to simulate CODE-15%, pip install 'anyecg[formats]' (h5py)") from error
        table = pd.DataFrame(rows)
        for part, exams in table.groupby("trace_file"):
            files = [root / f"{place}.npy" for place in exams["place"]]
            with h5py.File(root / str(part), "w") as file:
                file["exam_id"] = exams["exam_id"].to_numpy(np.int64)
                file.create_dataset("tracings", data=np.stack([np.load(path) for path in files]), compression="gzip")
            for path in files:
                path.unlink()
        table.drop(columns="place").to_csv(root / "exams.csv", index=False)
