"""From corpora to questions over stored recordings: simulated where there is no root, built once, found again after."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from anyecg.data.corpora import corpora as registry
from anyecg.data.corpora.base import Corpus
from anyecg.data.dataset.data import Data
from anyecg.findings import FINDINGS
from anyecg.data.store.index import Index
from anyecg.tasks.questions import VERSION, Questions, QuestionsConfig, build_questions, settings
from anyecg.tasks.config import check
from anyecg.data.store.shards import build_store, locked
from anyecg.registry import registry as registry_of
from anyecg.simulate import ecgqa
from anyecg.data.store.store import Store, Stores, digest
from anyecg.types import ConfigError

log = logging.getLogger(__name__)


def build_data(corpora: Mapping[str, Corpus.Config], questions: QuestionsConfig, cache: Path | str, seed: int,
               workers: int = 0, progress: bool = True) -> Data:
    """The data of an experiment, built under `cache` where it is not there yet.

    corpora: registry name -> its Config (without a root the corpus is simulated); seed: of the questions; workers:
    processes that simulate and store. What was built is found again by its content; a build that was killed goes on.
    """
    cache = Path(cache)
    check(questions)
    opened = {name: open_corpus(name, cfg, cache, workers, progress) for name, cfg in corpora.items()}
    stores = Stores([_store(corpus, cache, workers, progress) for corpus in opened.values()])
    questions = resolve_ecg_qa(questions, opened, stores, cache, seed, progress)
    made = identity(stores, questions, seed)
    path = questions_path(made, cache)
    with locked(cache):
        table = Questions(path) if path.exists() else build_questions(stores, questions, path, seed=seed)
    log.info("questions: %d in %s", len(table), path)
    return Data(stores, table, made)


def find_data(corpora: Mapping[str, Corpus.Config], questions: QuestionsConfig, cache: Path | str, seed: int) -> Data | None:
    """What `build_data` would give if all of it is in the cache, else None; nothing is simulated, stored or written there."""
    cache = Path(cache)
    check(questions)
    if not all(cfg.root is not None or simulated_root(name, cfg, cache).exists() for name, cfg in corpora.items()):
        return None
    opened = {name: open_corpus(name, cfg, cache) for name, cfg in corpora.items()}
    folders = [store_folder(corpus, _fingerprint(corpus), cache) for corpus in opened.values()]
    if not all((folder / "store.json").exists() for folder in folders):
        return None
    stores = Stores([Store.open(folder) for folder in folders])
    simulated = [name for name, folder in questions.ecg_qa.items() if folder == "simulated"]
    if not all(simulated_ecg_qa(name, stores, cache, seed).exists() for name in simulated):
        return None
    made = identity(stores, resolve_ecg_qa(questions, opened, stores, cache, seed), seed)
    path = questions_path(made, cache)
    return Data(stores, Questions(path), made) if path.exists() else None


def _fingerprint(corpus: Corpus) -> str:
    with TemporaryDirectory() as folder:
        return Index(corpus, Path(folder) / "index.arrow").fingerprint


def identity(stores: Stores, questions: QuestionsConfig, seed: int) -> str:
    """The key of everything that the questions depend on."""
    vocabulary = [(finding.name, finding.pattern.pattern) for finding in FINDINGS]
    return digest([VERSION, stores.fingerprint, sorted(settings(questions).items()), seed, vocabulary])


def open_corpus(name: str, cfg: Corpus.Config, cache: Path, workers: int = 0, progress: bool = True) -> Corpus:
    """A corpus at its root, or simulated under `cache` where its Config gives none."""
    kind = registry[name]
    if cfg.root is not None:
        return kind(cfg, Path(cfg.root).expanduser())
    root = simulated_root(name, cfg, cache)
    simulator(kind)().simulate(root, **_made(cfg), workers=max(workers, 1), progress=progress)
    return kind(cfg, root)


def simulator(kind: type[Corpus]) -> type:
    """The simulator of a corpus's layout; ConfigError where it has none."""
    layout = getattr(kind, "layout", None)
    if layout is None:
        raise ConfigError(f"corpus {kind.__name__} has no simulator (no `layout`); set its root to the folder where it lies")
    return registry_of("simulator")[layout]


def _made(cfg: Corpus.Config) -> dict:
    return {"patients": cfg.patients, "seed": cfg.seed, "seconds": cfg.seconds}


def simulated_root(name: str, cfg: Corpus.Config, cache: Path) -> Path:
    """Where under `cache` a simulated corpus lies, or will."""
    return Path(cache) / "corpora" / f"{registry[name].layout}-{digest([simulator(registry[name]).version, *sorted(_made(cfg).items())])}"


def simulated_ecg_qa(name: str, stores: Stores, cache: Path, seed: int) -> Path:
    """Where under `cache` the simulated ECG-QA of a corpus lies, or will."""
    return Path(cache) / "ecg_qa" / f"{name}-{digest([ecgqa.VERSION, stores[name].fingerprint, seed])}"


def store_folder(corpus: Corpus, fingerprint: str, cache: Path) -> Path:
    """Where under `cache` a corpus's store lies, or will; fingerprint: of its index."""
    return Path(cache) / "stores" / f"{corpus.name}-{fingerprint}"


def questions_path(made: str, cache: Path) -> Path:
    """Where under `cache` the questions of an `identity` lie, or will."""
    return Path(cache) / f"questions-{made}.arrow"


def resolve_ecg_qa(questions: QuestionsConfig, opened: Mapping[str, Corpus], stores: Stores, cache: Path, seed: int,
                   progress: bool = True) -> QuestionsConfig:
    """The configuration with a folder for every corpus of `ecg_qa`: where it says "simulated", one is written under `cache`.

    ConfigError for a corpus that is not among `opened`.
    """
    unknown = [name for name in questions.ecg_qa if name not in opened]
    if unknown:
        raise ConfigError(f"questions.ecg_qa.{unknown[0]}: corpora are {', '.join(opened)}; add it there or leave it out here")
    folders = dict(questions.ecg_qa)
    for name in (name for name, folder in folders.items() if folder == "simulated"):
        folder = simulated_ecg_qa(name, stores, cache, seed)
        folder.parent.mkdir(exist_ok=True)
        with locked(folder.parent):
            if not folder.exists():
                ecgqa.write_ecgqa(opened[name], folder, seed, progress=progress)
        folders[name] = str(folder)
    return replace(questions, ecg_qa=folders)


def _store(corpus: Corpus, cache: Path, workers: int, progress: bool) -> Store:
    folder = cache / "stores"
    folder.mkdir(parents=True, exist_ok=True)
    index = Index(corpus, folder / f".index-{corpus.name}-{os.getpid()}.arrow")
    try:
        return build_store(corpus, store_folder(corpus, index.fingerprint, cache), workers=workers, progress=progress, index=index)
    finally:
        index.path.unlink()
