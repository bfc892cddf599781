"""PTB-XL 1.0.3: 21,799 twelve-lead ECGs of ten seconds with SCP-ECG statements."""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import ClassVar, Literal

import pandas as pd

from anyecg.data.corpora.base import Corpus, Entry, log, shared
from anyecg.types import DataError

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


class PTBXL(Corpus):
    """PTB-XL 1.0.3: 21,799 twelve-lead ECGs of ten seconds with SCP-ECG statements.

    As downloaded: ptbxl_database.csv, scp_statements.csv, records100/ or records500/.
    """

    name: ClassVar[str] = "ptbxl"
    layout: ClassVar[str] = "ptbxl"
    reserved: ClassVar[tuple[str, ...]] = ("test",)

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        """records: which sampling rate to read; report: "scp" for English descriptions of the codes, "text" for the
        report as written (German in most of the real corpus)."""

        records: Literal["records100", "records500"] = "records100"
        report: Literal["scp", "text"] = "scp"

    @property
    def rate(self) -> float:
        return {"records100": 100.0, "records500": 500.0}[self.cfg.records]

    @property
    def reports(self) -> str:
        return "written" if self.cfg.report == "text" else "codes"

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
        text = self.cfg.report == "text"
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
        codes = self._statements()
        described = {code: shared(text[:1].upper() + text[1:]) for code, text in codes["description"].items()}

        def entry(row) -> Entry:
            _check(row, column)
            labels = tuple(map(shared, _likelihood(row.scp_codes)))  # every likelihood: 0 is "unknown"
            if text:
                statements = (row.report.strip(),) if isinstance(row.report, str) and row.report.strip() else ()
            else:
                statements = tuple(described[code] for code in labels if code in described)
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

        return self.limited(usable())

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
