"""Building a store: recordings to shards in parallel, each shard finished once and for all, the store sealed last."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import multiprocessing
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from anyecg.data.corpora.base import Corpus, Entry
from anyecg.data.preprocess import canonical, lead_rows
from anyecg.data.store import BITS, FORMAT, LIMIT, STEP, Store, digest, shard_name
from anyecg.types import CANONICAL_LEADS, SAMPLING_RATE, DataError

log = logging.getLogger(__name__)

SCHEMA = pa.schema({
    "id": pa.string(), "corpus": pa.string(), "patient": pa.string(), "split": pa.string(), "time": pa.string(),
    "seconds": pa.float64(), "shard": pa.int32(), "offset": pa.int64(), "samples": pa.int64(), "lead_mask": pa.uint16(),
    "interpolated": pa.int64(), "clipped": pa.int64(),
    "unknown_leads": pa.list_(pa.string()), "broken_leads": pa.list_(pa.string()),
    "statements": pa.list_(pa.string()), "labels": pa.list_(pa.string()),
    "annotation_times": pa.list_(pa.float64()), "annotation_symbols": pa.list_(pa.string()),
})


def build_store(corpus: Corpus, folder: Path | str, *, workers: int = 0, progress: bool = True, entries: list[Entry] | None = None) -> Store:
    """The store of a corpus in `folder`, built if it is not there; a build that was killed goes on where it stopped.

    workers: processes (0: this one); entries: the corpus's, where they are already at hand. A recording that cannot
    be used is skipped and listed in skipped.csv; DataError where none can be used, where the folder holds another
    store, or where the disk is full. Of two builds at once, the second waits.
    """
    folder = Path(folder)
    entries = corpus.entries() if entries is None else entries
    identity = fingerprint(corpus, entries)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            if (folder / "store.json").exists():
                return _checked(Store.open(folder), identity)
            _claim(folder, identity)
            shards = [entries[first : first + corpus.shard_records] for first in range(0, len(entries), corpus.shard_records)]
            _write_missing(corpus, shards, folder, workers, progress)
            _seal(corpus, folder, len(shards), identity)
    except OSError as error:
        raise DataError(f"store {folder}: {error.strerror or error}; free some space or mend the path, then build again: it goes on where it stopped") from error
    return Store.open(folder)


def fingerprint(corpus: Corpus, entries: Sequence[Entry]) -> str:
    """What a store's content depends on: its format, the index, and the size of every file (not where they lie)."""
    def sizes(entry: Entry) -> list[int]:
        return [path.stat().st_size if path.exists() else -1 for path in corpus.files(entry)]

    def parts() -> Iterator:
        yield FORMAT, corpus.name, json.dumps(corpus.info(), sort_keys=True)
        for entry in entries:
            yield entry, sizes(entry)

    return digest(parts())


def write_shard(corpus: Corpus, entries: Sequence[Entry], folder: Path, shard: int) -> int:
    """Write one shard; its `.json` (skipped recordings and their reasons) comes last and says it is finished."""
    rows, skipped, offset = [], [], 0
    final = folder / shard_name(shard)
    partial = final.with_suffix(".part")
    with partial.open("wb") as file:
        for entry in entries:
            try:
                row, stored = _prepare(corpus, entry)
            except DataError as error:
                skipped.append({"id": f"{corpus.name}/{entry.id}", "path": entry.path, "reason": str(error)})
                continue
            rows.append({**row, "shard": shard, "offset": offset})
            stored.tofile(file)
            offset += stored.size
    partial.rename(final)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), partial)
    partial.rename(final.with_suffix(".parquet"))
    partial.write_text(json.dumps(skipped))
    partial.rename(final.with_suffix(".json"))
    return len(entries)


def _prepare(corpus: Corpus, entry: Entry) -> tuple[dict, np.ndarray]:
    """One record's row and its int16 `[present leads, T]`."""
    record = corpus.read(entry)
    signal, mask, interpolated = canonical(record)
    annotations = [(time, symbol) for time, symbol in corpus.annotations(entry) if time * SAMPLING_RATE <= signal.shape[1]]
    rows, unknown = lead_rows(record.leads)
    steps = np.rint(signal[mask] / np.float32(STEP))
    row = {
        "id": f"{corpus.name}/{entry.id}", "corpus": corpus.name, "patient": f"{corpus.name}/{entry.patient}",
        "split": entry.split, "time": entry.time,
        "seconds": signal.shape[1] / SAMPLING_RATE, "samples": signal.shape[1], "lead_mask": int(BITS[mask].sum()),
        "interpolated": interpolated, "clipped": int((np.abs(steps) > LIMIT).sum()),
        "unknown_leads": unknown, "broken_leads": [CANONICAL_LEADS[lead] for lead in sorted(rows) if not mask[lead]],
        "statements": list(entry.statements), "labels": list(entry.labels),
        "annotation_times": [time for time, _ in annotations], "annotation_symbols": [symbol for _, symbol in annotations],
    }
    return row, np.clip(steps, -LIMIT, LIMIT).astype("<i2")


