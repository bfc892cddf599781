"""WFDB records as PhysioNet's 2020 and 2021 challenges have them: MATLAB v4 signals, SNOMED CT codes in the header,
RECORDS.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping
from itertools import groupby
from pathlib import Path

import numpy as np

from anyecg.simulate.heart import LEADS
from anyecg.simulate.patient import Patient
from anyecg.simulate.wfdb_files import Storage

FS = 500
STORAGE = Storage(16, 1000.0, "1000/mV", 16)
ONE_VISIT = (1.0,)  # chances of having 1, 2, ... records: a patient has one


def codes_of(findings: Collection[str], table: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """The codes that a table gives for findings, each once, in the table's order."""
    return tuple(dict.fromkeys(code for key, codes in table.items() if key in findings for code in codes))


def write(
    root: Path,
    folder: str,
    name: str,
    signal: np.ndarray,
    codes: Collection[str],
    patient: Patient,
    *,
    when: str = "",
    mark: str = "#",
) -> dict:
    """Write `name.hea` and `name.mat` in a folder; returns the record's row for `write_records`.

    Args:
        root, folder, name: of the set, in it, and the record's name.
        signal: `[12, T]`, mV, order of `heart.LEADS`.
        codes: SNOMED CT, of what the record shows.
        patient: whose age and sex the header tells.
        when: what follows the length in the header's first line.
        mark: how a comment begins.
    """
    units = STORAGE.digital(signal)
    (root / folder).mkdir(parents=True, exist_ok=True)
    matlab = struct.pack("<5i", 30, *units.shape, 0, 4) + b"val\0"  # 30: little-endian int16, column by column
    (root / folder / f"{name}.mat").write_bytes(matlab + units.T.astype("<i2").tobytes())
    sums = (units.sum(axis=1) + 2**15) % 2**16 - 2**15
    lines = [f"{name} {len(units)} {FS} {units.shape[1]}{when}"]
    lines += [
        f"{name}.mat {STORAGE.fmt}+{len(matlab)} {STORAGE.gain_text} {STORAGE.resolution} {STORAGE.zero} {row[0]} "
        f"{total} 0 {lead}"
        for row, total, lead in zip(units, sums, LEADS)
    ]
    said = {
        "Age": patient.age,
        "Sex": "Male" if patient.male else "Female",
        "Dx": ",".join(codes),
        "Rx": "Unknown",
        "Hx": "Unknown",
        "Sx": "Unknown",
    }
    lines += [f"{mark}{key}: {value}" for key, value in said.items()]
    (root / folder / f"{name}.hea").write_text("\n".join(lines) + "\n")
    return {"folder": folder, "name": name}


def write_records(root: Path, rows: list[dict]) -> None:
    """Write RECORDS: the folders in the root's, the records of each in its own."""
    folders = {folder: [row["name"] for row in group] for folder, group in groupby(rows, key=lambda row: row["folder"])}
    (root / "RECORDS").write_text("".join(f"{folder}/\n" for folder in folders))
    for folder, names in folders.items():
        (root / folder / "RECORDS").write_text("".join(f"{name}\n" for name in names))
