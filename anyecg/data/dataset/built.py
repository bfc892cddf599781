"""A built dataset as one folder: stores, questions, a Parquet manifest, and a card that says how it was made."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from anyecg.data.store.duplicates import LISTED
from anyecg.data.dataset.data import Data
from anyecg.config.schema import Slot
from anyecg.tasks.build import check_patients, identity, open_corpus, resolve_ecg_qa
from anyecg.data.dataset.card import card
from anyecg.data.corpora.base import Corpus
from anyecg.data.dataset.provenance import origin, simulation
from anyecg.tasks.questions import VERSION, Questions, QuestionsConfig, build_questions, settings, write_counted
from anyecg.tasks.config import check
from anyecg.data.dataset.manifest import EDITED, FACTS, complaint, facts, seal, sha256, strayed, write
from anyecg.data.store.shards import build_store, locked
from anyecg.data.store.store import Store, Stores, digest, rate_mismatch
from anyecg.data.store.resource_usage import Watch
from anyecg.types import ConfigError, DataError, ECGSample, InputSpec

__all__ = ["build_dataset", "facts", "open_dataset", "write_dataset"]

log = logging.getLogger(__name__)

CARD, MANIFEST, QUESTIONS, COUNTS, ORIGIN = "README.md", "questions.parquet", "questions.arrow", "questions.json", "origin.json"
LOG = "build.log"


def build_dataset(corpora: Mapping[str, Slot], questions: QuestionsConfig, folder: Path | str, *, seed: int = 0,
                  fs: float = InputSpec.fs, workers: int = 0, progress: bool = True) -> Data:
    """Corpora in; a dataset at `folder` out, its signals at `fs` Hz. The same arguments give the same bytes, whatever the number of workers.

    A build that was killed goes on where it stopped; of two builds at once, the second waits and finds all done; what
    was edited by hand of questions and card is made again. DataError where the folder holds a dataset of other corpora
    or settings, or a store that was edited.
    """
    folder = Path(folder)
    check(questions)
    if not corpora:
        raise ConfigError("corpora: there is none to build a dataset of")
    with _alone(folder):
        known = facts(folder) if (folder / FACTS).exists() else None
        if known:
            _refuse(folder, known, corpora, questions, seed, fs)
        for left in [*folder.glob("corpora/.*.part-*"), *folder.glob("ecg_qa/.*.part-*")]:  # of builds that were killed
            shutil.rmtree(left)
        opened = {key: open_corpus(key, slot, folder, workers, progress) for key, slot in corpora.items()}
        with Watch(folder) as watch:
            stores = Stores([_stored(corpus, folder, workers, progress, fs) for corpus in opened.values()])
            check_patients(opened, stores)
            released = {name: origin("ecgqa", {} if root == "simulated" else None) for name, root in questions.ecg_qa.items()}
            questions = resolve_ecg_qa(questions, opened, stores, folder, seed, progress)
            made = identity(stores, questions, seed)
            missing = _missing(folder, known, made) if known else [QUESTIONS]
            if {QUESTIONS, COUNTS} & {*missing}:
                build_questions(stores, questions, folder / QUESTIONS, seed=seed)
            if missing:
                _finish(folder, stores, made, released)
                watch.keep(sum(map(len, stores)), workers)
        return Data(stores, Questions(folder / QUESTIONS), made)


def write_dataset(folder: Path | str, stores: Stores, samples: Iterable[tuple[str, ECGSample]], info: Mapping,
                  left_out: Mapping[str, int] | None = None) -> Data:
    """A dataset at `folder` of (split, question) pairs made elsewhere; the stores are linked, not copied.

    left_out: why -> how many were not to be had, for the card; read when the samples are at their end. DataError where
    the folder holds a dataset, or one that is being built, or where there is no question.
    """
    folder = Path(folder)
    with _alone(folder):
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
        if not len(write_counted(folder / QUESTIONS, _then(samples, dropped, left_out), info, dropped)):
            (folder / QUESTIONS).unlink()
            raise DataError(f"no question is left to write to {folder}")
        made = digest([stores.fingerprint, sha256(folder / QUESTIONS)])
        _finish(folder, stores, made, {})
        return Data(stores, Questions(folder / QUESTIONS), made)


def _then(samples: Iterable[tuple[str, ECGSample]], dropped: Counter, left_out: Mapping[str, int] | None) -> Iterator[tuple[str, ECGSample]]:
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
    """Make a dataset's folder; DataError where that cannot be, or where it holds files and no dataset, nor the beginnings of one."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = {path.name for path in folder.iterdir()}
    except OSError as error:
        raise DataError(f"{folder} cannot be made a dataset's folder ({error.strerror}); choose another") from error
    others = sorted(name for name in there - {LOG} if not name.startswith("."))
    if others and not there & {FACTS, "stores", ".lock"}:
        raise DataError(f"{folder} holds files of yours and no dataset ({', '.join(others[:3])}{', ...' if len(others) > 3 else ''}), which might be "
                        "written over; choose another folder, such as a new one in it")


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold a dataset's folder, made where it is not there yet."""
    ready(folder)
    with locked(folder):
        yield


