"""Building a store: recordings to shards in parallel, each shard finished once and for all, the store sealed last."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import multiprocessing
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from itertools import pairwise
from multiprocessing import forkserver
from multiprocessing.context import BaseContext
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from anyecg.data.corpora.base import Corpus, Entry, Rejected, in_order
from anyecg.data.store.duplicates import Alike, signature
from anyecg.data.store.index import Index, entries
from anyecg.data.store.preprocess import canonical, lead_rows
from anyecg.data.store.store import BITS, FORMAT, LIMIT, STEP, Store, shard_name, store_fingerprint
from anyecg.progress_bar import progress_bar
from anyecg.types import CANONICAL_LEADS, DataError, InputSpec

log = logging.getLogger(__name__)

FEW = 10  # unusable recordings, fewer of which are never too many
PATHS = re.compile(r"\S*/\S+")  # in a reason, so that like reasons are counted together
LOCK = ".lock"  # in a folder that one process holds alone
SCHEMA = pa.schema(
    {
        "id": pa.string(),
        "corpus": pa.string(),
        "path": pa.string(),
        "fs": pa.float64(),
        "patient": pa.string(),
        "split": pa.string(),
        "time": pa.string(),
        "seconds": pa.float64(),
        "shard": pa.int32(),
        "offset": pa.int64(),
        "samples": pa.int64(),
        "lead_mask": pa.uint16(),
        "interpolated": pa.int64(),
        "clipped": pa.int64(),
        "outside": pa.int64(),
        "unknown_leads": pa.list_(pa.string()),
        "broken_leads": pa.list_(pa.string()),
        "assumed_leads": pa.list_(pa.string()),
        "statements": pa.list_(pa.string()),
        "labels": pa.list_(pa.string()),
        "annotation_times": pa.list_(pa.float64()),
        "annotation_symbols": pa.list_(pa.string()),
        "measurements": pa.map_(pa.string(), pa.float64()),
    }
)


def build_store(
    corpus: Corpus,
    folder: Path | str,
    *,
    fs: float = InputSpec.fs,
    workers: int = 0,
    progress: bool = True,
    index: Index | None = None,
) -> Store:
    """The store of a corpus at `fs` Hz in `folder`, built if it is not there; a build that was killed goes on where it
    stopped.

    workers: processes (0: this one); index: the corpus's, where it is already at hand. A recording that cannot
    be used is skipped and listed in skipped.csv; DataError where none can be used, where the folder holds another
    store, or where the disk is full. Of two builds at once, the second waits.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder):
            if workers > 1 and not (folder / "store.json").exists():
                _context()  # its imports take seconds, in which this process lists the corpus
            own = index is None
            index = Index(corpus, folder / "index.arrow") if own else index
            identity = store_fingerprint(index.fingerprint, fs)
            store = _checked(Store.open(folder), identity, fs) if (folder / "store.json").exists() else None
            if store:
                reasons = (
                    pd.read_csv(folder / "skipped.csv", dtype=str, keep_default_na=False)["reason"]
                    if store.summary["skipped"]
                    else []
                )
                _check_skipped(corpus, folder, len(store), list(reasons))
            if store and (damaged := store.damaged()):
                log.warning(
                    "%s is missing or not as long as it was written; the recordings of %s are read once more",
                    damaged[0],
                    corpus.key,
                )
                (folder / "store.json").unlink()
            if not store or damaged:
                _claim(folder, identity)
                shards = _write_missing(corpus, index, folder, fs, workers, progress)
                _seal(corpus, folder, shards, index, fs)
                store = Store.open(folder)
            if own:
                index.path.unlink()
            if slow := store.summary["upsampled"]:
                log.warning(
                    "corpus %s: %d of %d recordings are sampled at less than %g Hz, the rate that the encoder takes; "
                    "upsampling adds nothing to them. "
                    "Read the corpus at a higher rate if it has one, or choose an encoder (encoder.fs) of a lower",
                    corpus.key,
                    slow,
                    len(store),
                    fs,
                )
            return store
    except OSError as error:
        raise DataError(
            f"store {folder}: {error.strerror or error}; free some space or mend the path, then build again: it goes "
            f"on where it stopped"
        ) from error


