"""The sources whose beats are annotated one by one: MIT-BIH Arrhythmia, MIT-BIH ST Change, European ST-T and its
excerpts in the QT Database.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import wfdb

from anyecg.data.corpora.base import Corpus, Entry, log, split_by_patient
from anyecg.data.corpora.waveform import BROKEN
from anyecg.files import SIMULATED
from anyecg.types import DataError

# The two halves of the Arrhythmia Database of de Chazal, O'Dwyer and Reilly (2004).
DS1 = frozenset("101 106 108 109 112 114 115 116 118 119 122 124 201 203 205 207 208 209 215 220 223 230".split())
DS2 = frozenset("100 103 105 111 113 117 121 123 200 202 210 212 213 214 219 221 222 228 231 232 233 234".split())

# The note at the begin "(ST0-" or the end "ST0-)" of an episode in a lead of the European ST-T Database: ST or T, up or
# down (twice for a part of one that goes further).
EPISODE = re.compile(r"(\()?(ST|T)(\d)([+-]{1,2})(?(1)|\))")

# Records of one subject of the European ST-T Database, by agreement of age, sex, findings, medication and recorder:
# together with
# the others they are the 79 subjects that its edb.txt counts. e0206 and e0210 agree in all but the age; they are kept
# together in case.
SUBJECTS = tuple(
    tuple(names.split())
    for names in (
        "e0118 e0119 e0121 e0122",
        "e0123 e0124 e0125 e0126",
        "e0129 e0133",
        "e0136 e0139",
        "e0147 e0148",
        "e0154 e0155",
        "e0162 e0163",
        "e0206 e0210",
    )
)


class Annotated(Corpus):
    """WFDB records beside their `.atr` beat annotations, two leads, minutes to hours long.

    A patient is a record, save those in `same_patient`. Patients are split about 60/10/30 by a seeded hash.

    same_patient: record -> the first record of its patient; simulated_too: whether that holds of simulated records
    (each has a patient of its own; the names are the source's).
    """

    shard_records: ClassVar[int] = 4
    same_patient: ClassVar[Mapping[str, str]] = {}
    simulated_too: ClassVar[bool] = True

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        patients: int = 24

    def entries(self) -> Iterator[Entry]:
        """One entry for each header in the folder, by name."""
        names = sorted(path.stem for path in self.root.glob("*.hea"))
        same = self.same_patient if self.simulated_too or not (self.root / SIMULATED).exists() else {}
        patients = {name: same.get(name, name) for name in names}
        splits = self.splits(patients)
        return self.limited(Entry(name, name, patients[name], splits[name]) for name in names if name in splits)

    def splits(self, patients: Mapping[str, str]) -> dict[str, str]:
        """record -> split, given record -> patient; a record without a split is left out."""
        found = split_by_patient(patients.values(), (0.6, 0.1, 0.3), self.cfg.seed)
        return {name: found[patient] for name, patient in patients.items()}

    def files(self, entry: Entry) -> list[Path]:
        return [*super().files(entry), Path(f"{self.root / entry.path}.atr")]

    @property
    def reports(self) -> str:
        """None: beats are annotated, nothing is reported."""
        return ""

    def recorded(self, entry: Entry) -> list[tuple[float, str]]:
        """Every annotation, in the file's order; DataError where `.atr` is unusable."""
        return self.read_annotations(entry, lambda symbol, note: symbol)

    def read_annotations(self, entry: Entry, named: Callable[[str, str], str]) -> list[tuple[float, str]]:
        """(seconds, name) of each annotation of `.atr`; named: of its symbol and its note."""
        path = self.root / entry.path
        try:
            annotation = wfdb.rdann(str(path), "atr")
            rate = annotation.fs or wfdb.rdheader(str(path)).fs
        except BROKEN as error:
            raise DataError(
                f"{path}.atr: cannot be read as WFDB annotations ({type(error).__name__}: {error})"
            ) from error
        notes = annotation.aux_note or [""] * len(annotation.sample)
        return [
            (float(sample) / rate, named(symbol, note.rstrip("\0 ")))
            for sample, symbol, note in zip(annotation.sample, annotation.symbol, notes)
        ]


class MITBIHArrhythmia(Annotated):
    """MIT-BIH Arrhythmia Database 1.0: 48 half-hour records, 360 Hz; records 201 and 202 are one patient."""

    name: ClassVar[str] = "mit_bih_arrhythmia"
    layout: ClassVar[str] = "mit_bih_arrhythmia"
    same_patient: ClassVar[Mapping[str, str]] = {"202": "201"}

    @dataclass(frozen=True)
    class Config(Annotated.Config):
        """split: "patients" as in every annotated source, or "inter_patient", the halves of de Chazal et al. (2004):
        DS2 is the test split, a seeded few of DS1 the validation split; the rest of DS1 and what belongs to neither
        half (the four paced records 102, 104, 107 and 217) are the training split."""

        split: Literal["patients", "inter_patient"] = "patients"

    def splits(self, patients: Mapping[str, str]) -> dict[str, str]:
        """As configured. Of one patient's 201 (DS1) and 202 (DS2), inter_patient leaves out 201 where 202 is there
        to be tested.
        """
        if self.cfg.split == "patients":
            return super().splits(patients)
        if self.cfg.split != "inter_patient":
            raise DataError(f"corpus {self.key}: split is 'patients' or 'inter_patient', not {self.cfg.split!r}")
        tested = {patient for name, patient in patients.items() if name in DS2}
        if not tested:
            log.warning("corpus %s: no record of DS2 is in %s, so there is no test split", self.key, self.root)
        trained = [patient for name, patient in patients.items() if name in DS1 and patient not in tested]
        few = {
            patient
            for patient, split in split_by_patient(trained, (0.8, 0.1, 0.1), self.cfg.seed).items()
            if split == "val"
        }
        halves = {}
        for name, patient in patients.items():
            if name in DS2:
                halves[name] = "test"
            elif patient not in tested:
                halves[name] = "val" if patient in few else "train"
        return halves


class MITBIHSTChange(Annotated):
    """MIT-BIH ST Change Database 1.0: 28 records, 360 Hz; its headers call both leads "ECG", which are taken for II and
    V1.

    It says nothing of patients, so each record is taken for a patient of its own.
    """

    name: ClassVar[str] = "mit_bih_st"
    layout: ClassVar[str] = "mit_bih_st_change"
    assumed: ClassVar[tuple[str, ...]] = ("II", "V1")


class EuropeanSTT(Annotated):
    """European ST-T Database 1.0: 90 two-hour records of 79 subjects, 250 Hz.

    The release does not say which records are one subject's: they are those whose headers agree (see `SUBJECTS`).
    """

    name: ClassVar[str] = "european_st_t"
    layout: ClassVar[str] = "european_st_t"
    same_patient: ClassVar[Mapping[str, str]] = {name: names[0] for names in SUBJECTS for name in names[1:]}
    simulated_too: ClassVar[bool] = False

    @dataclass(frozen=True)
    class Config(Annotated.Config):
        """episodes: whether the begin and the end of each ST and T episode are annotations of their own, "(ST0-" and
        "ST0-)", of which localization asks; as the paper has it, only beats are asked of."""

        episodes: bool = False

    def recorded(self, entry: Entry) -> list[tuple[float, str]]:
        if not self.cfg.episodes:
            return super().recorded(entry)
        return self.read_annotations(entry, lambda symbol, note: note if EPISODE.fullmatch(note) else symbol)


class QTDB(EuropeanSTT):
    """The QT Database's 33 excerpts of European ST-T records: 15 minutes, 250 Hz, beats, ST and T episodes.

    An excerpt is called after its record, `sele0104` after e0104, so those of one subject are told as there.
    """

    name: ClassVar[str] = "qtdb"
    same_patient: ClassVar[Mapping[str, str]] = {
        **EuropeanSTT.same_patient,
        **{f"sel{name}": f"sel{first}" for name, first in EuropeanSTT.same_patient.items()},
    }

    @dataclass(frozen=True)
    class Config(EuropeanSTT.Config):
        """As the European ST-T Database's, with its episodes."""

        episodes: bool = True
