"""A corpus's entries on disk, read by memory map: 800,000 of them weigh nothing in a process or in its workers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, fields
from pathlib import Path

import pyarrow as pa

from anyecg.data.corpora.base import Corpus, Entry
from anyecg.data.store.store import FORMAT, digest

BATCH = 1024  # entries of every record batch but the last, so that a row is found without a search
LISTS = ("statements", "labels")
SCHEMA = pa.schema({field.name: pa.list_(pa.string()) if field.name in LISTS else pa.string() for field in fields(Entry)})


class Index:
    """The entries of one corpus in its order.

    fingerprint: of all that a store of them depends on: its format, every entry, the size of every file (not where
    they lie); duplicates: entries left out because an earlier one has their id; rejected: rows that are no entry.
    """

    def __init__(self, corpus: Corpus, path: Path) -> None:
        self.path, self.duplicates, self.rejected, self._length = path, [], [], 0
        partial = path.with_name(f".{path.name}.part")
        with pa.OSFile(str(partial), "wb") as sink, pa.ipc.new_file(sink, SCHEMA) as writer:
            self.fingerprint = digest(self._written(corpus, writer))
        partial.rename(path)

    def __len__(self) -> int:
        return self._length

    def _written(self, corpus: Corpus, writer: pa.RecordBatchWriter) -> Iterator:
        """Write every entry, and yield what the fingerprint is made of."""
        yield FORMAT, corpus.key, json.dumps(corpus.has(), sort_keys=True)
        if corpus.key != corpus.name:
            yield corpus.name
        seen, rows = set(), []
        for entry in corpus.entries():
            if entry.id in seen:
                self.duplicates.append(entry)
                continue
            seen.add(entry.id)
            yield entry, [_size(path) for path in corpus.files(entry)]
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


def _size(path: Path) -> int:
    """Bytes of a file; -1 where there is none, or the path can be none (reading the recording then says why)."""
    try:
        return path.stat().st_size
    except (OSError, ValueError):
        return -1


def entries(path: Path, first: int, last: int) -> list[Entry]:
    """Entries `first` to `last` (exclusive) of an index."""
    reader = pa.ipc.open_file(pa.memory_map(str(path)))
    found: list[Entry] = []
    for number in range(first // BATCH, min(-(-last // BATCH), reader.num_record_batches)):
        start = number * BATCH
        batch = reader.get_batch(number)
        rows = batch.slice(max(first - start, 0), min(last - start, batch.num_rows) - max(first - start, 0))
        found += [Entry(**{name: tuple(value) if name in LISTS else value for name, value in row.items()}) for row in rows.to_pylist()]
    return found
