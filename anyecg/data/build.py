"""From corpora to questions over stored recordings: simulated where there is no root, built once, found again after."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from anyecg.data.corpora import corpora as registry
from anyecg.data.corpora.base import Corpus
from anyecg.data.findings import FINDINGS
from anyecg.data.questions import VERSION, Questions, QuestionsConfig, build_questions
from anyecg.data.shards import build_store, fingerprint, locked
from anyecg.data.simulate import simulate
from anyecg.data.simulate.dataset import VERSION as SIMULATOR
from anyecg.data.store import Store, Stores, digest

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Data:
    """Recordings and the questions about them; `fingerprint` changes with anything either depends on."""

    stores: Stores
    questions: Questions
    fingerprint: str


def build_data(corpora: Mapping[str, Corpus.Config], questions: QuestionsConfig, cache: Path | str, seed: int,
               workers: int = 0, progress: bool = True) -> Data:
    """The data of an experiment, built under `cache` where it is not there yet.

    corpora: registry name -> its Config (without a root the corpus is simulated); seed: of the questions; workers:
    processes that simulate and store. What was built is found again by its content; a build that was killed goes on.
    """
    cache = Path(cache)
    stores = Stores([_store(open_corpus(name, cfg, cache, workers, progress), cache, workers, progress) for name, cfg in corpora.items()])
    vocabulary = [(finding.name, finding.pattern.pattern) for finding in FINDINGS]
    identity = digest([VERSION, stores.fingerprint, sorted(asdict(questions).items()), seed, vocabulary])
    path = cache / f"questions-{identity}.arrow"
    with locked(cache):
        table = Questions(path) if path.exists() else build_questions(stores, questions, path, seed=seed)
    log.info("questions: %d in %s", len(table), path)
    return Data(stores, table, identity)


def open_corpus(name: str, cfg: Corpus.Config, cache: Path, workers: int = 0, progress: bool = True) -> Corpus:
    """A corpus at its root, or simulated under `cache` where its Config gives none."""
    kind = registry[name]
    if cfg.root is not None:
        return kind(cfg, Path(cfg.root).expanduser())
    made = {"patients": cfg.patients, "seed": cfg.seed, "seconds": cfg.seconds}
    root = Path(cache) / "corpora" / f"{kind.layout}-{digest([SIMULATOR, *sorted(made.items())])}"
    simulate(kind.layout, root, **made, workers=max(workers, 1), progress=progress)
    return kind(cfg, root)


def _store(corpus: Corpus, cache: Path, workers: int, progress: bool) -> Store:
    entries = corpus.entries()
    folder = cache / "stores" / f"{corpus.name}-{fingerprint(corpus, entries)}"
    return build_store(corpus, folder, workers=workers, progress=progress, entries=entries)
