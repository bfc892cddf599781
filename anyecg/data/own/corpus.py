"""A folder of one's own recordings, in any format that `read_ecg` reads, with a table of what is known of each."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pandas as pd

from anyecg.config.checks import Checks
from anyecg.data.corpora.base import Corpus, Entry, log, split_by_patient
from anyecg.data.own.channels import short
from anyecg.data.own.read import read_record
from anyecg.types import SPLITS, DataError, ECGRecord

SPLIT_WORDS = {"validation": "val", "valid": "val", "dev": "val", "training": "train", "testing": "test"}
STATEMENTS = re.compile(r"\s*[\r\n;]\s*|(?<=[a-z\d)])\.\s+")  # between the statements of a report
LABELS = re.compile(r"\s*[;|]\s*")  # between the labels of a cell
DATE = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?!\d)(.*)")  # day and month in either order
INSIDE = "::"  # between a file and the name of a recording in it
TOLD = 5  # recordings whose notes are logged, in each process


class TableCorpus(Corpus):
    """Recordings of one's own: a table with a row a recording, and files in any format that `read_ecg` reads.

    A patient is the column `patient`; where there is none, a recording. Without a column `split`, patients are split
    80/10/10 by a seeded hash.
    """

    name: ClassVar[str] = "table"

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        """table: the file below root, comma, semicolon or tab between cells; path, patient, report, split, time, id:
        names of its columns; labels: of those that hold labels, several in a cell apart by ; or |; record: of the
        column that says which recording of a file; fs (Hz), leads, units: what the files do not say, as for `read_ecg`.

        A column that is not named and not there is left out; only `path` is needed.
        """

        table: str = "records.csv"
        path: str = "path"
        patient: str = "patient"
        report: str = "report"
        labels: list[str] = field(default_factory=lambda: ["labels"])
        split: str = "split"
        time: str = "time"
        id: str = "id"
        record: str = "record"
        fs: float | None = None
        leads: list[str] = field(default_factory=list)
        units: str | None = None

        def __post_init__(self) -> None:
            super().__post_init__()
            with Checks(self) as check:
                check.number("fs", above=0)

    cfg: Config

    def __init__(self, cfg: Config, root: Path | str, key: str | None = None) -> None:
        super().__init__(cfg, root, key)
        self._told = 0
        self._warned: set[str] = set()

    def _index(self) -> pd.DataFrame:
        """The table's rows as text."""
        cfg, path = self.cfg, self.root / self.cfg.table
        if not path.is_file():
            raise DataError(
                f"corpus {self.key}: {path} is missing; set corpora.{self.key}.table to the table of recordings, a "
                f"path below {self.root}"
            )
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            header = file.readline()
        separator = max(",;\t", key=header.count)
        if separator == ",":
            table = self.table(cfg.table, [])
        else:
            try:
                table = pd.read_csv(path, sep=separator, dtype=str, encoding="utf-8-sig", encoding_errors="replace")
            except ValueError as error:
                raise DataError(f"corpus {self.key}: {path} cannot be read ({error})") from error
        defaults = type(cfg)()
        named = {
            name: getattr(cfg, name)
            for name in ("path", "patient", "report", "split", "time", "id", "record")
            if getattr(cfg, name) != getattr(defaults, name)
        }
        asked = [cfg.path, *named.values(), *(cfg.labels if cfg.labels != defaults.labels else [])]
        if missing := [column for column in dict.fromkeys(asked) if column not in table]:
            raise DataError(
                f"corpus {self.key}: {path} has no column {', '.join(missing)}; its columns are "
                f"{short([str(column) for column in table.columns])}. Set corpora.{self.key}.path (and patient, "
                f"report, labels, split) to their names"
            )
        return table

    def entries(self) -> Iterator[Entry]:
        """One entry a row, in the table's order; DataError where a patient has rows in two splits."""
        cfg, table = self.cfg, self._index()
        columns = set(table.columns)
        rows = table.to_dict("records")
        patients = [_cell(row, cfg.patient) or (_cell(row, cfg.path) or "?") for row in rows]
        said = cfg.split in columns
        splits = {} if said else split_by_patient(patients, (0.8, 0.1, 0.1), cfg.seed)
        labels = [column for column in cfg.labels if column in columns]
        times, unread = _times([_cell(row, cfg.time) for row in rows])
        if unread:
            self._warn(f"column {cfg.time}: {unread}; recordings with such a time have none")
        nameless = sum(not _cell(row, cfg.patient) for row in rows)
        if 0 < nameless < len(rows):
            self._warn(f"column {cfg.patient} is empty in {nameless} of {len(rows)} rows: each of these is a patient")

        def usable() -> Iterator[Entry]:
            homes: dict[str, str] = {}
            owners: dict[str, str] = {}
            known: set[str] = set()
            for number, (row, patient) in enumerate(zip(rows, patients), 2):
                path = _cell(row, cfg.path)
                split = _cell(row, cfg.split).lower() if said else splits[patient]
                split = SPLIT_WORDS.get(split, split)
                which = _cell(row, cfg.record)
                name = _cell(row, cfg.id) or _name(path, which)
                fault = self._fault(path, split, name, known)
                if fault:
                    self.reject(f"{cfg.table}, line {number}: {fault}", id=name or "?", path=path or cfg.table)
                    continue
                known.add(name)
                if homes.setdefault(patient, split) != split:
                    raise DataError(
                        f"corpus {self.key}: patient {patient} has recordings in {homes[patient]} and in {split} "
                        f"({cfg.table}, line {number}); give a patient one split"
                    )
                place = f"{path}{INSIDE}{which}" if which else path
                if owners.setdefault(place, patient) != patient:
                    raise DataError(
                        f"corpus {self.key}: {place} is a recording of patient {owners[place]} and of {patient} "
                        f"({cfg.table}, line {number}); name each recording once"
                    )
                found = tuple(
                    dict.fromkeys(word for column in labels for word in LABELS.split(_cell(row, column)) if word)
                )
                report = tuple(
                    word.strip(" .") for word in STATEMENTS.split(_cell(row, cfg.report)) if word.strip(" .")
                )
                yield Entry(name, place, patient, split, times[number - 2], report or found, found)

        return self.limited(usable())

    def _warn(self, message: str) -> None:
        """Log a message about the table once."""
        if message not in self._warned:
            self._warned.add(message)
            log.warning("corpus %s: %s: %s", self.key, self.cfg.table, message)

    def _fault(self, path: str, split: str, name: str, known: set[str]) -> str:
        """Why a row cannot be used; "" where it can."""
        if not path:
            return "its path is empty"
        if split not in SPLITS:
            return f"its split is {split!r}, none of {', '.join(SPLITS)}"
        if name in known:
            return f"another row is {name} too; give column {self.cfg.id!r}"
        return ""

    @property
    def reports(self) -> str:
        columns = set(self._index().columns)
        if self.cfg.report in columns:
            return "written"
        return "codes" if any(column in columns for column in self.cfg.labels) else ""

    def info(self) -> Mapping:
        """One label set, called as the corpus: every label that the table has, by name."""
        table = self._index()
        found = sorted(
            {
                word
                for column in self.cfg.labels
                if column in table
                for cell in table[column].dropna()
                for word in LABELS.split(cell.strip())
                if word
            }
        )
        return {"labels": {self.key: {label: label for label in found}}} if found else {}

    def _place(self, entry: Entry) -> tuple[Path, str | None]:
        """The file of a recording, and its name in a file that holds several."""
        path, _, which = entry.path.partition(INSIDE)
        return self.root / path, which or None

    def files(self, entry: Entry) -> list[Path]:
        """The recording's file, and the other files of a WFDB record."""
        path, _ = self._place(entry)
        stem = path.with_suffix("") if path.suffix.lower() in (".hea", ".dat", ".mat") else path
        beside = [Path(f"{stem}{suffix}") for suffix in (".hea", ".dat", ".mat")]
        if path.is_file() and path.suffix.lower() not in (".hea", ".dat", ".mat"):
            return [path]
        return [file for file in beside if file.is_file()] or [path]

    def read(self, entry: Entry) -> ECGRecord:
        """As `read_ecg`, with what the configuration says of all files; notes of the first recordings are logged."""
        cfg = self.cfg
        path, which = self._place(entry)
        record = read_record(
            path,
            fs=cfg.fs,
            leads=cfg.leads or None,
            units=cfg.units,
            id=f"{self.key}/{entry.id}",
            patient=f"{self.key}/{entry.patient}",
            record=which,
        )
        if record.notes and self._told < TOLD:
            self._told += 1
            more = "; notes of further recordings are not logged" if self._told == TOLD else ""
            log.warning("corpus %s: %s: %s%s", self.key, entry.path, "; ".join(record.notes), more)
        return record


