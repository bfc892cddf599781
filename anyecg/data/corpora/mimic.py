"""MIMIC-IV-ECG 1.0: 800,000 twelve-lead ECGs of ten seconds at 500 Hz with machine-written reports."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

import pandas as pd

from anyecg.data.corpora.base import Corpus, Entry, shared, split_by_patient

# What the cart says about itself or the recording, not about the heart.
REMARK = re.compile(
    r"^-{2,}.*|^\*.*\*$|^warning\b.*|^analysis error.*|^report not available.*|^.*\bnot analy[sz]ed\b.*"
    r"|^poor (?:data|signal) quality\b.*|^data quality\b.*|^technically .*|^unconfirmed\b.*"
    r"|^all 12 leads are missing.*|^lead\(s\) unsuitable for analysis.*|^.*suspect(?:ed)? (?:lead|arm) .*(?:reversal|misplace).*",
    re.IGNORECASE,
)


def clean(statements: list[str]) -> tuple[str, ...]:
    """The statements about the heart: cart remarks and empty lines dropped, "EKG" written ECG, no trailing stops."""
    kept = []
    for statement in statements:
        text = " ".join(statement.split()).replace("EKG", "ECG").rstrip(" .;,").strip()
        if text and not REMARK.match(text):
            kept.append(shared(text))
    return tuple(kept)


class MIMIC(Corpus):
    """MIMIC-IV-ECG 1.0 as downloaded: files/, record_list.csv, machine_measurements.csv."""

    name: ClassVar[str] = "mimic"
    layout: ClassVar[str] = "mimic"

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        pass

    def entries(self) -> list[Entry]:
        """One entry a study, ordered by patient and time; patients split 80/10/10."""
        index = self.table("record_list.csv", dtype=str)
        measurements = self.table("machine_measurements.csv", dtype=str, usecols=lambda c: c == "study_id" or c.startswith("report_"))
        columns = sorted((c for c in measurements if c.startswith("report_")), key=lambda c: int(c.removeprefix("report_")))
        reports = {
            study: clean([text for text in lines if isinstance(text, str)])
            for study, *lines in measurements[["study_id", *columns]].itertuples(index=False, name=None)
        }
        index["ecg_time"] = pd.to_datetime(index["ecg_time"], errors="coerce")
        index = index.drop_duplicates("study_id").sort_values(["subject_id", "ecg_time", "study_id"], kind="stable")
        splits = split_by_patient(index["subject_id"], (0.8, 0.1, 0.1), self.cfg.seed)
        rows = zip(index["subject_id"], index["study_id"], index["ecg_time"], index["path"])
        return self.limited(
            Entry(study, path, shared(patient), splits[patient], "" if pd.isna(time) else time.isoformat(), reports.get(study, ()))
            for patient, study, time, path in rows
        )
