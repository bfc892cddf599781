"""A built dataset as one folder: stores, questions, a Parquet manifest, and a card that says how it was made."""

from __future__ import annotations

import contextlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from anyecg.data.dataset.card import card
from anyecg.data.dataset.data import Data
from anyecg.data.dataset.manifest import FACTS, complaint, facts, seal, sha256, strayed, write
from anyecg.data.dataset.questions_file import Questions, write_counted
from anyecg.data.store.duplicates import LISTED
from anyecg.data.store.shards import locked
from anyecg.data.store.store import Store, Stores, digest, rate_mismatch
from anyecg.types import DataError, ECGSample

__all__ = ["facts", "open_dataset", "write_dataset"]

CARD, MANIFEST, QUESTIONS, COUNTS, ORIGIN = (
    "README.md",
    "questions.parquet",
    "questions.arrow",
    "questions.json",
    "origin.json",
)
LOG = "build.log"


def write_dataset(
    folder: Path | str,
    stores: Stores,
    samples: Iterable[tuple[str, ECGSample]],
    info: Mapping,
    left_out: Mapping[str, int] | None = None,
    kind: Callable[[ECGSample], str] = lambda sample: "",
) -> Data:
    """A dataset at `folder` of (split, question) pairs made elsewhere; the stores are linked, not copied.

    left_out: why -> how many were not to be had, for the card; read when the samples are at their end; kind: what its
    counts tell apart, `Task.answer_kind`. DataError where the folder holds a dataset, or one that is being built, or
    where there is no question.
    """
    folder = Path(folder)
    with alone(folder):
        if (folder / FACTS).exists():
            raise DataError(f"{folder} holds a dataset already; choose another folder")
        (folder / "stores").mkdir(exist_ok=True)
        for store in stores:
            link = folder / "stores" / store.summary["corpus"]
            if link.is_dir() and not link.is_symlink():
                raise DataError(f"{folder} holds the beginnings of a dataset; choose another folder")
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(store.folder.resolve(), link.parent.resolve()), target_is_directory=True)
        dropped: Counter = Counter()
        if not len(write_counted(folder / QUESTIONS, _then(samples, dropped, left_out), info, dropped, kind)):
            (folder / QUESTIONS).unlink()
            raise DataError(f"no question is left to write to {folder}")
        made = digest([stores.fingerprint, sha256(folder / QUESTIONS)])
        finish(folder, stores, made)
        return Data(stores, Questions(folder / QUESTIONS), made)


def _then(
    samples: Iterable[tuple[str, ECGSample]], dropped: Counter, left_out: Mapping[str, int] | None
) -> Iterator[tuple[str, ECGSample]]:
    """The samples, and after the last of them what was left out."""
    yield from samples
    dropped.update({("imported", why): count for why, count in (left_out or {}).items()})


def open_dataset(folder: Path | str, fs: float | None = None) -> Data:
    """A finished dataset; ConfigError where its signals have another rate than `fs` (None: any will do).

    DataError where it is missing or unfinished, or a file of it is not what was written.

    The signals alone are not looked at (`python -m anyecg.data check` reads them all).
    """
    folder = Path(folder)
    known = facts(folder)
    for name in strayed(folder, known):
        raise complaint(folder, known, name)
    stores = Stores([Store.open(folder / "stores" / name) for name in known["sources"]])
    if fs is not None and stores.fs != fs:
        raise rate_mismatch(fs, stores.fs, f"dataset {folder}")
    return Data(stores, Questions(folder / QUESTIONS), known["fingerprint"])


def ready(folder: Path) -> None:
    """Make a dataset's folder; DataError where that cannot be, or where it holds files and no dataset, nor the
    beginnings of one.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise DataError(f"{folder} cannot be made a dataset's folder ({error.strerror}); choose another") from error
    others = sorted(name for name in there - {LOG} if not name.startswith("."))
    if others and not there & {FACTS, "stores", ".lock"}:
        raise DataError(
            f"{folder} holds files of yours and no dataset "
            f"({', '.join(others[:3])}{', ...' if len(others) > 3 else ''}), which might be "
            "written over; choose another folder, such as a new one in it"
        )


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Hold a dataset's folder, made where it is not there yet."""
    ready(folder)
    with locked(folder):
        yield


def finish(folder: Path, stores: Stores, made: str, origins: Mapping[str, Mapping] | None = None) -> None:
    """Write manifest and card of the questions, and dataset.json last. origins: of what else than recordings the
    questions are made from.
    """
    questions, partial = Questions(folder / QUESTIONS), folder / f".{MANIFEST}.part"
    with pq.ParquetWriter(partial, questions.schema) as writer:
        for batch in questions.batches():
            writer.write_table(pa.Table.from_batches([batch]))
    partial.rename(folder / MANIFEST)
    places = [f"stores/{store.summary['corpus']}" for store in stores]
    files = [
        QUESTIONS,
        COUNTS,
        MANIFEST,
        *(f"{place}/{name}" for place in places for name in ("records.parquet", "store.json")),
        *(
            f"{place}/{name}"
            for place in places
            for name in ("skipped.csv", LISTED, ORIGIN)
            if (folder / place / name).exists()
        ),
    ]
    known = {
        "anyecg": version("anyecg"),
        "fingerprint": made,
        "made_with": questions.info,
        **json.loads((folder / COUNTS).read_text()),
        "sources": {store.summary["corpus"]: _source(store) for store in stores},
        "origins": dict(origins or {}),
        "checksums": {name: sha256(folder / name) for name in files},
    }
    write(folder / CARD, card(known))
    seal(folder, known)


def _source(store: Store) -> dict:
    """What the card says of a store: its counts, and where its recordings come from (None where nobody wrote it
    down).
    """
    path = store.folder / ORIGIN
    counted = {
        name: value
        for name, value in store.summary.items()
        if name not in ("format", "info", "corpus", "reader", "shards")
    }
    return {**counted, "origin": json.loads(path.read_text()) if path.exists() else None}
