"""A corpus's entries on disk, read by memory map: 800,000 of them weigh nothing in a process or in its workers."""

from __future__ import annotations

import fcntl
import hashlib
import json
from array import array
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

import pyarrow as pa

from anyecg.data.corpora.base import Corpus, Entry
from anyecg.data.store.store import FORMAT, digest
from anyecg.files import atomic_write

SAMPLE = 4096  # bytes of either end of a file
BATCH = 1024  # entries of every record batch but the last, so that a row is found without a search
LISTS = ("statements", "labels")
TYPES = {**dict.fromkeys(LISTS, pa.list_(pa.string())), "measurements": pa.map_(pa.string(), pa.float64())}
SCHEMA = pa.schema({field.name: TYPES.get(field.name, pa.string()) for field in fields(Entry)})


class Index:
    """The entries of one corpus in its order.

    fingerprint: of all that a store of them depends on: its format, every entry, the content of every file (not where
    they lie); duplicates: entries left out because an earlier one has their id; rejected: rows that are no entry.
    contents: a file that keeps what was seen of the corpus's files, so that only those that changed are opened again
    (None: all are);
    keep: whether it is written.
    """

    def __init__(self, corpus: Corpus, path: Path, contents: Path | None = None, keep: bool = True) -> None:
        self._contents = Contents(contents)
        self.path, self.duplicates, self.rejected, self._length = path, [], [], 0
        partial = path.with_name(f".{path.name}.part")
        with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
            self.fingerprint = digest(self._written(corpus, writer))
        partial.rename(path)
        if keep:
            self._contents.write()

    def __len__(self) -> int:
        return self._length

    def _written(self, corpus: Corpus, writer: pa.RecordBatchWriter) -> Iterator:
        """Write every entry, and yield what the fingerprint is made of."""
        yield FORMAT, corpus.key, json.dumps(corpus.has(), sort_keys=True)
        if corpus.key != corpus.name:
            yield corpus.name
        if corpus.assumed:
            yield corpus.assumed
        seen, rows = set(), []
        for entry in corpus.entries():
            if entry.id in seen:
                self.duplicates.append(entry)
                continue
            seen.add(entry.id)
            yield entry, [self._contents(path) for path in corpus.files(entry)]
            if entry.measurements:
                yield entry.measurements
            rows.append(asdict(entry))
            self._length += 1
            if len(rows) == BATCH:
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
                rows = []
        if rows:
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=SCHEMA))
        self.rejected = list(corpus.rejected)
        if self.rejected:
            yield self.rejected


class Contents:
    """What files hold, as far as a fingerprint needs it: `contents(path)` -> (bytes, a hash of the first and last 4
    KiB), (-1, 0) where it cannot be read.

    A recording that was filtered anew has other bytes from its first sample on, so a sample of them tells it apart.
    path: a file of int64 `[files, 4]` that keeps a hash of each file's name, its bytes, its time of change (ns) and the
    hash, in the order in which they are asked for: a file whose name, size and time are as they were is not opened.
    """

    def __init__(self, path: Path | None) -> None:
        self.path, self._known, self._seen = path, [], array("q")
        if path is not None and path.exists():
            kept = array("q", path.read_bytes()[: path.stat().st_size // 32 * 32])
            self._known = kept

    def __call__(self, path: Path) -> tuple[int, int]:
        try:
            status = path.stat()
            name = _hash(str(path).encode())
            size, changed, place = status.st_size, status.st_mtime_ns, len(self._seen)
            known = self._known[place : place + 4]
            found = (
                known[3]
                if len(known) and (known[0], known[1], known[2]) == (name, size, changed)
                else _sampled(path, size)
            )
        except (OSError, ValueError):  # reading the recording then says why
            name, size, changed, found = 0, -1, 0, 0
        self._seen.extend((name, size, changed, found))
        return size, found

    def write(self) -> None:
        """Keep what was seen, where it is other than what was kept; one process at a time."""
        if self.path is None or self._seen == self._known:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            with atomic_write(self.path) as part:
                part.write_bytes(self._seen.tobytes())


def _sampled(path: Path, size: int) -> int:
    """A hash of the first and last `SAMPLE` bytes of a file."""
    with path.open("rb", buffering=0) as file:
        first = file.read(SAMPLE)
        file.seek(max(size - SAMPLE, len(first)))
        return _hash(first + file.read(SAMPLE))


def _hash(data: bytes) -> int:
    """63 bits of some bytes."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little") >> 1


def entries(path: Path, first: int, last: int) -> list[Entry]:
    """Entries `first` to `last` (exclusive) of an index."""
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    found: list[Entry] = []
    for number in range(first // BATCH, min(-(-last // BATCH), reader.num_record_batches)):
        start = number * BATCH
        batch = reader.get_batch(number)
        rows = batch.slice(max(first - start, 0), min(last - start, batch.num_rows) - max(first - start, 0))
        found += [
            Entry(**{name: tuple(value) if name in TYPES else value for name, value in row.items()})
            for row in rows.to_pylist()
        ]
    return found
