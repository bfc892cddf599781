"""Dataset construction: what is asked of the recordings, and what the right answer is (the paper's Dataset section)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from anyecg.data.questions.classification import classification_questions, label_universe
from anyecg.data.questions.config import POOLS, QuestionsConfig, check
from anyecg.data.questions.localization import localization_questions
from anyecg.data.questions.multi_ecg import multi_ecg_questions
from anyecg.data.questions.report import report_questions
from anyecg.data.questions.table import Questions, write_questions
from anyecg.data.store import Stores
from anyecg.types import DataError, ECGSample

__all__ = ["POOLS", "Questions", "QuestionsConfig", "build_questions"]

VERSION = 3  # of the rules: a new one builds every question file again
BUILDERS = {
    "report": report_questions, "localization_short": localization_questions, "localization_long": localization_questions,
    "multi_ecg": multi_ecg_questions, "classification": classification_questions,
}


def build_questions(stores: Stores, cfg: QuestionsConfig, path: Path, *, seed: int) -> Questions:
    """Write every question to `path` (Arrow) and a summary of counts beside it (`.json`), whole or not at all.

    The same stores, configuration and seed give the same bytes. ConfigError for a configuration that makes
    no sense; DataError where nothing can be asked.
    """
    check(cfg)
    counts, dropped = Counter(), Counter()
    info = {"version": VERSION, "seed": seed, "config": asdict(cfg), "data": stores.fingerprint, "labels": label_universe(stores)}
    write_questions(path, _counted(_all(stores, cfg, seed, dropped), counts), info)
    if not counts:
        path.unlink()
        raise DataError(f"no question can be asked of {', '.join(store.summary['corpus'] for store in stores)} with pools {', '.join(cfg.pools)}")
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


def _all(stores: Stores, cfg: QuestionsConfig, seed: int, dropped: Counter) -> Iterator[tuple[str, ECGSample]]:
    for builder in dict.fromkeys(BUILDERS[pool] for pool in POOLS if pool in cfg.pools):
        yield from builder(stores, cfg, seed, dropped)


def _counted(questions: Iterator[tuple[str, ECGSample]], counts: Counter) -> Iterator[tuple[str, ECGSample]]:
    for split, sample in questions:
        counts[sample.pool, sample.subset, split, _kind(sample)] += 1
        yield split, sample


def _kind(sample: ECGSample) -> str:
    """What a summary tells apart: positive and negative windows, kinds of MultiECG question."""
    if sample.task == "localization":
        return "positive" if sample.meta["intervals"] else "negative"
    return sample.meta.get("kind", "")
