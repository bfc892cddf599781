"""One process of the start-up's benchmark: a stage of the main job begins, or goes on from its middle, and ends with
its first batch.

Timed from the start of the process: Python, imports, the model (ViT, an LLM of the tiny shape read from a folder,
LoRA), all that `pipeline.train` sets up, `last.ckpt`, and the batch that comes first. An LLM of 8 billion parameters
takes as long as its disk.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from anyecg import config
from anyecg.cli.terminal import quieten
from anyecg.data.dataset.data import Data
from anyecg.data.dataset.questions_file import Questions
from anyecg.data.store.store import Store, Stores
from anyecg.llms import llms
from anyecg.training import pipeline
from anyecg.training.assembly import build_model
from anyecg.training.resume import LAST, AtomicCheckpointIO
from anyecg.training.stage import Stage
from anyecg.types import ECGSample
from benchmarks.side import report

BATCH = 8


def experiment(folder: Path, rows: int, workers: int, size: str):
    """Stage 1 over a question for each record, with an LLM that is read as any of the hub's is."""
    return config.load(
        "experiments/anyecg_chat.yaml",
        [
            "curriculum=[stage1]",
            f"stages.stage1.samples={rows}",
            f"stages.stage1.batch_size={BATCH}",
            f"cache={folder}",
            f"trainer.workers={workers}",
            "trainer.checkpoint_every=1",
            "llm=hf",
            f"llm.path={folder / 'llm'}",
            "llm.dtype=float32",
            f"encoder.size={size}",
            "encoder.layers=null",
            "encoder.stem=0",
        ],
    )


def save_llm(folder: Path, questions: list[ECGSample]) -> None:
    """A tiny LLM that reads these questions, in `folder`/llm."""
    kind = llms["tiny"]
    kind(kind.Config(), lambda: [turn.text for question in questions for turn in question.conversation]).save_weights(
        folder / "llm"
    )


def start(folder: Path, rows: int, workers: int, size: str, began: float) -> None:
    """Seconds since the process `began` until the first batch; a stage that is new takes one step, and its
    checkpoint is made one of its middle.
    """
    imported = time.time()
    quieten()
    told = experiment(folder, rows, workers, size)
    data = Data(Stores([Store.open(folder)]), Questions(folder / "questions.arrow"), folder.name)
    model = build_model(told, data)
    built = time.time()
    (stage,) = pipeline.plan(told, data.fingerprint)
    last = stage.folder.with_name(stage.folder.name + ".partial") / LAST
    seen: list[tuple[int, float]] = []

    def batch_came(module: Stage, batch, index: int) -> int | None:
        seen.append((module.global_step, time.time()))
        # Lightning's word for "no more": after one step of a new stage, at once where one goes on
        return -1 if module.global_step else None

    Stage.on_train_batch_start = batch_came
    resumes = last.exists()
    try:  # noqa: SIM105
        pipeline.train(told, stage, model, data, None)
    except KeyboardInterrupt:  # told to stop
        pass
    step, came = seen[0]
    middle = rows // BATCH // 2
    assert step == (middle if resumes else 0), f"the stage goes on from step {step}"
    if not resumes:
        to_step(last, middle)
    report(imported=imported - began, built=built - began, batch=came - began)


def to_step(path: Path, step: int) -> None:
    """Make a checkpoint of a first step one of a later step, of which it has the weights and moments of the first."""
    saved = torch.load(path, weights_only=False)
    loop = saved["loops"]["fit_loop"]
    further, saved["global_step"] = step - saved["global_step"], step
    loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]["total"]["ready"] += further
    loop["epoch_loop.automatic_optimization.optim_progress"]["optimizer"]["step"]["total"]["completed"] += further
    for counts in ("total", "current"):
        progress = loop["epoch_loop.batch_progress"][counts]
        progress.update({name: count + further * saved["batches_a_step"] for name, count in progress.items()})
    AtomicCheckpointIO().save_checkpoint(saved, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="the folder of the store and the questions")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--workers", type=int, default=0)
    parser.add_argument("--size", default="base", help="of the ViT")
    parser.add_argument(
        "--began", type=float, required=True, help="when this process was started, in seconds since 1970"
    )
    options = parser.parse_args()
    start(options.work, options.rows, options.workers, options.size, options.began)


if __name__ == "__main__":
    main()
