"""A built dataset as one folder: stores, questions, a Parquet manifest, and a card that says how it was made."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from anyecg.data.build import Data, identity, open_corpus, resolve_ecg_qa
from anyecg.data.card import card
from anyecg.data.corpora.base import Corpus
from anyecg.data.questions import Questions, QuestionsConfig, build_questions, write_counted
from anyecg.data.questions.config import check
from anyecg.data.shards import build_store, locked
from anyecg.data.store import Store, Stores
from anyecg.types import DataError, ECGSample

log = logging.getLogger(__name__)

FACTS, CARD, MANIFEST, QUESTIONS = "dataset.json", "README.md", "questions.parquet", "questions.arrow"


def build_dataset(corpora: Mapping[str, Corpus.Config], questions: QuestionsConfig, folder: Path | str, *, seed: int = 0,
                  workers: int = 0, progress: bool = True) -> Data:
    """Corpora in; a dataset at `folder` out. The same arguments give the same bytes, whatever the number of workers.

    A build that was killed goes on where it stopped; of two builds at once, the second waits and finds all done.
    DataError where the folder holds a dataset of other corpora or settings.
    """
    folder = Path(folder)
    check(questions)
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        opened = {name: open_corpus(name, cfg, folder, workers, progress) for name, cfg in corpora.items()}
        stores = Stores([build_store(corpus, folder / "stores" / name, workers=workers, progress=progress) for name, corpus in opened.items()])
        questions = resolve_ecg_qa(questions, opened, stores, folder, seed, progress)
        made = identity(stores, questions, seed)
        if (folder / FACTS).exists():
            if facts(folder)["fingerprint"] != made:
                raise DataError(f"{folder} holds a dataset of other corpora or settings; choose another folder, or delete {folder / FACTS} to make it anew")
            try:
                return open_dataset(folder)
            except DataError as error:
                log.warning("%s; its questions are made again", error)
        build_questions(stores, questions, folder / QUESTIONS, seed=seed)
        return _sealed(folder, stores, made)


def write_dataset(folder: Path | str, stores: Stores, samples: Iterable[tuple[str, ECGSample]], info: Mapping,
                  left_out: Mapping[str, int] | None = None) -> Data:
    """A dataset at `folder` of (split, question) pairs made elsewhere; the stores are linked, not copied.

    left_out: why -> how many were not to be had, for the card; read when the samples are at their end. DataError where the folder holds a dataset, or where there is no question.
    """
    folder = Path(folder)
    (folder / "stores").mkdir(parents=True, exist_ok=True)
    with locked(folder):
        if (folder / FACTS).exists():
            raise DataError(f"{folder} holds a dataset already; choose another folder")
        for store in stores:
            link = folder / "stores" / store.summary["corpus"]
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(store.folder.resolve(), link.parent.resolve()), target_is_directory=True)
        dropped: Counter = Counter()
        if not len(write_counted(folder / QUESTIONS, _then(samples, dropped, left_out), info, dropped)):
            (folder / QUESTIONS).unlink()
            raise DataError(f"no question is left to write to {folder}")
        return _sealed(folder, stores, _sha256(folder / QUESTIONS)[:16])


def _then(samples: Iterable[tuple[str, ECGSample]], dropped: Counter, left_out: Mapping[str, int] | None) -> Iterator[tuple[str, ECGSample]]:
    """The samples, and after the last of them what was left out."""
    yield from samples
    dropped.update({("imported", why): count for why, count in (left_out or {}).items()})


def open_dataset(folder: Path | str) -> Data:
    """A finished dataset; DataError where it is missing or unfinished, or its questions are not those that were written."""
    folder = Path(folder)
    known = facts(folder)
    for name, checksum in known["checksums"].items():
        path = folder / name
        if not path.exists() or _sha256(path) != checksum:
            raise DataError(
                f"{path} is missing or not what was written (edited by hand, or damaged); give the command that made it again to restore it. "
                "To ask other questions, export, edit the JSON and import it"
            )
    stores = Stores([Store.open(folder / "stores" / name) for name in known["sources"]])
    return Data(stores, Questions(folder / QUESTIONS), known["fingerprint"])


def facts(folder: Path | str) -> dict:
    """What a dataset's card says, as data."""
    path = Path(folder) / FACTS
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise DataError(f"{folder} is no finished dataset (it has no {FACTS}); make it with: python -m anyecg.data build --to {folder}") from error
    except ValueError as error:
        raise DataError(f"{path} is damaged ({error}); delete it and build again") from error


def _sealed(folder: Path, stores: Stores, made: str) -> Data:
    """Write the manifest and the card, `dataset.json` last."""
    questions = Questions(folder / QUESTIONS)
    partial = folder / f".{MANIFEST}.part"
    with pq.ParquetWriter(partial, questions.schema) as writer:
        for batch in questions.batches():
            writer.write_table(pa.Table.from_batches([batch]))
    partial.rename(folder / MANIFEST)
    counts = json.loads((folder / QUESTIONS).with_suffix(".json").read_text())
    checked = [QUESTIONS, MANIFEST, *(f"stores/{store.summary['corpus']}/records.parquet" for store in stores)]
    known = {
        "fingerprint": made, **counts, "made_with": questions.info,
        "sources": {store.summary["corpus"]: _source(store) for store in stores},
        "checksums": {name: _sha256(folder / name) for name in checked},
    }
    (folder / CARD).write_text(card(known))
    partial = folder / f".{FACTS}.part"
    partial.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    partial.rename(folder / FACTS)
    return Data(stores, questions, made)


def _source(store: Store) -> dict:
    return {name: store.summary[name] for name in store.summary if name not in ("info", "corpus")}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