def write_shard(corpus: Corpus, index: Path, folder: Path, shard: int, fs: float) -> int:
    """Write one shard; its `.json` (its checksum, skipped recordings and their reasons) comes last and says it is
    finished.
    """
    first = shard * corpus.shard_records
    recordings = entries(index, first, first + corpus.shard_records)
    rows, skipped, offset, checksum = [], [], 0, hashlib.sha256()
    final = folder / shard_name(shard)
    partial = final.with_suffix(".part")
    with partial.open("wb") as file:
        for entry in recordings:
            try:
                row, stored = _prepare(corpus, entry, fs)
            except DataError as error:
                skipped.append(_skipped(corpus, entry, str(error)))
                continue
            except (OSError, MemoryError):  # the machine's fault, not the recording's
                raise
            except Exception as error:  # a fault of the reader: if it were skipped, a bug would cost records in silence
                raise RuntimeError(
                    f"record {corpus.key}/{entry.id} ({entry.path}) stopped the build: its reader raised "
                    f"{type(error).__name__}: {error}. "
                    f"A recording that cannot be used is to raise DataError; mend {type(corpus).__module__}, then "
                    f"build again"
                ) from error
            rows.append({**row, "shard": shard, "offset": offset})
            checksum.update(stored)
            file.write(stored)
            offset += stored.size
    partial.rename(final)
    pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), partial)
    partial.rename(final.with_suffix(".parquet"))
    seen = {"signatures": [row["signature"] for row in rows], "disordered": sum(row["disordered"] for row in rows)}
    partial.write_text(json.dumps({"sha256": checksum.hexdigest(), "skipped": skipped, **seen}))
    partial.rename(final.with_suffix(".json"))
    return len(recordings)


def _skipped(corpus: Corpus, entry: Entry | Rejected, reason: str) -> dict:
    return {"id": f"{corpus.key}/{entry.id}", "path": entry.path, "reason": reason}


def _prepare(corpus: Corpus, entry: Entry, fs: float) -> tuple[dict, np.ndarray]:
    """One record's row and its int16 `[present leads, T]`; the row has a signature of the samples and a count beside
    what the store keeps.
    """
    record = corpus.read(entry)
    signal, mask, interpolated = canonical(record, fs)
    recorded = corpus.recorded(entry)
    annotated = in_order(recorded)
    annotations = [(time, symbol) for time, symbol in annotated if 0 <= time * fs <= signal.shape[1]]
    rows, unknown = lead_rows(record.leads, record.assumed)
    named, _ = lead_rows(record.leads)
    steps = np.rint(signal[mask] / np.float32(STEP))
    row = {
        "id": f"{corpus.key}/{entry.id}",
        "corpus": corpus.key,
        "path": entry.path,
        "fs": record.fs,
        "patient": f"{corpus.key}/{entry.patient}",
        "split": entry.split,
        "time": entry.time,
        "seconds": signal.shape[1] / fs,
        "samples": signal.shape[1],
        "lead_mask": int(BITS[mask].sum()),
        "interpolated": interpolated,
        "clipped": int((np.abs(steps) > LIMIT).sum()),
        "outside": len(annotated) - len(annotations),
        "unknown_leads": unknown,
        "broken_leads": [CANONICAL_LEADS[lead] for lead in sorted(rows) if not mask[lead]],
        "assumed_leads": [CANONICAL_LEADS[lead] for lead in sorted(rows) if named.get(lead) != rows[lead]],
        "statements": list(entry.statements),
        "labels": list(entry.labels),
        "annotation_times": [time for time, _ in annotations],
        "annotation_symbols": [symbol for _, symbol in annotations],
        "measurements": list(corpus.measurements(entry, record).items()),
        "disordered": sum(later[0] < earlier[0] for earlier, later in pairwise(recorded)),
    }
    stored = np.clip(steps, -LIMIT, LIMIT).astype("<i2")
    return {**row, "signature": signature(row["lead_mask"], stored)}, stored


