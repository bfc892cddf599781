"""What every source of recordings answers: its entries, and the signal and annotations of each."""

from __future__ import annotations

import hashlib
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv as pa_csv
import wfdb

from anyecg.checks import Checks
from anyecg.types import DataError, ECGRecord

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")
BEATS = frozenset("NLRBAaJSVrFejnE/fQ?")  # the WFDB symbols that mark one beat (a flutter wave "!" does not)
MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "v": 1e3, "nv": 1e-6}  # one of a header's unit, in mV


@dataclass(frozen=True, slots=True)
class Entry:
    """One recording as its source lists it, before its signal is read.

    id: unique in the corpus; path: of the WFDB record, relative to the corpus root, without extension;
    split: "train", "val" or "test"; time: ISO date and time, or "";
    statements: the cleaned lines of the report, in English; labels: the source's codes.
    """

    id: str
    path: str
    patient: str
    split: str
    time: str = ""
    statements: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()


class Corpus:
    """A source of recordings in its native layout.

    name: what the registry calls it; layout: what the simulator calls it; shard_records: recordings of one store shard.
    """

    name: ClassVar[str]
    layout: ClassVar[str]
    shard_records: ClassVar[int] = 128

    @dataclass(frozen=True)
    class Config:
        """root: folder of the downloaded corpus, None to simulate one of `patients` patients, `seconds` long, with `seed`;
        limit: only the first recordings of the index."""

        root: str | None = None
        patients: int = 200
        seconds: float | None = None
        seed: int = 0
        limit: int | None = None

        def __post_init__(self) -> None:
            with Checks(self) as check:
                check.number("patients", "limit", least=1)
                check.number("seconds", above=0)
                check.number("seed", least=0)

    def __init__(self, cfg: Config, root: Path | str) -> None:
        self.cfg = cfg
        self.root = Path(root)
        if not self.root.is_dir():
            raise DataError(
                f"corpus {self.name}: there is no folder {self.root}; "
                f"set corpora.{self.name}.root to where it was downloaded, or to null to simulate it"
            )

    def entries(self) -> Iterable[Entry]:
        """Every recording of the index, in a fixed order, one at a time where it is long; DataError where it is missing."""
        raise NotImplementedError

    def annotations(self, entry: Entry) -> list[tuple[float, str]]:
        """(seconds, WFDB symbol) of every annotation, in order of time; none where the source has reports instead."""
        return []

    def beats(self, entry: Entry) -> list[tuple[float, str]]:
        """The annotations that mark a beat (not a rhythm change, noise or an ST episode)."""
        return [(time, symbol) for time, symbol in self.annotations(entry) if symbol in BEATS]

    def info(self) -> Mapping:
        """What a task must know of the whole corpus (for PTB-XL: its label names); kept with the store."""
        return {}

    def files(self, entry: Entry) -> list[Path]:
        """The files that hold a recording; their sizes are part of the store's fingerprint."""
        return [Path(f"{self.root / entry.path}{suffix}") for suffix in (".hea", ".dat")]

    def read(self, entry: Entry) -> ECGRecord:
        """The whole recording: float32 `[L, T]` in mV at its own rate, NaN where the source marks samples invalid.

        Raises DataError where a file is missing, broken or shorter than its header says.
        """
        path = self.root / entry.path
        try:
            record = wfdb.rdrecord(str(path), return_res=32)
        except Exception as error:  # wfdb raises anything from ValueError to IndexError on a broken file
            raise DataError(f"{path}: signal missing, cut short or broken (wfdb says {type(error).__name__}: {error})") from error
        if record.p_signal is None or record.p_signal.size == 0:
            raise DataError(f"{path}: holds no signal")
        scale = np.array([MILLIVOLTS.get(unit.strip().lower(), np.nan) for unit in record.units], np.float32)
        if np.isnan(scale).any():
            raise DataError(f"{path}: unit {record.units[int(np.isnan(scale).argmax())]!r} is no voltage")
        signal = np.ascontiguousarray(record.p_signal.T, dtype=np.float32) * scale[:, None]
        return ECGRecord(signal, float(record.fs), tuple(record.sig_name), f"{self.name}/{entry.id}", f"{self.name}/{entry.patient}")

    def limited(self, entries: Iterable[Entry]) -> Iterator[Entry]:
        """The first `cfg.limit` entries; DataError where there is none."""
        kept = islice(entries, self.cfg.limit)
        first = next(kept, None)
        if first is None:
            raise DataError(f"corpus {self.name}: {self.root} lists no recording; is it the right folder?")
        return chain([first], kept)

    def columns(self, file: str, names: list[str], optional: Iterable[str] = ()) -> Iterator[pa.RecordBatch]:
        """Some columns of a long index file as text, a block at a time (empty is null); DataError as for `table`.

        A column of `optional` that the file does not have is null.
        """
        path, wanted = self.root / file, [*names, *optional]
        try:
            with pa_csv.open_csv(
                path, parse_options=pa_csv.ParseOptions(newlines_in_values=True),
                convert_options=pa_csv.ConvertOptions(
                    column_types=dict.fromkeys(wanted, pa.string()), null_values=[""], strings_can_be_null=True,
                    include_columns=wanted, include_missing_columns=True,
                ),
            ) as reader:
                for batch in reader:
                    lacking = [name for name in names if batch[name].null_count == len(batch)]
                    if lacking:
                        raise DataError(f"corpus {self.name}: {path} has no column {lacking[0]}, or nothing in it; download it again")
                    yield batch
        except FileNotFoundError as error:
            raise DataError(f"corpus {self.name}: {path} is missing; download the corpus whole, or mend its root") from error
        except pa.ArrowInvalid as error:
            raise DataError(f"corpus {self.name}: {path} cannot be read ({error})") from error

    def table(self, file: str, **options) -> pd.DataFrame:
        """An index file of the corpus; DataError names it where it is missing or not a table."""
        path = self.root / file
        try:
            return pd.read_csv(path, **options)
        except FileNotFoundError as error:
            raise DataError(f"corpus {self.name}: {path} is missing; download the corpus whole, or mend its root") from error
        except ValueError as error:
            raise DataError(f"corpus {self.name}: {path} cannot be read ({error})") from error


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
