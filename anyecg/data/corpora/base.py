"""What every source of recordings answers: its entries, and the signal and annotations of each."""

from __future__ import annotations

import hashlib
import io
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv

from anyecg.config.checks import Checks
from anyecg.data.corpora.lines import sound
from anyecg.data.corpora.waveform import read_signals, voltage
from anyecg.types import DataError, ECGRecord

log = logging.getLogger(__name__)

BEATS = frozenset("NLRBAaJSVrFejnE/fQ?")  # the WFDB symbols that mark one beat (a flutter wave "!" does not)


@dataclass(frozen=True, slots=True)
class Entry:
    """One recording as its source lists it, before its signal is read.

    id: unique in the corpus; path: of the WFDB record, relative to the corpus root, without extension;
    split: one of SPLITS; time: ISO date and time, or "";
    statements: the cleaned lines of the report, in English; labels: the source's codes;
    measurements: (quantity of `quantities`, value) as the source's index has them, NaN where it says that there is none
    to be had.
    """

    id: str
    path: str
    patient: str
    split: str
    time: str = ""
    statements: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    # not in its text: the fingerprint of a corpus without measurements stays what it was
    measurements: tuple[tuple[str, float], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row of an index from which no recording can be had; id, path: as far as the row says them (a path may be
    that of the index).
    """

    reason: str
    id: str = "?"
    path: str = ""


class Corpus:
    """A source of recordings in its native layout.

    name: what the registry calls its reader; layout: what the simulator calls it; shard_records: recordings of one
    store shard;
    reserved: splits whose records are kept for a benchmark's labels, so that no task asks for their reports;
    key: what a user calls this corpus, and with it its store, record ids and subset; rate: Hz that every recording has,
    None where they may differ;
    assumed: canonical leads that its leads called "ECG" and no more are taken for, in order (a choice that its store
    records); quantities: those of `anyecg.data.corpora.quantities` that it measures;
    rejected: the bad rows that were met so far while `entries` was read, each once, in their order.
    """

    name: ClassVar[str]
    layout: ClassVar[str | None] = None
    reserved: ClassVar[tuple[str, ...]] = ()
    shard_records: ClassVar[int] = 128
    rate: float | None = None
    assumed: ClassVar[tuple[str, ...]] = ()
    quantities: ClassVar[tuple[str, ...]] = ()

    @dataclass(frozen=True)
    class Config:
        """root: folder of the downloaded corpus, None to simulate one; patients: how many are simulated; seconds: of a
        simulated recording (None: as the source's own); seed: of the simulation; limit: only the first recordings of
        the index; max_skipped: share of the recordings that may be unusable, more stop the build.
        """

        root: str | None = None
        patients: int = 200
        seconds: float | None = None
        seed: int = 0
        limit: int | None = None
        max_skipped: float = 0.2

        def __post_init__(self) -> None:
            with Checks(self) as check:
                check.number("patients", "limit", least=1)
                check.number("seconds", above=0)
                check.number("seed", least=0)
                check.number("max_skipped", least=0, most=1)

    def __init__(self, cfg: Config, root: Path | str, key: str | None = None) -> None:
        self.cfg = cfg
        self.root = Path(root)
        self.key = key or self.name
        self.rejected: dict[Rejected, None] = {}
        if not self.root.is_dir():
            raise DataError(
                f"corpus {self.key}: there is no folder {self.root}; "
                f"set corpora.{self.key}.root to where it was downloaded, or to null to simulate it"
            )

    def entries(self) -> Iterable[Entry]:
        """Every recording of the index, in a fixed order, one at a time where it is long; DataError where it is
        missing.

        A row that cannot be used is told to `reject`, and costs no other.
        """
        raise NotImplementedError

    def reject(self, reason: str, **known: str) -> None:
        """Leave a row of the index out; known: its id and path, where it says them."""
        self.rejected.setdefault(Rejected(reason, **known))

    def recorded(self, entry: Entry) -> list[tuple[float, str]]:
        """(seconds, WFDB symbol) of every annotation, as its file has them; none where the source has reports
        instead.
        """
        return []

    def annotations(self, entry: Entry) -> list[tuple[float, str]]:
        """(seconds, WFDB symbol) of every annotation, in order of time (the file's order is not trusted)."""
        return in_order(self.recorded(entry))

    def beats(self, entry: Entry) -> list[tuple[float, str]]:
        """The annotations that mark a beat (not a rhythm change, noise or an ST episode)."""
        return [(time, symbol) for time, symbol in self.annotations(entry) if symbol in BEATS]

    def measurements(self, entry: Entry, record: ECGRecord) -> Mapping[str, float]:
        """Quantity of `quantities` -> its value in the unit of `quantities.unit`; NaN where it cannot be measured on
        this recording. A quantity that nobody tried to measure is left out.

        record: the recording as `read` gives it. Raises DataError where a file of measurements is unusable.
        """
        return dict(entry.measurements)

    @property
    def reports(self) -> str:
        """Where the statements of its entries come from: "written" as a report, or "codes", the names of codes; ""
        where there are none.
        """
        return "written"

    def info(self) -> Mapping:
        """What its labels mean: {"labels": {set: {label's code: name}}, "maps": {set: {entry's code: label's code}},
        "statements": {code: text}, "acronyms": {label's code: acronym}}.

        A set without a map has the entries' codes themselves; statements: what a report says of a code; acronyms: how
        benchmarks write labels whose code is a number.
        """
        return {}

    def has(self) -> Mapping:
        """What a task can ask the whole corpus for: `info`, `reports`, `reserved`, and `quantities` where it measures
        any; kept with the store.
        """
        measured = {"quantities": list(self.quantities)} if self.quantities else {}
        return {**self.info(), "reports": self.reports, "reserved": list(self.reserved), **measured}

    def files(self, entry: Entry) -> list[Path]:
        """The files that hold a recording; their sizes are part of the store's fingerprint."""
        return [Path(f"{self.root / entry.path}{suffix}") for suffix in (".hea", ".dat")]

    def read(self, entry: Entry) -> ECGRecord:
        """The whole recording: float32 `[L, T]` in mV at its own rate, NaN where the source marks samples invalid.

        Raises DataError where a file is missing, broken or not what its header says, which costs this recording; any
        other error is taken for a fault of the reader and stops the build.
        """
        path = self.root / entry.path
        signals, _ = read_signals(path, rate=self.rate)
        scales = [voltage(signal.unit) for signal in signals]
        if None in scales:
            raise DataError(f"{path}: unit {signals[scales.index(None)].unit!r} is no voltage")
        fs = min(signal.fs for signal in signals)
        rows = [
            _averaged(signal.values, round(signal.fs / fs)) * np.float32(scale or 0)
            for signal, scale in zip(signals, scales)
        ]
        return ECGRecord(
            np.stack(rows),
            fs,
            tuple(signal.name for signal in signals),
            f"{self.key}/{entry.id}",
            f"{self.key}/{entry.patient}",
            self.assumed,
        )

    def limited(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The first `cfg.limit` entries; DataError where there is none."""
        kept = islice(entries, self.cfg.limit)
        first = next(kept, None)
        if first is None and self.rejected:
            reasons = "; ".join(row.reason for row in islice(self.rejected, 3))
            raise DataError(
                f"corpus {self.key}: not one of {len(self.rejected)} rows in {self.root} can be used: {reasons}"
            )
        if first is None:
            raise DataError(f"corpus {self.key}: {self.root} lists no recording; is it the right folder?")
        return chain([first], kept)

    def columns(self, file: str, names: list[str], optional: Iterable[str] = ()) -> Iterator[pa.RecordBatch]:
        """Some columns of a long index file as text, a block at a time (empty is null); bad lines and DataError as for
        `table`.

        A column of `optional` that the file does not have is null.
        """
        path, wanted = self.root / file, [*names, *optional]
        ragged: list[str] = []

        def skip(row: pa_csv.InvalidRow) -> str:
            ragged.append(f"{file}: a line of {row.actual_columns} fields, not {row.expected_columns}: {row.text[:80]}")
            return "skip"

        empty = set(names)
        try:
            with pa_csv.open_csv(
                path,
                parse_options=pa_csv.ParseOptions(newlines_in_values=True, invalid_row_handler=skip),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(wanted, pa.string()),
                    null_values=[""],
                    strings_can_be_null=True,
                    include_columns=wanted,
                    include_missing_columns=True,
                ),
            ) as reader:
                for batch in reader:
                    empty -= {name for name in empty if batch[name].null_count < len(batch)}
                    yield batch
        except FileNotFoundError as error:
            raise DataError(
                f"corpus {self.key}: {path} is missing; download the corpus whole, or mend its root"
            ) from error
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"corpus {self.key}: {path} cannot be read ({error})") from error
        if empty:
            raise DataError(
                f"corpus {self.key}: {path} has no column {', '.join(sorted(empty))}, or nothing in it; download it "
                f"again"
            )
        for line in sorted(ragged):
            self.reject(line, path=file)

    def table(self, file: str, columns: Iterable[str], **options) -> pd.DataFrame:
        """An index file of the corpus as text; DataError names it where it is missing, not a table, or without one of
        `columns`.

        A line that is no row is rejected; bytes that are no text are replaced.
        """
        path = self.root / file
        try:
            with path.open(encoding="utf-8-sig", errors="replace", newline="") as text:
                lines, wrong = sound(text.readlines())
            table = pd.read_csv(io.StringIO("".join(lines)), dtype=str, **options)
        except FileNotFoundError as error:
            raise DataError(
                f"corpus {self.key}: {path} is missing; download the corpus whole, or mend its root"
            ) from error
        except (OSError, ValueError) as error:
            raise DataError(f"corpus {self.key}: {path} cannot be read ({error})") from error
        missing = [name for name in columns if name not in table]
        if missing:
            raise DataError(f"corpus {self.key}: {path} has no column {', '.join(missing)}; download it again")
        for line in wrong:
            self.reject(f"{file}, {line}", path=file)
        return table


def _averaged(values: np.ndarray, frame: int) -> np.ndarray:
    """`[T * frame]` -> `[T]`: the mean of each frame's samples."""
    return values if frame == 1 else values.reshape(-1, frame).mean(axis=1)


def in_order(annotations: Iterable[tuple[float, str]]) -> list[tuple[float, str]]:
    """Annotations by time; those of one time stay as they are."""
    return sorted(annotations, key=lambda annotation: annotation[0])


def split_by_patient(patients: Iterable[str], shares: tuple[float, float, float], seed: int) -> dict[str, str]:
    """patient -> split, in an order that a seeded hash decides; no split is empty where there are three patients."""
    order = sorted(set(patients), key=lambda patient: (hashlib.blake2b(f"{seed}/{patient}".encode()).digest(), patient))
    count = len(order)
    test = max(round(shares[2] * count), count > 1)
    val = max(round(shares[1] * count), count > 2)
    names = ["train"] * (count - val - test) + ["val"] * val + ["test"] * test
    return dict(zip(order, names))


def shared(text: str) -> str:
    """The one copy of a string that many entries repeat: an index of 800,000 reports stays small."""
    return sys.intern(text)
