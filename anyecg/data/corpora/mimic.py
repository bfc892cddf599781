"""MIMIC-IV-ECG 1.0: 800,000 twelve-lead ECGs of ten seconds at 500 Hz with machine-written reports."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from anyecg.data.corpora.base import Corpus, Entry, log, split_by_patient
from anyecg.data.corpora.quantities import GLOBAL, from_marks
from anyecg.types import DataError

# What the cart says about itself or the recording, not about the heart.
REMARK = re.compile(
    r"^-{2,}.*|^\*.*\*$|^warning\b.*|^analysis error.*|^report not available.*|^.*\bnot analy[sz]ed\b.*"
    r"|^poor (?:data|signal) quality\b.*|^data quality\b.*|^technically .*|^unconfirmed\b.*"
    r"|^all 12 leads are missing.*|^lead\(s\) unsuitable for analysis.*|^.*suspect(?:ed)? (?:lead|arm) .*(?:reversal"
    r"|misplace).*",
    re.IGNORECASE,
)

# Columns of machine_measurements.csv: ms, ms from the start of the cart's representative beat, degrees.
RR, TIMES = "rr_interval", ("p_onset", "qrs_onset", "qrs_end", "t_end")
AXES = ("p_axis", "qrs_axis", "t_axis")
MACHINE = (RR, *TIMES, *AXES)
UNMEASURED = 29999  # what the carts write where they measure nothing

NEEDED = ("subject_id", "study_id", "path")  # of a row of record_list.csv
SWALLOWED = re.compile(r"\n\d{5,},(\d{5,}),")  # the beginning of a row: subject, study
LONGEST = 4000  # characters of a statement; a cart writes a hundred or so


def clean(statement: str) -> str | None:
    """A statement about the heart as it is used: "EKG" written ECG, no trailing stops; None for a cart's remark."""
    text = " ".join(statement.split()).replace("EKG", "ECG").rstrip(" .;,").strip()
    return text if text and not REMARK.match(text) else None


def whole(statement: str) -> str:
    """A statement as the table has it; DataError where it holds a row of the table, since a quote before it was
    never closed.
    """
    swallowed = SWALLOWED.search(statement)
    if swallowed or len(statement) > LONGEST:
        before = f"the row of study {swallowed[1]}" if swallowed else f"{len(statement):,} characters"
        raise DataError(
            f"corpus mimic: machine_measurements.csv: a statement that begins with {statement[:40]!r} goes on over "
            f"{before}: a quote in it is not "
            "closed; mend that line, or download the file again"
        )
    return statement


class Reports:
    """The cleaned statements of every study, as numbers into a vocabulary: the carts say few different things; and
    what the cart measured.
    """

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._words: list[str | None] = []
        numbers: dict[str, int] = {}
        studies, codes, lengths = [pa.array([], pa.string())], [np.array([], np.int32)], [np.array([], np.int32)]
        measured = [np.empty((0, len(MACHINE)), np.int16)]
        for batch in batches:
            columns = sorted(
                (name for name in batch.schema.names if name.startswith("report_")),
                key=lambda name: int(name.removeprefix("report_")),
            )
            lines = [[text for text in row if text] for row in zip(*(batch[name].to_pylist() for name in columns))]
            for text in {text for row in lines for text in row} - numbers.keys():
                numbers[text] = len(self._words)
                self._words.append(clean(whole(text)))
            studies.append(batch["study_id"])
            measured.append(np.stack([_whole_numbers(batch[name]) for name in MACHINE], axis=1))
            lengths.append(np.array([len(row) for row in lines], np.int32))
            codes.append(np.array([numbers[text] for row in lines for text in row], np.int32))
        self.studies = pa.chunked_array(studies)
        self._codes, self._ends = np.concatenate(codes), np.cumsum(np.concatenate(lengths), dtype=np.int64)
        self._measured = np.concatenate(measured)

    def __getitem__(self, row: int) -> tuple[str, ...]:
        """The statements of a study, by its row in `studies`; none below 0."""
        if row < 0:
            return ()
        said = self._codes[self._ends[row - 1] if row else 0 : self._ends[row]]
        return tuple(self._words[code] for code in said if self._words[code])

    def measurements(self, row: int) -> tuple[tuple[str, float], ...]:
        """What the cart measured of a study, by its row in `studies`; none below 0."""
        if row < 0:
            return ()
        found = dict(zip(MACHINE, self._measured[row].astype(float)))
        angles = {name: value if -360 <= value <= 360 else np.nan for name, value in found.items() if name in AXES}
        times = {
            name: value if 0 <= value < UNMEASURED else np.nan for name, value in found.items() if name not in AXES
        }
        return tuple((from_marks(rr=times[RR], **{name: times[name] for name in TIMES}) | angles).items())


