"""PTB-XL 1.0.3: 21,799 twelve-lead ECGs of ten seconds with SCP-ECG statements."""

from __future__ import annotations

import ast
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
import pandas as pd

from anyecg.data.corpora import glossary
from anyecg.data.corpora.base import Corpus, Entry, log, shared
from anyecg.data.corpora.ptbxl_packs import FS, LEADS, pack_name, read_pack
from anyecg.types import DataError, ECGRecord

SUPERCLASSES = {
    "NORM": "normal ECG",
    "MI": "myocardial infarction",
    "STTC": "ST/T change",
    "CD": "conduction disturbance",
    "HYP": "hypertrophy",
}
# Subclasses that are no statement of their own, so scp_statements.csv does not say their names; as anyECG-chat's
# release names them.
SUBCLASSES = {
    "STTC": "ST/T change",
    "LAFB/LPFB": "left anterior/posterior fascicular block",
    "_AVB": "AV block",
    "ISCA": "ischemic in anterior leads",
    "ISCI": "ischemic in inferior leads",
}
INDEX = "ptbxl_database.csv"
ROLES = ("diagnostic", "form", "rhythm")  # of a statement
SURE = ((100.0, ""), (50.0, "probable "), (0.0, "possible "))  # likelihood (%) from which on -> how it is worded


@dataclass(frozen=True)
class Code:
    """An SCP code: its row in scp_statements.csv, what it says, its role (a place in `ROLES`, or behind them), and of
    a diagnosis its superclass, else ""."""

    place: int
    description: str
    role: int
    superclass: str


