"""Recordings at one rate on disk, read by memory map: any stretch of any record in one seek."""

from __future__ import annotations

import functools
import hashlib
import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from anyecg.types import CANONICAL_LEADS, ConfigError, DataError, InputSpec, Window

FORMAT = 4
STEP = 1e-3  # mV of one stored integer: the store is exact to a microvolt
LIMIT = 32767  # of int16: what lies beyond +-32.767 mV is clipped, and counted
BITS = 1 << np.arange(len(CANONICAL_LEADS))


class Store:
    """One corpus at `fs` Hz: int16 shards, `records.parquet`, and `store.json`, which is written last."""

    def __init__(self, folder: Path, summary: dict) -> None:
        self.folder = folder
        self.summary = summary
        self.fingerprint: str = summary["fingerprint"]
        self.fs: float = summary["fs"]
        table = self.table(["id", "shard", "offset", "samples", "lead_mask"])
        self._ids, self._rows = _sorted(table.select(["id"]))
        self._shard, self._offset, self._samples, mask = (table[name].to_numpy() for name in table.column_names[1:])
        self._mask = (mask[:, None] & BITS) != 0
        self._maps: dict[int, np.ndarray] = {}

    @classmethod
    def open(cls, folder: Path | str) -> Store:
        """A finished store; DataError where it is missing, unfinished or of another format."""
        folder = Path(folder)
        try:
            summary = json.loads((folder / "store.json").read_text())
        except FileNotFoundError as error:
            raise DataError(f"{folder} is no finished store; build it again, it goes on where it stopped") from error
        except ValueError as error:
            raise DataError(
                f"{folder}/store.json is damaged ({error}); delete the folder and build it again"
            ) from error
        if summary.get("format") != FORMAT:
            raise DataError(
                f"{folder} has store format {summary.get('format')}, this version reads {FORMAT}; delete it and build "
                f"it again"
            )
        return cls(folder, summary)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_maps": {}}  # a worker maps the shards itself

    def __len__(self) -> int:
        return len(self._rows)

    def rows(self, columns: Sequence[str]) -> Iterator[tuple]:
        """The values of some columns of `records`, record by record, a few in memory at a time."""
        for batch in self.table(columns).to_batches(max_chunksize=1024):
            yield from zip(*(batch[name].to_pylist() for name in columns))

    def __contains__(self, record: str) -> bool:
        return self._place(record) is not None

    def table(self, columns: Sequence[str]) -> pa.Table:
        """Columns of `records` as they lie on disk: compact, for a pass over every record."""
        return pq.read_table(self.folder / "records.parquet", columns=list(columns))

    @functools.cached_property
    def records(self) -> pd.DataFrame:
        """One row a record, by id ("corpus/entry"): corpus, path and fs (Hz) in its source, patient, split, time,
        seconds, lead_mask, interpolated, statements, labels, annotation_times (s), annotation_symbols,
        measurements (pairs of a quantity and its value; of a corpus with `quantities`), and where its samples lie."""
        return pd.read_parquet(self.folder / "records.parquet").set_index("id", drop=False).rename_axis("record")

    def seconds(self, record: str) -> float:
        """The length of a record."""
        return float(self._samples[self._find(record)] / self.fs)

    def leads(self, record: str) -> np.ndarray:
        """Bool `[12]`, the canonical leads that a record has."""
        return self._mask[self._find(record)].copy()

    def read(self, record: str, start: float = 0.0, end: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        """float32 `[12, T]` in mV from `start` to `end` seconds, and bool `[12]`, False where a lead is absent.

        Raises DataError where the window holds no sample or leaves the record.
        """
        row = self._find(record)
        samples = int(self._samples[row])
        first = round(start * self.fs)
        last = samples if end is None else round(end * self.fs)
        if not 0 <= first < last <= samples:
            raise DataError(
                f"record {record}: a window from {start} s to {'its end' if end is None else f'{end} s'} "
                f"does not lie in its {samples / self.fs} s"
            )
        mask = self._mask[row].copy()
        offset, leads = int(self._offset[row]), int(mask.sum())
        stored = self._map(int(self._shard[row]))[offset : offset + leads * samples].reshape(leads, samples)
        signal = np.zeros((len(CANONICAL_LEADS), last - first), dtype=np.float32)
        signal[mask] = stored[:, first:last] * np.float32(STEP)
        return signal, mask

    def damaged(self) -> list[Path]:
        """The shards that are missing or not as long as their records; what else is wrong with one only its checksum
        tells.
        """
        due = np.zeros(len(self.summary["shards"]), np.int64)
        np.maximum.at(due, self._shard, self._offset + self._samples * self._mask.sum(axis=1))
        paths = [self.folder / shard_name(shard) for shard in range(len(due))]
        return [path for path, samples in zip(paths, due) if not path.is_file() or path.stat().st_size != 2 * samples]

    def _find(self, record: str) -> int:
        row = self._place(record)
        if row is None:
            raise DataError(f"record {record} is not in the store {self.folder} (see its skipped.csv)")
        return row

    def _place(self, record: str) -> int | None:
        """The row of a record; None where it is not in the store."""
        id = record.encode()
        at = bisect_left(self._ids, id)
        return int(self._rows[at]) if at < len(self._ids) and self._ids[at] == id else None

    def _map(self, shard: int) -> np.ndarray:
        if shard not in self._maps:
            path = self.folder / shard_name(shard)
            try:
                self._maps[shard] = np.memmap(path, dtype="<i2", mode="r")
            except (FileNotFoundError, ValueError) as error:
                raise DataError(f"{path} is missing or damaged; delete {self.folder} and build it again") from error
        return self._maps[shard]


class Stores:
    """Several stores of one rate under one face; the part of a record's id before the first slash says which.

    fs: Hz of all of them. DataError where they differ.
    """

    def __init__(self, stores: Sequence[Store]) -> None:
        self._stores = {store.summary["corpus"]: store for store in stores}
        self.fingerprint = digest(store.fingerprint for store in stores)
        rates = {store.fs: store.folder for store in stores}
        if len(rates) > 1:
            raise DataError(
                f"stores of {' and '.join(f'{fs:g} Hz ({folder})' for fs, folder in rates.items())} cannot be read "
                f"together; build them at one rate"
            )
        self.fs: float = next(iter(rates), InputSpec.fs)

    def __iter__(self) -> Iterator[Store]:
        return iter(self._stores.values())

    @functools.cached_property
    def records(self) -> pd.DataFrame:
        """The records of all stores, by id."""
        return pd.concat([store.records for store in self])

    def __getitem__(self, corpus: str) -> Store:
        """The store of one corpus; DataError where it was not built."""
        try:
            return self._stores[corpus]
        except KeyError:
            raise DataError(f"no store of corpus '{corpus}' is open (open: {', '.join(self._stores)})") from None

    def leads(self, record: str) -> np.ndarray:
        """Bool `[12]`, the canonical leads that a record has."""
        return self[record.partition("/")[0]].leads(record)

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """float32 `[12, T]` in mV and bool `[12]` of a window; DataError where it leaves its record."""
        return self[window.record.partition("/")[0]].read(window.record, window.start, window.end)

    def seconds(self, what: Window | str) -> float:
        """The length of a window, or of a whole record by its id."""
        if isinstance(what, str):
            return self[what.partition("/")[0]].seconds(what)
        return (self.seconds(what.record) if what.end is None else what.end) - what.start


def _sorted(table: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """The ids of a table of one column in order, as bytes `[n]`, and int32 `[n]`, the row of each.

    800,000 ids take 15 MB, a tenth of what a dict of them takes.
    """
    parts = [
        np.array(batch[0].cast(pa.binary()).to_pylist(), dtype=bytes) for batch in table.to_batches(max_chunksize=1024)
    ]
    ids = np.concatenate(parts or [np.array([], dtype=bytes)])
    rows = ids.argsort(kind="stable").astype(np.int32)
    return ids[rows], rows


def rate_mismatch(wanted: float, there: float, where: str = "its data") -> ConfigError:
    """The error of an encoder that takes `wanted` Hz over data that has others; where: a name of the data."""
    return ConfigError(
        f"encoder: takes {wanted:g} Hz, {where} has {there:g} Hz; choose an encoder (or encoder.fs) of {there:g} Hz, "
        f"or build the data at its rate: "
        f"python -m anyecg.data build --to FOLDER EXPERIMENT.yaml encoder.fs={wanted:g}"
    )


def store_fingerprint(index: str, fs: float) -> str:
    """What a store at `fs` Hz of the recordings of an index (by its fingerprint) is told apart by."""
    return digest([index, float(fs)])


def shard_name(shard: int) -> str:
    return f"shard-{shard:05d}.i2"


def digest(parts: Iterable) -> str:
    """16 hex digits of everything in `parts`, in order."""
    hashed = hashlib.blake2b(digest_size=8)
    for part in parts:
        hashed.update(repr(part).encode())
        hashed.update(b"\0")
    return hashed.hexdigest()
