"""CODE-15%: 345,779 twelve-lead ECGs of 7 or 10 seconds at 400 Hz from Minas Gerais, in HDF5, with six labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from anyecg.data.corpora.base import Corpus, Entry, log, shared, split_by_patient
from anyecg.types import CANONICAL_LEADS, AnyECGError, DataError, ECGRecord

EXAMS = "exams.csv"
RATE = 400.0  # Hz
COLUMNS = ("exam_id", "patient_id", "trace_file")
LABELS = {
    "1dAVb": "1st degree AV block",
    "RBBB": "right bundle branch block",
    "LBBB": "left bundle branch block",
    "SB": "sinus bradycardia",
    "ST": "sinus tachycardia",
    "AF": "atrial fibrillation",
}
NORMAL = "NORM"  # the code of `normal_ecg`: an exam that its reader called normal


class CODE15(Corpus):
    """`exams.csv` beside `exams_part0.hdf5` to `exams_part17.hdf5` (Zenodo 4916206), as many parts as there are.

    A part holds `exam_id [N]` and `tracings [N, 4096, 12]`, mV, zeros before and behind a shorter recording. Exams of
    parts that are not there are left out with a warning. Patients are split 80/10/10 by a seeded hash; a record's
    statements are the names of its labels, "Normal ECG" where its reader called it so.
    """

    name: ClassVar[str] = "code15"
    layout: ClassVar[str] = "code15"
    reserved: ClassVar[tuple[str, ...]] = ("test",)

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        pass

    def __init__(self, cfg: Corpus.Config, root: Path | str, key: str | None = None) -> None:
        super().__init__(cfg, root, key)
        self._rows: dict[str, dict[str, int]] = {}  # part -> exam -> its row

    @property
    def reports(self) -> str:
        return "codes"

    def info(self) -> Mapping:
        """{"labels": {"code15": {code: name}}, "statements": {code: name}}."""
        return {"labels": {self.name: dict(LABELS)}, "statements": {**LABELS, NORMAL: "normal ECG"}}

    def entries(self) -> Iterator[Entry]:
        """One entry an exam of `exams.csv`, in its order."""
        return self.limited(self._listed())

    def _listed(self) -> Iterator[Entry]:
        table = self.table(EXAMS, [*COLUMNS, *LABELS])
        flags = {code: _true(table[code]) for code in LABELS}
        normal = _true(table["normal_ecg"]) if "normal_ecg" in table else np.zeros(len(table), bool)
        splits = split_by_patient(table["patient_id"].dropna(), (0.8, 0.1, 0.1), self.cfg.seed)
        there: dict[str, bool] = {}
        absent: Counter[str] = Counter()
        names = {code: name[:1].upper() + name[1:] for code, name in self.info()["statements"].items()}
        for row, (exam, patient, part) in enumerate(table[list(COLUMNS)].itertuples(index=False, name=None)):
            if not all(isinstance(value, str) for value in (exam, patient, part)):
                self.reject(f"{EXAMS}, row {row + 2}: exam_id, patient_id or trace_file is empty", path=EXAMS)
                continue
            if Path(part).name != part:
                self.reject(f"{EXAMS}: trace_file is no name of a file", id=exam, path=EXAMS)
                continue
            if not there.setdefault(part, (self.root / part).is_file()):
                absent[part] += 1
                continue
            codes = tuple(code for code in LABELS if flags[code][row]) or ((NORMAL,) if normal[row] else ())
            statements = tuple(shared(names[code]) for code in codes)
            yield Entry(exam, shared(part), patient, splits[patient], statements=statements, labels=codes)
        if absent:
            log.warning(
                "corpus %s: %d exams are left out, since %s is not in %s",
                self.key,
                absent.total(),
                ", ".join(sorted(absent)[:4]) + (", ..." if len(absent) > 4 else ""),
                self.root,
            )

    def files(self, entry: Entry) -> list[Path]:
        return [self.root / entry.path]

    def read(self, entry: Entry) -> ECGRecord:
        path = self.root / entry.path
        try:
            import h5py
        except ImportError as error:
            raise AnyECGError(f"{path}: to read HDF5, pip install 'anyecg[formats]' (h5py)") from error
        try:
            with h5py.File(path, "r") as file:
                rows = self._rows.get(entry.path)
                if rows is None:
                    numbers = np.asarray(file["exam_id"]).tolist()
                    rows = self._rows[entry.path] = {str(exam): row for row, exam in enumerate(numbers)}
                if entry.id not in rows:
                    raise DataError(f"{path}: has no exam {entry.id}, which {EXAMS} says it has")
                tracing = np.asarray(file["tracings"][rows[entry.id]], np.float32)
        except (OSError, KeyError, ValueError, TypeError, IndexError) as error:
            raise DataError(f"{path}: cut short, broken or no part of CODE-15% ({error})") from error
        return ECGRecord(
            without_padding(path, tracing, entry.id).T.copy(),
            RATE,
            CANONICAL_LEADS,
            f"{self.key}/{entry.id}",
            f"{self.key}/{entry.patient}",
        )


def without_padding(path: Path, tracing: np.ndarray, exam: object) -> np.ndarray:
    """A tracing `[T, 12]` without the zeros before and behind it; DataError where it is of another shape, or 0
    throughout.
    """
    if tracing.ndim != 2 or tracing.shape[1] != len(CANONICAL_LEADS):
        raise DataError(f"{path}: its tracings are of shape {tracing.shape}, [samples, 12] are due")
    some = np.flatnonzero((tracing != 0).any(axis=1))
    if not some.size:
        raise DataError(f"{path}: the recording {exam} is 0 throughout, no signal")
    return tracing[some[0] : some[-1] + 1]


def _true(column: Any) -> np.ndarray:
    """Which cells of a column of text are true."""
    return column.fillna("").str.strip().str.lower().isin(("true", "1", "1.0")).to_numpy()