class PTBXL(Corpus):
    """PTB-XL 1.0.3: 21,799 twelve-lead ECGs of ten seconds with SCP-ECG statements.

    As downloaded: ptbxl_database.csv, scp_statements.csv, records100/ or records500/. Where the folder has lossless
    packs (`foldNN.npz`) in place of records100/, they are read instead, fold by fold.
    """

    name: ClassVar[str] = "ptbxl"
    layout: ClassVar[str] = "ptbxl"
    reserved: ClassVar[tuple[str, ...]] = ("test",)

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        """records: which sampling rate to read; report: "scp" for English descriptions of the codes, "text" for the
        report as written (German in most of the real corpus), "english" for its phrases by the glossary; likelihoods:
        whether a description says "probable" or "possible" where its code has a likelihood of less than 100 % (0 is
        "unknown" and says nothing), the diagnoses first and the likelier before the others; superclasses: whether a
        report of the codes begins with the superclasses of its diagnoses, each once ("Myocardial infarction")."""

        records: Literal["records100", "records500"] = "records100"
        report: Literal["scp", "text", "english"] = "scp"
        likelihoods: bool = False
        superclasses: bool = False

    @property
    def rate(self) -> float:
        return {"records100": 100.0, "records500": 500.0}[self.cfg.records]

    @property
    def reports(self) -> str:
        return "codes" if self.cfg.report == "scp" else "written"

    @cached_property
    def packed(self) -> bool:
        """Whether the folder has packs in place of the records."""
        return not (self.root / self.cfg.records).is_dir() and any(self.root.glob(pack_name(0).replace("00", "*")))

    @cached_property
    def _folds(self) -> dict[str, int]:
        """ecg_id -> fold, for packs."""
        index = self.table(INDEX, ["ecg_id", "strat_fold"])
        folds = pd.to_numeric(index["strat_fold"], errors="coerce").fillna(0).astype(int)
        return dict(zip(index["ecg_id"], folds))

    def files(self, entry: Entry) -> list[Path]:
        """The record's own files, or the pack that holds it."""
        return [self.root / pack_name(self._folds.get(entry.id, 0))] if self.packed else super().files(entry)

    def read(self, entry: Entry) -> ECGRecord:
        """As every corpus's; from a pack exactly what the record's own files would give."""
        if not self.packed:
            return super().read(entry)
        if self.cfg.records != "records100":
            raise DataError(f"corpus {self.key}: packs hold 100 Hz; set corpora.{self.key}.records to records100")
        path = self.root / pack_name(self._folds.get(entry.id, 0))
        rows, signal = read_pack(path)
        if int(entry.id) not in rows:
            raise DataError(f"{path}: does not hold record {entry.id}")
        millivolts = signal[rows[int(entry.id)]].astype(np.float32) / 1000
        return ECGRecord(millivolts, FS, LEADS, f"{self.key}/{entry.id}", f"{self.key}/{entry.patient}", self.assumed)

    def _statements(self) -> pd.DataFrame:
        """scp_statements.csv by code, without rows that lack the code or its description."""
        file, flags = "scp_statements.csv", ["diagnostic", "form", "rhythm"]
        table = self.table(file, [*flags, "description", "diagnostic_class", "diagnostic_subclass"], index_col=0)
        table[flags] = table[flags].apply(pd.to_numeric, errors="coerce")
        bad = table.index.isna() | table["description"].isna()
        for code in table.index[bad]:
            self.reject(f"{file}: a row (code {code}) without a code or a description", path=file)
        return table[~bad]

    def entries(self) -> Iterator[Entry]:
        """One entry a record; strat_fold 1-8 train, 9 val, 10 test (where fold 10 is left out: 1-7, 8, 9).

        Every code of scp_codes is a label, whatever its likelihood, as in the benchmark of Strodthoff et al. (2021):
        PTB-XL documents 0 as unknown, and has it for all of form and rhythm and for some diagnoses.
        """
        column = {"records100": "filename_lr", "records500": "filename_hr"}.get(self.cfg.records)
        if column is None:
            raise DataError(f"corpus {self.key}: records is 'records100' or 'records500', not {self.cfg.records!r}")
        text = self.cfg.report != "scp"
        index = self.table(
            INDEX,
            [
                "ecg_id",
                "patient_id",
                "recording_date",
                "scp_codes",
                "strat_fold",
                column,
                *(["report"] if text else []),
            ],
        )
        index["strat_fold"] = pd.to_numeric(index["strat_fold"], errors="coerce")
        test = 10 if (index["strat_fold"] == 10).any() else 9
        if test != 10:
            log.warning(
                "corpus %s: fold 10 is not in %s, so fold 9 is the test split and fold 8 the validation split",
                self.key,
                self.root,
            )
        split = {test: "test", test - 1: "val"}
        if self.packed:  # so that each pack is decoded once
            index = index.sort_values("strat_fold", kind="stable")
        codes = self._codes()
        covered = Counter()

        def entry(row) -> Entry:
            _check(row, column)
            likelihood = _likelihood(row.scp_codes)
            labels = tuple(map(shared, likelihood))  # every likelihood: 0 is "unknown"
            written = row.report.strip() if text and isinstance(row.report, str) else ""
            if self.cfg.report == "english":
                found = glossary.english(written)
                covered.update(words=found.words, covered=found.covered)
                statements = tuple(shared(_capital(phrase)) for phrase in found.phrases)
            elif text:
                statements = (written,) if written else ()
            else:
                statements = tuple(map(shared, self._described(likelihood, codes)))
            patient = f"{float(row.patient_id):.0f}"
            return Entry(
                row.ecg_id,
                getattr(row, column),
                patient,
                split.get(row.strat_fold, "train"),
                _time(row.recording_date),
                statements,
                labels,
            )

        def usable() -> Iterator[Entry]:
            for row in index.itertuples(index=False):
                try:
                    yield entry(row)
                except DataError as error:
                    id, path = row.ecg_id, getattr(row, column)
                    self.reject(f"{INDEX}: {error}", id=id if _said(id) else "?", path=path if _said(path) else INDEX)
            if covered["words"]:
                log.info(
                    "corpus %s: the glossary reads %.1f %% of the %d words of the written reports",
                    self.key,
                    100 * covered["covered"] / covered["words"],
                    covered["words"],
                )

        return self.limited(usable())

    def _codes(self) -> dict[str, Code]:
        """SCP code -> what it stands for, in the order of scp_statements.csv."""
        table = self._statements()
        roles = table[list(ROLES)].eq(1).to_numpy()
        return {
            code: Code(
                place,
                description,
                int(role.argmax()) if role.any() else len(ROLES),
                family if role[0] and family in SUPERCLASSES else "",
            )
            for place, (code, description, family, role) in enumerate(
                zip(table.index, table["description"], table["diagnostic_class"], roles, strict=True)
            )
        }

    def _described(self, likelihood: Mapping[str, float], codes: Mapping[str, Code]) -> list[str]:
        """The report of a record's codes, statement by statement."""
        known = [code for code in likelihood if code in codes]
        if self.cfg.likelihoods:
            known.sort(key=lambda code: (codes[code].role, -likelihood[code], codes[code].place))
        sure = {code: likelihood[code] if self.cfg.likelihoods else 0.0 for code in known}
        classes = {codes[code].superclass for code in known} if self.cfg.superclasses else set()
        named = [_capital(SUPERCLASSES[name]) for name in SUPERCLASSES if name in classes]
        return list(dict.fromkeys([*named, *(_worded(codes[code].description, sure[code]) for code in known)]))

    def info(self) -> Mapping:
        """Label sets (5, 23, 19 and 12 labels), of the first two which diagnostic code is of which class, code ->
        statement.

        {"labels": {"super": {code: name}, "sub": ..., "form": ..., "rhythm": ...}, "maps": {"super": {code: class},
        "sub": ...},
        "statements": {code: description}}
        """
        codes = self._statements()
        diagnostic = codes[codes["diagnostic"] == 1]
        names = {**codes["description"].to_dict(), **SUBCLASSES}
        return {
            "labels": {
                "super": {
                    code: SUPERCLASSES[code] for code in SUPERCLASSES if code in set(diagnostic["diagnostic_class"])
                },
                "sub": {
                    code: names.get(code, code) for code in sorted(set(diagnostic["diagnostic_subclass"].dropna()))
                },
                "form": codes.loc[codes["form"] == 1, "description"].to_dict(),
                "rhythm": codes.loc[codes["rhythm"] == 1, "description"].to_dict(),
            },
            "maps": {
                group: diagnostic.dropna(subset=["diagnostic_class", "diagnostic_subclass"])[
                    f"diagnostic_{column}"
                ].to_dict()
                for group, column in (("super", "class"), ("sub", "subclass"))
            },
            "statements": codes["description"].dropna().to_dict(),
        }


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _worded(statement: str, likelihood: float) -> str:
    """A description with how sure its code is; a likelihood of 0 is "unknown" and adds nothing."""
    how = next(word for least, word in SURE if likelihood >= least) if likelihood > 0 else ""
    return _capital(how + statement)


