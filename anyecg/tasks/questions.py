"""Dataset construction: what is asked of the recordings, and what the right answer is (the paper's Dataset section)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from anyecg.tasks.classification.build import classification_questions, label_statements, label_universe
from anyecg.tasks.config import POOLS, QuestionsConfig, check
from anyecg.tasks.ecg_qa.build import ecg_qa_answers, ecg_qa_questions, settings
from anyecg.tasks.localization.build import localization_questions
from anyecg.tasks.multi_ecg.build import multi_ecg_questions
from anyecg.tasks.report.build import report_questions
from anyecg.data.dataset.questions_file import Questions, write_questions
from anyecg.tasks.multi_ecg.written import written_questions
from anyecg.data.store.store import Stores
from anyecg.types import DataError, ECGSample

__all__ = ["POOLS", "Questions", "QuestionsConfig", "build_questions", "settings", "write_counted"]

VERSION = 7  # of the rules: a new one builds every question file again
BUILDERS = {
    "report": report_questions, "localization_short": localization_questions, "localization_long": localization_questions,
    "multi_ecg": multi_ecg_questions, "classification": classification_questions,
    "ecg_qa": ecg_qa_questions,
}


def build_questions(stores: Stores, cfg: QuestionsConfig, path: Path, *, seed: int) -> Questions:
    """Write every question to `path` (Arrow) and a summary of counts beside it (`.json`), whole or not at all.

    The same stores, configuration and seed give the same bytes. ConfigError for a configuration that makes
    no sense; DataError where nothing can be asked.
    """
    check(cfg)
    dropped = Counter()
    info = {
        "version": VERSION, "seed": seed, "config": settings(cfg), "data": stores.fingerprint,
        "labels": label_universe(stores), "label_statements": label_statements(stores), "ecg_qa_answers": ecg_qa_answers(cfg),
    }
    questions = write_counted(path, _all(stores, cfg, seed, dropped, path.parent / "replies.sqlite"), info, dropped)
    if not len(questions):
        path.unlink()
        raise DataError(f"no question can be asked of {', '.join(store.summary['corpus'] for store in stores)} with pools {', '.join(cfg.pools)}")
    return questions


def write_counted(path: Path, questions: Iterable[tuple[str, ECGSample]], info: Mapping, dropped: Counter) -> Questions:
    """Write (split, question) pairs to `path`, and beside them how many there are and how many (pool, why) were `dropped`."""
    counts = Counter()
    write_questions(path, _counted(questions, counts), info)
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


def _all(stores: Stores, cfg: QuestionsConfig, seed: int, dropped: Counter, replies: Path) -> Iterator[tuple[str, ECGSample]]:
    builders = BUILDERS | ({"multi_ecg": partial(written_questions, replies=replies)} if cfg.writer.url else {})
    for builder in dict.fromkeys(builders[pool] for pool in POOLS if pool in cfg.pools):
        yield from builder(stores, cfg, seed, dropped)


def _counted(questions: Iterable[tuple[str, ECGSample]], counts: Counter) -> Iterator[tuple[str, ECGSample]]:
    for split, sample in questions:
        counts[sample.pool, sample.subset, split, _kind(sample)] += 1
        yield split, sample


def _kind(sample: ECGSample) -> str:
    """What a summary tells apart: positive and negative windows, kinds of MultiECG question."""
    if sample.task == "localization":
        return "positive" if sample.meta["intervals"] else "negative"
    return sample.meta.get("kind", "")
