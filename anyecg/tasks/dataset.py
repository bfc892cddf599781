"""Corpora in, a built dataset as one folder out: the way of `python -m anyecg.data build`."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

from anyecg.config.schema import Slot, to_dict
from anyecg.data.corpora.base import Corpus
from anyecg.data.dataset.built import CARD, COUNTS, ORIGIN, QUESTIONS, alone, finish
from anyecg.data.dataset.card import card
from anyecg.data.dataset.data import Data
from anyecg.data.dataset.manifest import EDITED, FACTS, complaint, facts, strayed, write
from anyecg.data.dataset.provenance import origin, simulation
from anyecg.data.dataset.questions_file import Questions
from anyecg.data.store.resource_usage import Watch
from anyecg.data.store.shards import build_store
from anyecg.data.store.store import Store, Stores
from anyecg.tasks.base import Sources
from anyecg.tasks.build import check_patients, open_corpus
from anyecg.tasks.questions import build_questions, built_tasks, identity
from anyecg.types import ConfigError, DataError, InputSpec

log = logging.getLogger(__name__)


def build_dataset(
    corpora: Mapping[str, Slot],
    tasks: Mapping[str, Slot],
    folder: Path | str,
    *,
    seed: int = 0,
    fs: float = InputSpec.fs,
    workers: int = 0,
    progress: bool = True,
) -> Data:
    """Corpora in; a dataset at `folder` out, its signals at `fs` Hz. The same arguments give the same bytes, whatever
    the number of workers.

    A build that was killed goes on where it stopped; of two builds at once, the second waits and finds all done; what
    was edited by hand of questions and card is made again. DataError where the folder holds a dataset of other corpora
    or settings, or a store that was edited.
    """
    folder = Path(folder)
    if not corpora:
        raise ConfigError("corpora: there is none to build a dataset of")
    made = built_tasks(tasks, corpora)
    with alone(folder):
        known = facts(folder) if (folder / FACTS).exists() else None
        if known:
            _refuse(folder, known, corpora, tasks, seed, fs)
        for left in [*folder.glob("corpora/.*.part-*"), *folder.glob("ecg_qa/.*.part-*")]:  # of builds that were killed
            shutil.rmtree(left)
        opened = {key: open_corpus(key, slot, folder, workers, progress) for key, slot in corpora.items()}
        with Watch(folder) as watch:
            stores = Stores([_stored(corpus, folder, workers, progress, fs) for corpus in opened.values()])
            check_patients(opened, stores)
            sources = Sources(stores, opened, folder, seed, progress=progress)
            for task in made.values():
                task.prepare(sources)
            settings, fingerprint = identity(tasks, made, sources)
            missing = _missing(folder, known, fingerprint) if known else [QUESTIONS]
            if {QUESTIONS, COUNTS} & {*missing}:
                build_questions(made, settings, sources, folder / QUESTIONS)
            if missing:
                finish(
                    folder,
                    stores,
                    fingerprint,
                    {name: origin(*of) for task in made.values() for name, of in task.origins().items()},
                )
                watch.keep(sum(map(len, stores)), workers)
        return Data(stores, Questions(folder / QUESTIONS), fingerprint)


def _refuse(
    folder: Path, known: Mapping, corpora: Mapping[str, Slot], tasks: Mapping[str, Slot], seed: int, fs: float
) -> None:
    """DataError where a finished dataset is another one, as far as can be told before a recording is read, or has an
    edited store.
    """
    if "config" in known["made_with"]:
        raise DataError(
            f"{folder} holds a dataset that an earlier version built; it can be read, not built again: choose another "
            f"folder"
        )
    if "tasks" not in known["made_with"] or "imported" in known["made_with"]:
        raise DataError(f"{folder} holds a dataset that was not built from corpora; choose another folder")
    wanted, sources = {key: slot.config for key, slot in corpora.items()}, known["sources"]
    if wanted.keys() != sources.keys():
        raise DataError(
            f"{folder} holds a dataset of other corpora ({', '.join(sources)}, not {', '.join(wanted)}); choose "
            f"another folder"
        )
    rates = {source["fs"] for source in sources.values()}
    if rates != {fs}:
        raise DataError(f"{folder} holds a dataset at {min(rates):g} Hz, not {fs:g} Hz; choose another folder")
    for name, cfg in wanted.items():
        had, asked = (
            sources[name]["origin"]["simulated"],
            {"patients": cfg.patients, "seed": cfg.seed, "seconds": cfg.seconds},
        )
        if cfg.root is None and had != asked:
            raise DataError(
                f"{folder} holds a dataset of another corpus {name} (simulated with {had}, not {asked}); choose "
                f"another folder"
            )
    asked = _settings({key: {"name": slot.name, **to_dict(slot.config)} for key, slot in tasks.items()}, seed)
    had = _settings(known["made_with"]["tasks"], known["made_with"]["seed"])
    for name in (
        f"tasks.{key}.{name}" for key, slot in tasks.items() for name in slot.component.by_content
    ):  # the fingerprint says
        asked.pop(name, None), had.pop(name, None)
    others = sorted(name for name in asked.keys() | had.keys() if asked.get(name) != had.get(name))
    if others:
        raise _others(folder, ", ".join(others))
    for name in strayed(folder, known, "stores/"):
        if (folder / name).parent.exists():  # one that was deleted is built again
            raise complaint(folder, known, name)


def _settings(tasks: Mapping[str, Mapping], seed: int) -> dict:
    """What a dataset's questions are made with, by key, as plain JSON data."""
    plain = {
        f"tasks.{key}.{name}": value
        for key, one in json.loads(json.dumps(tasks)).items()
        for name, value in one.items()
        if name != "version"
    }
    return plain | {"tasks_seed": seed}


def _others(folder: Path, which: str) -> DataError:
    return DataError(
        f"{folder} holds a dataset made with another {which}; choose another folder, or delete {folder / FACTS} to "
        f"make its "
        "questions anew (the stores stay)"
    )


def _missing(folder: Path, known: Mapping, made: str) -> list[str]:
    """The files of a dataset's questions that must be made again; DataError where they are others than those wanted."""
    if known["fingerprint"] != made:
        raise _others(folder, "content of its tasks' files, version of their rules or vocabulary of findings")
    missing = strayed(folder, known)
    if not (folder / CARD).exists() or (folder / CARD).read_text() != card(known):
        missing.append(CARD)
    for name in missing:
        log.warning("%s %s; it is made again", folder / name, EDITED)
    return missing


def _stored(corpus: Corpus, folder: Path, workers: int, progress: bool, fs: float) -> Store:
    """A corpus's store, and beside it where the recordings come from."""
    store = build_store(corpus, folder / "stores" / corpus.key, fs=fs, workers=workers, progress=progress)
    for left in (
        *store.folder.glob("shard-*.parquet"),
        *store.folder.glob("shard-*.json"),
    ):  # of a build that was killed while it tidied up
        left.unlink()
    write(store.folder / ORIGIN, json.dumps(origin(type(corpus).name, simulation(corpus.root)), indent=1) + "\n")
    return store