def _said(cell: object) -> bool:
    """Whether a cell of a table read as text holds anything."""
    return isinstance(cell, str)


def _check(row, path: str) -> None:
    """DataError where a row of the index does not say which recording it is, whose, or of which fold."""
    empty = [name for name in ("ecg_id", path) if not _said(getattr(row, name))]
    if empty:
        raise DataError(f"{', '.join(empty)} is empty")
    try:
        whose = float(row.patient_id)
    except ValueError:
        whose = math.nan
    if not math.isfinite(whose):
        raise DataError(f"patient_id {row.patient_id} is no number")
    if row.strat_fold not in range(1, 11):
        raise DataError(f"strat_fold {row.strat_fold} is none of 1 to 10")


def _likelihood(cell: str) -> dict[str, float]:
    """SCP code -> likelihood (%) of a cell such as "{'NORM': 100.0}"; DataError where it is another."""
    try:
        found = ast.literal_eval(cell)
        sound = all(isinstance(code, str) and isinstance(value, int | float) for code, value in found.items())
    except (
        ValueError,
        SyntaxError,
        TypeError,
        AttributeError,
        MemoryError,
        RecursionError,
    ):  # what literal_eval is documented to raise
        sound = False
    if not sound:
        raise DataError(f"scp_codes {str(cell)[:80]} is no dictionary of codes and likelihoods")
    return found


def _time(cell: str) -> str:
    """ISO date and time of a cell; "" where it is empty or no date."""
    try:
        date.fromisoformat(cell[:10])
    except (TypeError, ValueError):
        return ""
    return cell.replace(" ", "T")
