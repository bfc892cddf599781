"""Beginning and resuming a stage over a manifest of a million rows, and the time of a sample of few against many;
prints both.

A synthetic store (its shard is a sparse file) and a question for each of its records; every side is a process of its
own.
"first" counts the tokens of all questions that are drawn, "again" goes on from a checkpoint of the stage's middle
(`benchmarks.resumed`).

    python -m benchmarks.start_up [--rows 1000000] [--workers 2] [--size base] [--work DIR]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from contextlib import nullcontext
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from anyecg.config.schema import InputConfig, StageConfig
from anyecg.data.dataset.data import Data
from anyecg.data.dataset.questions_file import Questions, write_questions
from anyecg.data.loading.collate import Collator
from anyecg.data.loading.loader import StageData
from anyecg.data.store.store import FORMAT, Store, Stores, shard_name
from anyecg.llms import llms
from anyecg.types import MARKER, ECGSample, InputSpec, Places, Turn, Window
from benchmarks.mixture import STATEMENTS
from benchmarks.resumed import save_llm
from benchmarks.side import machine, report, run

FEW, MANY = 1_000, 100_000
BATCH = 64
LEADS = 12


def question(number: int) -> ECGSample:
    """A report whose text is like no other's."""
    said = ", ".join(STATEMENTS[(number // 11**place) % 11] for place in range(6))
    return ECGSample(
        id=f"report/{number}",
        task="report",
        pool="report",
        patient=f"mimic/{number // 3}",
        records=(Window(f"mimic/{number}", 0.0, 10.0),),
        conversation=(
            Turn("user", f"{MARKER}\nPlease provide the report for the following ECG."),
            Turn("assistant", f"Report: {said}"),
        ),
        evidence=(said,),
    )


def write(folder: Path, rows: int) -> Path:
    """A store of so many records and their questions."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "questions.arrow").exists():
        samples = InputSpec().shape[1]
        size = LEADS * samples
        with (folder / shard_name(0)).open("wb") as file:
            file.truncate(rows * size * 2)
        table = pa.table(
            {
                "id": [f"mimic/{number}" for number in range(rows)],
                "shard": pa.array([0] * rows, pa.int32()),
                "offset": pa.array(range(0, rows * size, size), pa.int64()),
                "samples": pa.array([samples] * rows, pa.int32()),
                "lead_mask": pa.array([(1 << LEADS) - 1] * rows, pa.int16()),
            }
        )
        pq.write_table(table, folder / "records.parquet")
        (folder / "store.json").write_text(
            json.dumps({"format": FORMAT, "fs": InputSpec.fs, "corpus": "mimic", "fingerprint": f"synthetic-{rows}"})
        )
        write_questions(folder / "questions.arrow", (("train", question(number)) for number in range(rows)), {})
    return folder


def opened(folder: Path, samples: int, workers: int) -> StageData:
    data = Data(Stores([Store.open(folder)]), Questions(folder / "questions.arrow"), folder.name)
    kind = llms["tiny"]
    texts = [turn.text for number in range(2000) for turn in question(number * 500).conversation]
    chat, context = kind.reader(kind.Config(), lambda: texts, folder)
    collate = Collator(chat, Places(1, 60), context=context)
    stage = StageConfig(tasks={"report": 1}, samples=samples, batch_size=BATCH)
    return StageData(
        data,
        stage,
        InputConfig(),
        replay=0.0,
        seed=0,
        collate=collate,
        measure=collate.measure,
        context=context,
        workers=workers,
        lengths=folder / "lengths",
        reader=collate.fingerprint,
    )


def path(folder: Path, rows: int) -> None:
    """Milliseconds a sample from the store to a batch, each visited once (again only after everything is opened
    anew).
    """
    opened(folder, rows, 0)  # lengths are counted
    with (folder / shard_name(0)).open("rb", buffering=0) as file:
        while file.read(1 << 24):  # both sizes come from the page cache
            pass
    took: list[float] = []
    while len(took) < 300:
        stage = opened(folder, rows, 0)
        dataset = stage.train_dataloader().dataset
        for number in range(0, len(stage.plan), max(1, len(stage.plan) // 300)):
            began = time.process_time()
            dataset[number]
            took.append(time.process_time() - began)
    report(milliseconds=1e3 * sorted(took)[len(took) // 2] / BATCH)


def main(arguments: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the manifest (default a million)")
    parser.add_argument("--workers", type=int, default=2, help="processes that count tokens the first time (default 2)")
    parser.add_argument("--size", default="base", help="of the stage's ViT (default base)")
    parser.add_argument(
        "--work", type=Path, help="a folder in which the synthetic data is written and left (default: a temporary one)"
    )
    parser.add_argument("--side", choices=["path"], help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.side == "path":
        path(options.work, options.rows)
        return {}
    with nullcontext(options.work) if options.work else tempfile.TemporaryDirectory() as work:
        folder = write(Path(work) / f"rows-{options.rows}", options.rows)
        save_llm(folder, [question(number * 500) for number in range(2000)])
        told = ["--work", folder, "--rows", options.rows, "--workers", options.workers, "--size", options.size]
        sides = {name: run("benchmarks.resumed", *told, "--began", time.time()) for name in ("first", "again")}
        few, many = (
            run(
                "benchmarks.start_up",
                "--side",
                "path",
                "--rows",
                rows,
                "--work",
                write(Path(work) / f"rows-{rows}", rows),
            )
            for rows in (FEW, MANY)
        )
    print(f"start-up of a stage over {options.rows:,} questions ({machine()})")
    for name, row in sides.items():
        times = (
            f"imports {row['imported']:6.1f} s, model built {row['built']:6.1f} s, first batch "
            f"{row['batch']:6.1f} s after the start"
        )
        print(f"  {name:6} {times}, peak {row['peak']:.2f} GiB")
    ratio = many["milliseconds"] / few["milliseconds"]
    print(
        f"a sample from the store to a batch (processor time, median): of {FEW:,} {few['milliseconds']:.3f} ms, of "
        f"{MANY:,} {many['milliseconds']:.3f} ms, ratio {ratio:.2f}"
    )
    return {"again": sides["again"]["batch"], "ratio": ratio}


if __name__ == "__main__":
    main()
