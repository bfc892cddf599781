"""From corpora to questions over stored recordings: simulated where there is no root, built once, found again after."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

from anyecg.config.schema import Slot
from anyecg.data.corpora.base import Corpus
from anyecg.data.dataset.data import Data
from anyecg.data.dataset.questions_file import Questions
from anyecg.data.store.index import Index
from anyecg.data.store.shards import build_store, locked
from anyecg.data.store.store import Store, Stores, digest
from anyecg.registry import registry
from anyecg.tasks.base import Sources
from anyecg.tasks.questions import build_questions, built_tasks, identity
from anyecg.types import ConfigError, DataError, InputSpec

log = logging.getLogger(__name__)


def build_data(
    corpora: Mapping[str, Slot],
    tasks: Mapping[str, Slot],
    cache: Path | str,
    seed: int = 0,
    workers: int = 0,
    progress: bool = True,
    fs: float = InputSpec.fs,
) -> Data:
    """The data of an experiment, built under `cache` where it is not there yet.

    corpora: key -> reader and settings (without a root the corpus is simulated); tasks: key -> what is asked of them;
    seed: of the questions; workers: processes that simulate and store; fs: Hz of the stores, as the encoder takes it.
    What was built is found again by its content; a build that was killed goes on.
    """
    cache = Path(cache)
    made = built_tasks(tasks, corpora)
    opened = {key: open_corpus(key, slot, cache, workers, progress) for key, slot in corpora.items()}
    stores = Stores([_store(corpus, cache, workers, progress, fs) for corpus in opened.values()])
    check_patients(opened, stores)
    sources = Sources(stores, opened, cache, seed, progress=progress)
    for task in made.values():
        task.prepare(sources)
    settings, fingerprint = identity(tasks, made, sources)
    path = questions_path(fingerprint, cache)
    with locked(cache):
        questions = Questions(path) if path.exists() else build_questions(made, settings, sources, path)
    log.info("questions: %d in %s", len(questions), path)
    return Data(stores, questions, fingerprint)


def find_data(
    corpora: Mapping[str, Slot], tasks: Mapping[str, Slot], cache: Path | str, seed: int = 0, fs: float = InputSpec.fs
) -> Data | None:
    """What `build_data` would give if all of it is in the cache, else None; nothing is simulated, stored or written
    there.
    """
    cache = Path(cache)
    made = built_tasks(tasks, corpora)
    if not all(
        slot.config.root is not None or simulated_root(key, slot, cache).exists() for key, slot in corpora.items()
    ):
        return None
    opened = {key: open_corpus(key, slot, cache) for key, slot in corpora.items()}
    folders = [store_folder(corpus, _fingerprint(corpus, cache), cache, fs) for corpus in opened.values()]
    if not all((folder / "store.json").exists() for folder in folders):
        return None
    sources = Sources(Stores([Store.open(folder) for folder in folders]), opened, cache, seed)
    if not all(task.ready(sources) for task in made.values()):
        return None
    _, fingerprint = identity(tasks, made, sources)
    path = questions_path(fingerprint, cache)
    return Data(sources.stores, Questions(path), fingerprint) if path.exists() else None


def _fingerprint(corpus: Corpus, cache: Path) -> str:
    with TemporaryDirectory() as folder:
        return Index(corpus, Path(folder) / "index.arrow", contents_path(corpus, cache), keep=False).fingerprint


def contents_path(corpus: Corpus, cache: Path) -> Path:
    """Where under `cache` lies what was seen of a corpus's files, or will."""
    return Path(cache) / "stores" / f".contents-{corpus.key}-{digest([str(corpus.root.resolve())])}.i8"


def open_corpus(key: str, slot: Slot, cache: Path, workers: int = 0, progress: bool = True) -> Corpus:
    """A corpus at its root, or simulated under `cache` where its Config gives none."""
    if slot.config.root is not None:
        return slot.build(Path(slot.config.root).expanduser(), key)
    root = simulated_root(key, slot, cache)
    simulator(key, slot)().simulate(root, **_made(slot.config), workers=max(workers, 1), progress=progress)
    return slot.build(root, key)


def check_patients(opened: Mapping[str, Corpus], stores: Stores) -> None:
    """DataError where corpora that one reader reads from one folder put a patient into two splits.

    Other corpora are taken to have no patient in common.
    """
    homes: dict[tuple[str, str], dict[str, tuple[str, str]]] = {}
    for key, corpus in opened.items():
        home = homes.setdefault((type(corpus).name, str(corpus.root.resolve())), {})
        for patient, split in stores[key].rows(["patient", "split"]):
            other, where = home.setdefault(patient.removeprefix(f"{key}/"), (key, split))
            if where != split:
                raise DataError(
                    f"corpora.{key}: patient {patient} is in its {split} split, and in the {where} split of "
                    f"corpora.{other}, which reads the same "
                    f"folder {corpus.root}; give both the same seed, limit and split, or leave one out"
                )


def simulator(key: str, slot: Slot) -> type:
    """The simulator of a corpus's layout; ConfigError where it has none."""
    layout = slot.component.layout
    if layout is None:
        raise ConfigError(
            f"corpora.{key}.root: is missing, and {slot.name} cannot be simulated (it has no `layout`); set it to the "
            f"folder of the corpus"
        )
    return registry("simulator")[layout]


def _made(cfg: Corpus.Config) -> dict:
    return {"patients": cfg.patients, "seed": cfg.seed, "seconds": cfg.seconds}


def simulated_root(key: str, slot: Slot, cache: Path) -> Path:
    """Where under `cache` a simulated corpus lies, or will."""
    return (
        Path(cache)
        / "corpora"
        / f"{slot.component.layout}-{digest([simulator(key, slot).version, *sorted(_made(slot.config).items())])}"
    )


def store_folder(corpus: Corpus, fingerprint: str, cache: Path, fs: float) -> Path:
    """Where under `cache` a corpus's store at `fs` Hz lies, or will; fingerprint: of its index."""
    return Path(cache) / "stores" / f"{corpus.key}-{fs:g}hz-{fingerprint}"


def questions_path(made: str, cache: Path) -> Path:
    """Where under `cache` the questions of an `identity` lie, or will."""
    return Path(cache) / f"questions-{made}.arrow"


def _store(corpus: Corpus, cache: Path, workers: int, progress: bool, fs: float) -> Store:
    folder = cache / "stores"
    folder.mkdir(parents=True, exist_ok=True)
    index = Index(corpus, folder / f".index-{corpus.key}-{os.getpid()}.arrow", contents_path(corpus, cache))
    try:
        return build_store(
            corpus,
            store_folder(corpus, index.fingerprint, cache, fs),
            fs=fs,
            workers=workers,
            progress=progress,
            index=index,
        )
    finally:
        index.path.unlink()
