"""The three sources whose beats are annotated one by one: MIT-BIH Arrhythmia, MIT-BIH ST Change, European ST-T."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import wfdb

from anyecg.data.corpora.base import Corpus, Entry, split_by_patient
from anyecg.types import DataError


class Annotated(Corpus):
    """WFDB records beside their `.atr` beat annotations, two leads, minutes to hours long.

    A patient is a record, save those in `same_patient`. Patients are split about 60/10/30 by a seeded hash.
    """

    shard_records: ClassVar[int] = 4
    same_patient: ClassVar[Mapping[str, str]] = {}

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        patients: int = 24

    def entries(self) -> list[Entry]:
        """One entry for each header in the folder, by name."""
        names = sorted(path.stem for path in self.root.glob("*.hea"))
        patients = {name: self.same_patient.get(name, name) for name in names}
        splits = split_by_patient(patients.values(), (0.6, 0.1, 0.3), self.cfg.seed)
        return self.limited(Entry(name, name, patients[name], splits[patients[name]]) for name in names)

    def files(self, entry: Entry) -> list[Path]:
        return [*super().files(entry), Path(f"{self.root / entry.path}.atr")]

    def annotations(self, entry: Entry) -> list[tuple[float, str]]:
        """Every annotation, in order of time (the file's order is not trusted); DataError where `.atr` is unusable."""
        path = self.root / entry.path
        try:
            annotation = wfdb.rdann(str(path), "atr")
            rate = annotation.fs or wfdb.rdheader(str(path)).fs
        except Exception as error:  # wfdb raises anything from ValueError to IndexError on a broken file
            raise DataError(f"{path}.atr: cannot be read as WFDB annotations ({type(error).__name__}: {error})") from error
        order = np.argsort(annotation.sample, kind="stable")
        return [(float(annotation.sample[i]) / rate, annotation.symbol[i]) for i in order]


class MITBIHArrhythmia(Annotated):
    """MIT-BIH Arrhythmia Database 1.0: 48 half-hour records, 360 Hz; records 201 and 202 are one patient."""

    name: ClassVar[str] = "mit_bih_arrhythmia"
    layout: ClassVar[str] = "mit_bih_arrhythmia"
    same_patient: ClassVar[Mapping[str, str]] = {"202": "201"}


class MITBIHSTChange(Annotated):
    """MIT-BIH ST Change Database 1.0: 28 records, 360 Hz; its headers call both leads "ECG" (see preprocess.UNNAMED)."""

    name: ClassVar[str] = "mit_bih_st"
    layout: ClassVar[str] = "mit_bih_st_change"


class EuropeanSTT(Annotated):
    """European ST-T Database 1.0: 90 two-hour records, 250 Hz."""

    name: ClassVar[str] = "european_st_t"
    layout: ClassVar[str] = "european_st_t"