def _whole_numbers(column: pa.Array) -> np.ndarray:
    """int16 `[n]` of a column of text; `UNMEASURED` where it holds no whole number of that size."""
    numbers = pd.to_numeric(column.to_pandas(), errors="coerce").to_numpy(float)
    return np.where(np.abs(numbers) <= 32767, numbers, UNMEASURED).astype(np.int16)


class MIMIC(Corpus):
    """MIMIC-IV-ECG 1.0: 800,000 twelve-lead ECGs of ten seconds with machine-written reports.

    As downloaded: files/, record_list.csv, machine_measurements.csv.
    """

    name: ClassVar[str] = "mimic"
    layout: ClassVar[str] = "mimic"
    quantities: ClassVar[tuple[str, ...]] = GLOBAL

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        pass

    def entries(self) -> Iterator[Entry]:
        """One entry a study, ordered by patient and time; patients split 80/10/10."""
        index = self._usable(pa.Table.from_batches(self.columns("record_list.csv", list(NEEDED), ["ecg_time"])))
        optional = [*(f"report_{n}" for n in range(18)), *MACHINE]
        reports = Reports(self.columns("machine_measurements.csv", ["study_id"], optional))
        said = pc.fill_null(pc.index_in(index["study_id"], value_set=reports.studies), -1).to_numpy()
        if unsaid := int((said < 0).sum()):
            log.warning(
                "corpus %s: %d of %d recordings have no row in %s, so they have no report",
                self.key,
                unsaid,
                len(said),
                self.root / "machine_measurements.csv",
            )
        times = pd.to_datetime(index["ecg_time"].to_pandas(), errors="coerce").to_numpy("datetime64[s]")
        order = pc.sort_indices(
            pa.table({"subject": index["subject_id"], "time": times, "study": index["study_id"]}),
            [("subject", "ascending"), ("time", "ascending"), ("study", "ascending")],
        ).to_numpy()
        splits = split_by_patient(pc.unique(index["subject_id"]).to_pylist(), (0.8, 0.1, 0.1), self.cfg.seed)

        def listed_rows() -> Iterator[Entry]:
            for first in range(0, len(order), 1024):
                rows = order[first : first + 1024]
                part = index.take(rows)
                for row, patient, study, path in zip(rows, *(part[name].to_pylist() for name in NEEDED)):
                    time = "" if np.isnat(times[row]) else str(times[row])
                    yield Entry(
                        study,
                        path,
                        patient,
                        splits[patient],
                        time,
                        reports[said[row]],
                        measurements=reports.measurements(said[row]),
                    )

        return self.limited(listed_rows())

    def _usable(self, index: pa.Table) -> pa.Table:
        """The rows of record_list.csv that say whose which recording is, and where it lies; the others are rejected."""
        lacking = {name: pc.is_null(index[name]) for name in NEEDED}
        bad = functools.reduce(pc.or_, lacking.values())
        for row in index.filter(bad).to_pylist():
            empty = ", ".join(name for name in NEEDED if row[name] is None)
            self.reject(
                f"record_list.csv: {empty} is empty (row: {', '.join(value or '' for value in row.values())})",
                id=row["study_id"] or "?",
                path=row["path"] or "record_list.csv",
            )
        return index.filter(pc.invert(bad))