def _refuse(folder: Path, known: Mapping, corpora: Mapping[str, Slot], questions: QuestionsConfig, seed: int, fs: float) -> None:
    """DataError where a finished dataset is another one, as far as can be told before a recording is read, or has an edited store."""
    if "config" not in known["made_with"]:
        raise DataError(f"{folder} holds a dataset that was not built from corpora; choose another folder")
    wanted, sources = {key: slot.config for key, slot in corpora.items()}, known["sources"]
    if wanted.keys() != sources.keys():
        raise DataError(f"{folder} holds a dataset of other corpora ({', '.join(sources)}, not {', '.join(wanted)}); choose another folder")
    rates = {source["fs"] for source in sources.values()}
    if rates != {fs}:
        raise DataError(f"{folder} holds a dataset at {min(rates):g} Hz, not {fs:g} Hz; choose another folder")
    for name, cfg in wanted.items():
        had, asked = sources[name]["origin"]["simulated"], {"patients": cfg.patients, "seed": cfg.seed, "seconds": cfg.seconds}
        if cfg.root is None and had != asked:
            raise DataError(f"{folder} holds a dataset of another corpus {name} (simulated with {had}, not {asked}); choose another folder")
    asked = _settings(settings(replace(questions, ecg_qa={})), VERSION, seed)
    had = _settings(**{name: known["made_with"][name] for name in ("config", "version", "seed")})
    others = sorted(name for name in asked.keys() | had.keys() if asked.get(name) != had.get(name))
    if others:
        raise _others(folder, ", ".join(others))
    for name in strayed(folder, known, "stores/"):
        if (folder / name).parent.exists():  # one that was deleted is built again
            raise complaint(folder, known, name)


def _settings(config: Mapping, version: int, seed: int) -> dict:
    """What a dataset's questions are made with, by key, as plain JSON data; where ECG-QA lies is no setting."""
    return {**{f"questions.{name}": value for name, value in json.loads(json.dumps(config)).items() if name != "ecg_qa"},
            "version of the rules": version, "seed": seed}


def _others(folder: Path, which: str) -> DataError:
    return DataError(f"{folder} holds a dataset made with another {which}; choose another folder, or delete {folder / FACTS} to make its "
                     "questions anew (the stores stay)")


def _missing(folder: Path, known: Mapping, made: str) -> list[str]:
    """The files of a dataset's questions that must be made again; DataError where they are others than those wanted."""
    if known["fingerprint"] != made:
        raise _others(folder, "questions.ecg_qa or vocabulary of findings")
    missing = strayed(folder, known)
    if not (folder / CARD).exists() or (folder / CARD).read_text() != card(known):
        missing.append(CARD)
    for name in missing:
        log.warning("%s %s; it is made again", folder / name, EDITED)
    return missing


def _stored(corpus: Corpus, folder: Path, workers: int, progress: bool, fs: float) -> Store:
    """A corpus's store, and beside it where the recordings come from."""
    store = build_store(corpus, folder / "stores" / corpus.key, fs=fs, workers=workers, progress=progress)
    for left in (*store.folder.glob("shard-*.parquet"), *store.folder.glob("shard-*.json")):  # of a build that was killed while it tidied up
        left.unlink()
    write(store.folder / ORIGIN, json.dumps(origin(type(corpus).name, simulation(corpus.root)), indent=1) + "\n")
    return store


def _finish(folder: Path, stores: Stores, made: str, released: Mapping) -> None:
    """Write manifest and card of the questions, and dataset.json last. released: corpus -> the origin of its ECG-QA."""
    questions, partial = Questions(folder / QUESTIONS), folder / f".{MANIFEST}.part"
    with pq.ParquetWriter(partial, questions.schema) as writer:
        for batch in questions.batches():
            writer.write_table(pa.Table.from_batches([batch]))
    partial.rename(folder / MANIFEST)
    places = [f"stores/{store.summary['corpus']}" for store in stores]
    files = [QUESTIONS, COUNTS, MANIFEST, *(f"{place}/{name}" for place in places for name in ("records.parquet", "store.json")),
             *(f"{place}/{name}" for place in places for name in ("skipped.csv", LISTED, ORIGIN) if (folder / place / name).exists())]
    known = {
        "anyecg": version("anyecg"), "fingerprint": made, "made_with": questions.info, **json.loads((folder / COUNTS).read_text()),
        "sources": {store.summary["corpus"]: _source(store) for store in stores}, "ecg_qa": dict(released),
        "checksums": {name: sha256(folder / name) for name in files},
    }
    write(folder / CARD, card(known))
    seal(folder, known)


def _source(store: Store) -> dict:
    """What the card says of a store: its counts, and where its recordings come from (None where nobody wrote it down)."""
    path = store.folder / ORIGIN
    counted = {name: value for name, value in store.summary.items() if name not in ("format", "info", "corpus", "reader", "shards")}
    return {**counted, "origin": json.loads(path.read_text()) if path.exists() else None}
