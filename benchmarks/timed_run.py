"""Any checkout's training, timed from outside: what Lightning's Trainer does between two optimizer steps of a stage.

Started by `benchmarks.training_step --against FOLDER` with that folder as its working directory, so it imports nothing
of this package, and of the checkout only what `python -m anyecg.run` imports.

    python timed_run.py EXPERIMENT [key=value ...]
"""

from __future__ import annotations

import json
import os
import resource
import runpy
import sys
import time

import lightning as L

WARM = 0.2  # share of a stage's steps that are not counted: kernels are made, the first batches are drawn


class Clock(L.Callback):
    """Wall and process seconds of every optimizer step after the warm ones, the loader's work included.

    What other callbacks do between two steps is counted too; so is each stage's share of logging and checkpoints.
    """

    def __init__(self) -> None:
        self.at: list[tuple[float, float]] = []
        self.done = 0

    def on_train_batch_end(self, trainer: L.Trainer, *_) -> None:
        if trainer.global_step > self.done:
            self.done = trainer.global_step
            self.at.append((time.perf_counter(), time.process_time()))


def main(experiment: str, overrides: list[str]) -> None:
    rows: dict[str, dict] = {}
    fit = L.Trainer.fit

    def timed(trainer: L.Trainer, module: L.LightningModule, datamodule=None, **given) -> None:
        clock = Clock()
        trainer.callbacks.append(clock)
        fit(trainer, module, datamodule, **given)
        at = clock.at[int(WARM * len(clock.at)) :]
        (wall, processor), count = [end - begin for begin, end in zip(at[0], at[-1])], len(at) - 1
        name = trainer.callbacks and next(c.stage for c in trainer.callbacks if hasattr(c, "stage"))
        rows[name] = {
            "samples": count * module.cfg.batch_size,
            "wall": wall,
            "processor": processor,
            "passes": trainer.accumulate_grad_batches,
            "median": sorted(b[1] - a[1] for a, b in zip(at, at[1:]))[count // 2],
        }

    L.Trainer.fit = timed
    sys.argv = ["anyecg.run", experiment, *overrides]
    sys.path.insert(0, os.getcwd())
    try:
        runpy.run_module("anyecg.run", run_name="__main__")
    except SystemExit as ended:
        if ended.code:
            raise
    print(json.dumps({"stages": rows, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
