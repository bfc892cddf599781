"""A checkout's training, whichever it is, timed from outside: started by `benchmarks.checkouts`, in that checkout's
folder, it trains in turn with another.

It imports nothing of this package, and of the checkout only what `python -m anyecg.run` imports. A line on standard
input lets it go on; a line of JSON on standard output, after `MARK`, says what it did until it stopped to wait.

    python timed_run.py LAST_STAGE EXPERIMENT [key=value ...]
"""

from __future__ import annotations

import json
import os
import resource
import runpy
import sys
import time

import lightning as L

MARK = "@timed "
EVERY = 5  # optimizer steps between two stops


def pause(**event: object) -> None:
    """Say what happened, and wait."""
    print(MARK + json.dumps(event), flush=True)
    if not sys.stdin.readline():
        os._exit(1)  # the other side has ended


class Clock(L.Callback):
    """Wall and process seconds of every few optimizer steps, with the loader's and every other callback's work."""

    def __init__(self, stage: str) -> None:
        self.stage, self.done = stage, 0

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        pause(stage=self.stage, passes=trainer.accumulate_grad_batches)
        self._start()

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, *_) -> None:
        step = trainer.global_step
        if step == self.done or step % EVERY:
            return
        self.done = step
        wall, processor = time.perf_counter() - self.wall, time.process_time() - self.processor
        pause(stage=self.stage, samples=EVERY * module.cfg.batch_size, wall=wall, processor=processor)
        self._start()

    def _start(self) -> None:
        self.wall, self.processor = time.perf_counter(), time.process_time()


def main(last: str, experiment: str, *overrides: str) -> None:
    fit = L.Trainer.fit

    def timed(trainer: L.Trainer, *args, **given) -> None:
        stage = next(c.stage for c in trainer.callbacks if isinstance(getattr(c, "stage", None), str))
        trainer.callbacks.append(Clock(stage))
        fit(trainer, *args, **given)
        if stage == last:
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
            print(MARK + json.dumps({"peak": peak}), flush=True)
            os._exit(0)  # nothing is evaluated

    L.Trainer.fit = timed
    sys.argv = ["anyecg.run", experiment, *overrides]
    sys.path.insert(0, os.getcwd())
    runpy.run_module("anyecg.run", run_name="__main__")


if __name__ == "__main__":
    main(*sys.argv[1:])