def _write_missing(corpus: Corpus, index: Index, folder: Path, fs: float, workers: int, progress: bool) -> int:
    """Write the shards that are not there yet; returns how many there are."""
    shards = -(-len(index) // corpus.shard_records)
    missing = [n for n in range(shards) if not (folder / shard_name(n)).with_suffix(".json").exists()]
    left = sum(min(corpus.shard_records, len(index) - n * corpus.shard_records) for n in missing)
    with progress_bar(progress) as bar:
        task = bar.add_task(f"store {corpus.key}", total=len(index), completed=len(index) - left)
        if workers < 2 or len(missing) < 2:
            for n in missing:
                bar.advance(task, write_shard(corpus, index.path, folder, n, fs))
            return shards
        with ProcessPoolExecutor(workers, mp_context=_context()) as pool:
            futures = [pool.submit(write_shard, corpus, index.path, folder, n, fs) for n in missing]
            try:
                for future in as_completed(futures):
                    bar.advance(task, future.result())
            except BrokenProcessPool as error:
                raise DataError(
                    f"store {folder}: a worker process died (out of memory?); build again, with fewer workers"
                ) from error
            finally:
                pool.shutdown(cancel_futures=True)
    return shards


def _context() -> BaseContext:
    """How workers start: from a server that has what they import and no thread of a process that may have a model
    running.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    forkserver.ensure_running()
    return context


def _seal(corpus: Corpus, folder: Path, shards: int, index: Index, fs: float) -> None:
    """Join the shards' tables, write the summary, and only then tidy up."""
    pieces = [(folder / shard_name(n)).with_suffix(".parquet") for n in range(shards)]
    finished = [json.loads(piece.with_suffix(".json").read_text()) for piece in pieces]
    alike = Alike(shard.pop("signatures", []) for shard in finished)
    disordered = sum(shard.get("disordered", 0) for shard in finished)
    skipped = [row for shard in finished for row in shard["skipped"]]
    skipped += [_skipped(corpus, entry, "listed twice: an earlier recording has its id") for entry in index.duplicates]
    skipped += [_skipped(corpus, row, row.reason) for row in index.rejected]
    pd.DataFrame(skipped, columns=["id", "path", "reason"]).to_csv(folder / "skipped.csv", index=False)
    counts, listed = Counter(), {name: Counter() for name in ("unknown_leads", "broken_leads", "assumed_leads")}
    partial = folder / "records.part"
    with pq.ParquetWriter(partial, SCHEMA) as writer:
        for piece in pieces:
            table = pq.read_table(piece)
            writer.write_table(table)
            alike.add(table)
            counts["records"] += table.num_rows
            for name in ("seconds", "interpolated", "clipped", "outside"):
                counts[name] += sum(table[name].to_pylist())
            counts["upsampled"] += sum(rate < fs for rate in table["fs"].to_pylist())
            for column, counted in listed.items():
                counted.update(name for names in table[column].to_pylist() for name in names)
    if not counts["records"]:
        reasons = "; ".join(sorted({row["reason"] for row in skipped})[:3])
        for piece in pieces:
            piece.with_suffix(".json").unlink()
        raise DataError(
            f"corpus {corpus.key}: not one of {len(skipped)} recordings in {corpus.root} can be used: {reasons}"
        )
    try:
        _check_skipped(corpus, folder, counts["records"], [row["reason"] for row in skipped])
    except DataError:
        partial.unlink()  # the shards stay: a build with a higher max_skipped reads none of them again
        raise
    partial.rename(folder / "records.parquet")
    summary = {
        "format": FORMAT,
        "fingerprint": store_fingerprint(index.fingerprint, fs),
        "corpus": corpus.key,
        "fs": float(fs),
        "reader": corpus.name,
        **counts,
        "skipped": len(skipped),
        **{column: dict(sorted(counted.items())) for column, counted in listed.items()},
        "info": corpus.has(),
        "shards": [shard["sha256"] for shard in finished],
        **({"disordered": disordered} if disordered else {}),
        **alike.told(folder, corpus.key),
    }
    partial.write_text(json.dumps(summary, indent=1))
    partial.rename(folder / "store.json")
    for piece in pieces:
        piece.unlink()
        piece.with_suffix(".json").unlink()
    log.info(
        "store %s: %d records, %d skipped, unknown leads %s",
        corpus.key,
        counts["records"],
        len(skipped),
        dict(listed["unknown_leads"]) or "none",
    )


def _check_skipped(corpus: Corpus, folder: Path, kept: int, reasons: Sequence[str]) -> None:
    """DataError where more recordings are unusable than `max_skipped` allows; a few of a small corpus never are too
    many.
    """
    share = len(reasons) / max(kept + len(reasons), 1)
    if len(reasons) < FEW or share <= corpus.cfg.max_skipped:
        return
    common = "; ".join(
        f"{count} times: {reason}"
        for reason, count in Counter(PATHS.sub("...", reason) for reason in reasons).most_common(3)
    )
    raise DataError(
        f"corpus {corpus.key}: {len(reasons):,} of {kept + len(reasons):,} recordings in {corpus.root} cannot be used "
        f"({share:.0%}, more than max_skipped allows); "
        f"all are listed in {folder / 'skipped.csv'}. {common}. Mend the corpus, or accept it with "
        f"corpora.{corpus.key}.max_skipped={min(1.0, share + 0.01):.2f}"
    )


def _claim(folder: Path, identity: str) -> None:
    """Say whose shards these are, so that a resumed build never mixes two corpora."""
    claim = folder / "building.json"
    if claim.exists() and claim.read_text() != identity:
        raise DataError(f"{folder} holds the beginnings of another store; delete it or choose another folder")
    claim.write_text(identity)


def _checked(store: Store, identity: str, fs: float) -> Store:
    if store.fs != fs:
        raise DataError(
            f"{store.folder} holds a store at {store.fs:g} Hz, not {fs:g} Hz; delete it or choose another folder"
        )
    if store.fingerprint != identity:
        raise DataError(
            f"{store.folder} holds a store of other recordings ({store.fingerprint}, not {identity}); delete it or "
            f"choose another folder"
        )
    return store


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a folder alone; the lock falls with the process that holds it, however it ends."""
    with (folder / LOCK).open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            log.warning("%s is being built by process %s; waiting for it", folder, file.read().strip() or "?")
            fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # closing is not enough where a forked worker has the file open, too
