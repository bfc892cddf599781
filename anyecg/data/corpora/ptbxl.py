"""PTB-XL 1.0.3: 21,799 twelve-lead ECGs of ten seconds with SCP-ECG statements."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import pandas as pd

from anyecg.data.corpora.base import Corpus, Entry, log, shared
from anyecg.types import DataError

SUPERCLASSES = {
    "NORM": "normal ECG", "MI": "myocardial infarction", "STTC": "ST/T change",
    "CD": "conduction disturbance", "HYP": "hypertrophy",
}
# Subclasses that are no statement of their own, so scp_statements.csv does not say their names; as anyECG-chat's release names them.
SUBCLASSES = {
    "STTC": "ST/T change", "LAFB/LPFB": "left anterior/posterior fascicular block", "_AVB": "AV block",
    "ISCA": "ischemic in anterior leads", "ISCI": "ischemic in inferior leads",
}


class PTBXL(Corpus):
    """PTB-XL 1.0.3 as downloaded: ptbxl_database.csv, scp_statements.csv, records100/ or records500/."""

    name: ClassVar[str] = "ptbxl"
    layout: ClassVar[str] = "ptbxl"

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        """records: which sampling rate to read; report: "scp" for English descriptions of the codes, "text" for the
        report as written (German in most of the real corpus)."""

        records: Literal["records100", "records500"] = "records100"
        report: Literal["scp", "text"] = "scp"

    @property
    def rate(self) -> float:
        return {"records100": 100.0, "records500": 500.0}[self.cfg.records]

    def _statements(self) -> pd.DataFrame:
        return self.table("scp_statements.csv", index_col=0)

    def entries(self) -> Iterator[Entry]:
        """One entry a record; strat_fold 1-8 train, 9 val, 10 test (where fold 10 is left out: 1-7, 8, 9)."""
        column = {"records100": "filename_lr", "records500": "filename_hr"}.get(self.cfg.records)
        if column is None:
            raise DataError(f"corpus ptbxl: records is 'records100' or 'records500', not {self.cfg.records!r}")
        index = self.table("ptbxl_database.csv", dtype={"ecg_id": str, "report": str, "patient_id": float})
        test = 10 if (index["strat_fold"] == 10).any() else 9
        if test != 10:
            log.warning("corpus ptbxl: fold 10 is not in %s, so fold 9 is the test split and fold 8 the validation split", self.root)
        split = {test: "test", test - 1: "val"}
        codes = self._statements()
        free = set(codes.index[(codes["form"] == 1) | (codes["rhythm"] == 1)])  # their likelihood is 0 by convention
        described = {code: shared(text[:1].upper() + text[1:]) for code, text in codes["description"].items()}

        def entry(row) -> Entry:
            likelihood = ast.literal_eval(row.scp_codes)
            labels = tuple(shared(code) for code in likelihood if likelihood[code] > 0 or code in free)
            if self.cfg.report == "text":
                statements = (row.report.strip(),) if isinstance(row.report, str) and row.report.strip() else ()
            else:
                statements = tuple(described[code] for code in labels if code in described)
            time = "" if pd.isna(row.recording_date) else str(row.recording_date).replace(" ", "T")
            patient = f"{row.patient_id:.0f}"
            return Entry(row.ecg_id, getattr(row, column), patient, split.get(row.strat_fold, "train"), time, statements, labels)

        return self.limited(entry(row) for row in index.itertuples(index=False))

    def info(self) -> Mapping:
        """label sets -> code -> name (5, 23, 19 and 12 of them), code -> its diagnostic superclass and subclass, code -> statement.

        {"labels": {"super": {code: name}, "sub": ..., "form": ..., "rhythm": ...}, "classes": {code: [super, sub]},
        "statements": {code: description}}
        """
        codes = self._statements()
        diagnostic = codes[codes["diagnostic"] == 1]
        names = {**codes["description"].to_dict(), **SUBCLASSES}
        return {
            "labels": {
                "super": {code: SUPERCLASSES[code] for code in SUPERCLASSES if code in set(diagnostic["diagnostic_class"])},
                "sub": {code: names.get(code, code) for code in sorted(set(diagnostic["diagnostic_subclass"].dropna()))},
                "form": codes.loc[codes["form"] == 1, "description"].to_dict(),
                "rhythm": codes.loc[codes["rhythm"] == 1, "description"].to_dict(),
            },
            "classes": {
                code: [row["diagnostic_class"], row["diagnostic_subclass"]]
                for code, row in diagnostic.dropna(subset=["diagnostic_class", "diagnostic_subclass"]).iterrows()
            },
            "statements": codes["description"].dropna().to_dict(),
        }