def _write_missing(corpus: Corpus, shards: list[list[Entry]], folder: Path, workers: int, progress: bool) -> None:
    missing = [n for n in range(len(shards)) if not (folder / shard_name(n)).with_suffix(".json").exists()]
    done = sum(len(shard) for shard in shards) - sum(len(shards[n]) for n in missing)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bar:
        task = bar.add_task(f"store {corpus.name}", total=sum(map(len, shards)), completed=done)
        if workers < 2 or len(missing) < 2:
            for n in missing:
                bar.advance(task, write_shard(corpus, shards[n], folder, n))
            return
        context = multiprocessing.get_context("forkserver")  # inherits no threads of a parent that has a model running
        context.set_forkserver_preload([__name__])
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            futures = [pool.submit(write_shard, corpus, shards[n], folder, n) for n in missing]
            try:
                for future in as_completed(futures):
                    bar.advance(task, future.result())
            except BrokenProcessPool as error:
                raise DataError(f"store {folder}: a worker process died (out of memory?); build again, with fewer workers") from error
            finally:
                pool.shutdown(cancel_futures=True)


def _seal(corpus: Corpus, folder: Path, shards: int, identity: str) -> None:
    """Join the shards' tables, write the summary, and only then tidy up."""
    pieces = [(folder / shard_name(n)).with_suffix(".parquet") for n in range(shards)]
    skipped = [row for piece in pieces for row in json.loads(piece.with_suffix(".json").read_text())]
    pd.DataFrame(skipped, columns=["id", "path", "reason"]).to_csv(folder / "skipped.csv", index=False)
    counts, unknown, broken = Counter(), Counter(), Counter()
    partial = folder / "records.part"
    with pq.ParquetWriter(partial, SCHEMA) as writer:
        for piece in pieces:
            table = pq.read_table(piece)
            writer.write_table(table)
            counts["records"] += table.num_rows
            for name in ("seconds", "interpolated", "clipped"):
                counts[name] += sum(table[name].to_pylist())
            unknown.update(name for names in table["unknown_leads"].to_pylist() for name in names)
            broken.update(name for names in table["broken_leads"].to_pylist() for name in names)
    if not counts["records"]:
        reasons = "; ".join(sorted({row["reason"] for row in skipped})[:3])
        for piece in pieces:
            piece.with_suffix(".json").unlink()
        raise DataError(f"corpus {corpus.name}: not one of {len(skipped)} recordings in {corpus.root} can be used: {reasons}")
    partial.rename(folder / "records.parquet")
    summary = {
        "format": FORMAT, "fingerprint": identity, "corpus": corpus.name, **counts, "skipped": len(skipped),
        "unknown_leads": dict(sorted(unknown.items())), "broken_leads": dict(sorted(broken.items())), "info": corpus.info(),
    }
    partial.write_text(json.dumps(summary, indent=1))
    partial.rename(folder / "store.json")
    for piece in pieces:
        piece.unlink()
        piece.with_suffix(".json").unlink()
    log.info("store %s: %d records, %d skipped, unknown leads %s", corpus.name, counts["records"], len(skipped), dict(unknown) or "none")


def _claim(folder: Path, identity: str) -> None:
    """Say whose shards these are, so that a resumed build never mixes two corpora."""
    claim = folder / "building.json"
    if claim.exists() and claim.read_text() != identity:
        raise DataError(f"{folder} holds the beginnings of another store; delete it or choose another folder")
    claim.write_text(identity)


def _checked(store: Store, identity: str) -> Store:
    if store.fingerprint != identity:
        raise DataError(f"{store.folder} holds a store of other recordings ({store.fingerprint}, not {identity}); delete it or choose another folder")
    return store


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder alone; the lock falls with the process that holds it, however it ends."""
    with (folder / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            log.warning("%s is being built by process %s; waiting for it", folder, file.read().strip() or "?")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
