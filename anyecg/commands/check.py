"""Check every question of a built dataset, and every byte of its store.

    python -m anyecg.data check data/anyecg
    python -m anyecg.data check data/anyecg llm=hf llm.path=/models/Meta-Llama-3-8B-Instruct encoder.size=base

One marker an ECG, windows inside their records, answers that their task's own parser reads as the reference, ids of their
own, no patient in two splits, and how many questions are longer than the LLM's context at its tokenizer. Exit status 1
where anything fails.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from anyecg import config
from anyecg.commands.build import RECIPE
from anyecg.data.collate import Collator
from anyecg.data.folder import open_dataset
from anyecg.data.store import Store, shard_name
from anyecg.run import training_texts
from anyecg.tasks import tasks as registry
from anyecg.tasks.validation import Report, validate


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="a folder that build made")
    parser.add_argument("settings", nargs="*", metavar="EXPERIMENT.yaml | key=value", help="whose tokenizer and encoder count the tokens (default: anyecg_chat, llm=smollm2)")


def run(options: argparse.Namespace) -> int:
    files = [one for one in options.settings if "=" not in one]
    overrides = [one for one in options.settings if "=" in one]
    experiment = config.load(files[0] if files else RECIPE, overrides if files or overrides else ["llm=smollm2"])
    data = open_dataset(options.dataset)
    damaged = [name for store in data.stores for name in _damaged(store)]
    chat, context = experiment.llm.component.reader(experiment.llm.config, lambda: training_texts(data), Path(experiment.cache))
    with torch.device("meta"):
        encoder = experiment.encoder.build()
        connector = experiment.connector.build(encoder.dim, 8)
    collator = Collator(chat, *connector.tokens(encoder.prefix, encoder.patches), context)
    tasks = {name: registry[name](data.questions.info) for name in registry.table()}
    report = validate(data, tasks, collator.length, context, _bar)
    _show(report, experiment.llm.name, context)
    for name in damaged:
        print(f"damaged: {name} is not what build wrote; delete {Path(name).parent} and build again")
    return 1 if report.failures or damaged else 0


def _bar(rows: Iterable[int]) -> Iterable[int]:
    return track(rows, "checking", console=Console(stderr=True))


def _damaged(store: Store) -> Iterator[str]:
    for number, checksum in enumerate(store.summary["shards"]):
        path = store.folder / shard_name(number)
        with path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
                yield str(path)


def _show(report: Report, llm: str, context: int) -> None:
    table = Table("pool", "questions", "failed", f"longest ({llm})", f"over {context:,} tokens")
    for pool, count in report.questions.items():
        failed = sum(number for (where, _), number in report.failures.items() if where == pool)
        table.add_row(pool, f"{count:,}", f"{failed:,}", f"{report.longest[pool]:,}", f"{report.too_long[pool]:,}")
    Console().print(table)
    for (pool, what), count in sorted(report.failures.items()):
        print(f"{pool}: {count:,} with {what}: {'; '.join(report.examples[pool, what])}")
    total = sum(report.questions.values())
    print(f"{total:,} questions, {sum(report.failures.values()):,} failures, {sum(report.too_long.values()):,} longer than the context (training leaves them out)")
