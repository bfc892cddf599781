"""Check every question of a built dataset, and every byte of its store.

    python -m anyecg.data check data/anyecg
    python -m anyecg.data check data/anyecg llm=hf llm.path=/models/Meta-Llama-3-8B-Instruct encoder.size=base

One marker an ECG, windows inside their records, answers that their task's own parser reads as the reference, ids of
their own, no patient and no record in two splits, prompts that name neither their answer nor the patient's data (age,
sex, ids, dates, device), no wording that goes with one kind of answer only, and how many questions are longer than the
LLM's context at its tokenizer. Exit status 1 where anything fails.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table

from anyecg.cli.data.build import loaded, screen
from anyecg.cli.terminal import quieten
from anyecg.config.schema import Experiment
from anyecg.data.dataset.built import open_dataset
from anyecg.data.dataset.data import Data
from anyecg.data.dataset.manifest import sha256
from anyecg.data.loading.collate import Collator
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.data.store.store import Store, shard_name
from anyecg.tasks.questions import scoring_tasks
from anyecg.tasks.validation import Length, ValidationReport, validate
from anyecg.training.assembly import training_texts


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="a folder that build made")
    parser.add_argument(
        "settings",
        nargs="*",
        metavar="EXPERIMENT.yaml | key=value",
        help="whose tokenizer, encoder and input limits count the tokens (default: anyecg_chat with llm=smollm2)",
    )


def run(options: argparse.Namespace) -> int:
    quieten()
    experiment = loaded(options.settings, default=["llm=smollm2"])
    data = open_dataset(options.dataset)
    damaged = [path for store in data.stores for path in _damaged(store)]
    length, context = counting(experiment, data)
    tasks = scoring_tasks(data.questions.info)
    report = validate(data, tasks, length, context, _bar)
    _show(report, experiment.llm.name, context)
    for path in damaged:
        print(f"damaged: {path} is missing or not what build wrote; delete {path.parent} and build again")
    return 1 if report.failures or damaged else 0


def counting(experiment: Experiment, data: Data) -> tuple[Length, int]:
    """How many tokens a row's question takes in training, and how many the experiment's LLM can attend to; no
    weights are loaded.
    """
    chat, context = experiment.llm.component.reader(
        experiment.llm.config, lambda: training_texts(data), Path(experiment.cache)
    )
    llm = experiment.llm.component.outline(experiment.llm.config, Path(experiment.cache))
    with torch.device("meta"):
        encoder = experiment.encoder.build()
        connector = experiment.connector.component.of(experiment.connector.config, encoder, llm)
    fusion = experiment.fusion
    collator = Collator(
        chat, fusion.component.places_of(fusion.config, *connector.tokens(encoder.prefix, encoder.patches)), context
    )
    shown = QuestionDataset(
        data.questions, range(len(data.questions)), data.stores, experiment.input, spec=experiment.input_spec
    )

    def length(row: int) -> int:
        sample = shown.sample(row)
        return collator.length(sample, shown.clip_counts(sample))

    return length, context


def _bar(rows: Iterable[int]) -> Iterable[int]:
    console = Console(stderr=True)
    return track(rows, "checking", console=console, transient=True, disable=not console.is_terminal)


def _damaged(store: Store) -> Iterator[Path]:
    for number, checksum in enumerate(store.summary["shards"]):
        path = store.folder / shard_name(number)
        if not path.exists() or sha256(path) != checksum:
            yield path


def _show(report: ValidationReport, llm: str, context: int) -> None:
    table = Table("pool", "questions", "failures", f"longest ({llm})", f"over {context:,} tokens")
    for pool, count in report.questions.items():
        failed = sum(number for (where, _), number in report.failures.items() if where == pool)
        table.add_row(pool, f"{count:,}", f"{failed:,}", f"{report.longest[pool]:,}", f"{report.too_long[pool]:,}")
    screen().print(table)
    for (pool, what), count in sorted(report.failures.items()):
        print(f"{pool}: {count:,} with {what}: {'; '.join(report.examples[pool, what])}")
    total = sum(report.questions.values())
    print(
        f"{total:,} questions, {sum(report.failures.values()):,} failures, {sum(report.too_long.values()):,} longer "
        f"than the context (training leaves them out)"
    )