def _cell(row: Mapping, column: str) -> str:
    """A cell's text; "" where it is empty or the table has no such column."""
    value = row.get(column)
    return value.strip() if isinstance(value, str) else ""


def _name(path: str, record: str) -> str:
    """A recording's id from its path: the path without suffix, and the recording's name in the file."""
    stem = re.sub(r"\.[A-Za-z]\w{1,4}$", "", path.replace("\\", "/"))
    stem = re.sub(r"[^\w./-]", "_", stem).strip("./")
    if not stem:
        return hashlib.blake2b(path.encode(), digest_size=6).hexdigest() if path else ""
    return f"{stem}.{record}" if record else stem


def _times(cells: list[str]) -> tuple[list[str], str]:
    """ISO date and time of each cell of a column, "" where it is empty or cannot be read; and what cannot be, "" where
    all can.

    Dates as "13/04/2020" are read in one order, which a day above 12 or points between ("03.04.2020") tell.
    """
    dates = [DATE.fullmatch(cell) for cell in cells]
    first, second = (max((int(date[group]) for date in dates if date), default=0) for group in (1, 3))
    points = any(date and date[2] == "." for date in dates)
    day_first = (first > 12 or points) and second <= 12
    open_order = not day_first and not (second > 12 >= first)
    found, unread = [], []
    for cell, date in zip(cells, dates):
        if date and not open_order:
            day, month = (date[1], date[3]) if day_first else (date[3], date[1])
            written = f"{date[4]}-{int(month):02}-{int(day):02}{date[5]}"
        else:
            written = "" if date else cell
        time = pd.to_datetime(written, errors="coerce") if written else pd.NaT
        found.append("" if pd.isna(time) else time.isoformat())
        if cell and not found[-1]:
            unread.append(cell)
    why = "can be day or month first" if any(dates) and open_order else "is no date"
    return found, f"{unread[0]!r} {why} ({len(unread)} of {len(cells)} rows); write 2020-04-03" if unread else ""
