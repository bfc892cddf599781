"""A scheduler's notice while a stage trains: the step ends, is saved, and the run leaves."""

from __future__ import annotations

import contextlib
import logging
import signal
from pathlib import Path
from typing import Any

import lightning as L

from anyecg.notice import handling
from anyecg.training.distributed import any_process
from anyecg.training.resume import LAST
from anyecg.types import Preempted

log = logging.getLogger(__name__)


class Preemption(L.Callback):
    """A notice lets the optimizer step end, writes `last.ckpt` and raises Preempted.

    One process's notice counts for all: they agree after every step, so that all stop at the same one. A second notice
    raises at once; so does what kills, after which the last periodic checkpoint stands. After the last step there is
    nothing to save: the stage ends, and `leave` then raises.
    """

    def __init__(self, folder: Path) -> None:
        self.path, self.told = folder / LAST, False
        self.stack = contextlib.ExitStack()

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.step, self.launcher = trainer.global_step, trainer.strategy.launcher
        # in place of Lightning's own, which calls collectives inside of the handler, and requeues by itself
        self.stack.enter_context(handling(self._take))

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Any, batch: Any, batch_index: int
    ) -> None:
        if trainer.global_step == self.step:  # in the middle of an accumulated step
            return
        self.step = trainer.global_step
        if self.step < trainer.max_steps and any_process(self.told):
            trainer.save_checkpoint(self.path)
            raise Preempted(f"told to stop at step {self.step} of {trainer.max_steps}, saved as {self.path}")

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.stack.close()

    def on_exception(self, trainer: L.Trainer, module: L.LightningModule, exception: BaseException) -> None:
        self.stack.close()

    def leave(self) -> None:
        """Preempted where the notice came in the last step; every process asks."""
        if any_process(self.told):
            raise Preempted("told to stop in the last step of a stage, which is finished")

    def _take(self, number: int) -> None:
        if self.told:
            raise Preempted("told to stop again before the step had ended; the last checkpoint is from before")
        self.told = True
        log.warning("%s: the stage stops after this step", signal.Signals(number).name)
        if hasattr(self.launcher, "kill"):  # the processes that Lightning started
            self.launcher.kill(number)
