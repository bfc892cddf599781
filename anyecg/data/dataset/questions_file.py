"""The built questions on disk: an Arrow file, read by memory map, a row at a time."""

from __future__ import annotations

import json
import mmap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from anyecg.types import DataError, ECGSample, Turn, Window

BATCH = 1024  # rows of every record batch but the last, so that a row is found without a search
READS = 64  # rows read, or batches passed, between two times that the pages they lie in are given back
TURN = pa.struct({"role": pa.string(), "text": pa.string()})
WINDOW = pa.struct({"record": pa.string(), "start": pa.float64(), "end": pa.float64()})
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "task": pa.string(),
        "pool": pa.string(),
        "subset": pa.string(),
        "split": pa.string(),
        "patient": pa.string(),
        "conversation": pa.list_(TURN),
        "records": pa.list_(WINDOW),
        "evidence": pa.list_(pa.string()),
        "meta": pa.string(),
    }
)


class Questions:
    """Every question, as `ECGSample`s: `len(q)`, `q[i]`, columns as arrays, rows by split, task or pool.

    info: what was written beside the rows (seed, configuration, counts, label names). Pages of the file that were read
    are given back to the system as it goes, so a process does not grow with the rows that it has seen.
    """

    def __init__(self, path: Path | str) -> None:
        self.path = Path(path)
        try:
            with self.path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            self._reader = pa.ipc.open_file(pa.py_buffer(self._map))
        except (FileNotFoundError, ValueError) as error:
            raise DataError(f"{self.path} is no question file ({error}); build it again") from error
        self.info: dict = json.loads(self._reader.schema.metadata[b"info"])
        self._batches = [self._reader.get_batch(n) for n in range(self._reader.num_record_batches)]
        self._length = sum(batch.num_rows for batch in self._batches)
        self._reads = 0
        self._give_back()

    def __reduce__(self) -> tuple:
        return Questions, (self.path,)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, row: int) -> ECGSample:
        """The question of a row; IndexError outside."""
        if not 0 <= row < self._length:
            raise IndexError(f"row {row} of {self._length} questions")
        self._reads += 1
        if self._reads % READS == 0:
            self._give_back()
        return _sample(self._batches[row // BATCH].slice(row % BATCH, 1).to_pylist()[0])

    def __iter__(self) -> Iterator[ECGSample]:
        return (self[row] for row in range(self._length))

    def column(self, name: str) -> np.ndarray:
        """One of id, task, pool, subset, split, patient for every row."""
        return np.concatenate(
            [part.to_numpy(zero_copy_only=False) for part in self._parts(name)] or [np.array([], dtype=object)]
        )

    def distinct(self, name: str) -> set[str]:
        """The values that are in a column."""
        return set().union(*(pc.unique(part).to_pylist() for part in self._parts(name)))

    def select(self, **wanted: str | Iterable[str]) -> np.ndarray:
        """int64 rows whose columns have the values given, or one of them: `select(split="test", task=["report"])`."""
        keep = np.ones(self._length, dtype=bool)
        for name, values in wanted.items():
            among = pa.array([values] if isinstance(values, str) else list(values), pa.string())
            keep &= np.concatenate(
                [pc.is_in(part, value_set=among).to_numpy(zero_copy_only=False) for part in self._parts(name)] or [keep]
            )
        return np.flatnonzero(keep)

    @property
    def schema(self) -> pa.Schema:
        """Of the file, with `info` in its metadata."""
        return self._reader.schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as they lie on disk, a few at a time."""
        for number, batch in enumerate(self._batches, start=1):
            yield batch
            if number % READS == 0:
                self._give_back()

    def _parts(self, name: str) -> Iterator[pa.Array]:
        """A column, a few rows at a time."""
        return (batch[name] for batch in self.batches())

    def _give_back(self) -> None:
        """Let go of the file's pages; what is read again comes from the system's cache."""
        self._map.madvise(mmap.MADV_DONTNEED)


def write_questions(path: Path, questions: Iterable[tuple[str, ECGSample]], info: Mapping) -> None:
    """Write (split, question) pairs to `path`, whole or not at all, and `info` beside them."""
    partial = path.with_suffix(".part")
    schema = SCHEMA.with_metadata({"info": json.dumps(info, sort_keys=True)})
    with pa.ipc.new_file(partial, schema) as writer:
        rows: list[dict] = []
        for split, sample in questions:
            rows.append(_row(split, sample))
            if len(rows) == BATCH:
                writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))
                rows = []
        if rows:
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))
    partial.rename(path)


def write_counted(
    path: Path,
    questions: Iterable[tuple[str, ECGSample]],
    info: Mapping,
    dropped: Counter,
    kind: Callable[[ECGSample], str] = lambda sample: "",
) -> Questions:
    """Write (split, question) pairs to `path`, and beside them how many there are and how many (pool, why) were
    `dropped`; kind: what is told apart.
    """
    counts: Counter = Counter()

    def counted() -> Iterator[tuple[str, ECGSample]]:
        for split, sample in questions:
            counts[sample.pool, sample.subset, split, kind(sample)] += 1
            yield split, sample

    write_questions(path, counted(), info)
    summary = {
        "questions": sum(counts.values()),
        "counts": [
            {"pool": pool, "subset": subset, "split": split, "answer": answer, "count": count}
            for (pool, subset, split, answer), count in sorted(counts.items())
        ],
        "dropped": [{"pool": pool, "why": why, "count": count} for (pool, why), count in sorted(dropped.items())],
    }
    path.with_suffix(".json").write_text(json.dumps(summary, indent=1))
    return Questions(path)


def _row(split: str, sample: ECGSample) -> dict:
    return {
        "id": sample.id,
        "task": sample.task,
        "pool": sample.pool,
        "subset": sample.subset,
        "split": split,
        "patient": sample.patient,
        "evidence": list(sample.evidence),
        "meta": json.dumps(sample.meta, sort_keys=True),
        "conversation": [{"role": turn.role, "text": turn.text} for turn in sample.conversation],
        "records": [{"record": window.record, "start": window.start, "end": window.end} for window in sample.records],
    }


def _sample(row: dict) -> ECGSample:
    return ECGSample(
        id=row["id"],
        task=row["task"],
        pool=row["pool"],
        subset=row["subset"],
        patient=row["patient"],
        records=tuple(Window(**window) for window in row["records"]),
        conversation=tuple(Turn(**turn) for turn in row["conversation"]),
        evidence=tuple(row["evidence"]),
        meta=json.loads(row["meta"]),
    )
