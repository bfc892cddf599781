"""What a stage shows while it runs: a line now and then in the log, every point of the loss curve in a file."""

from __future__ import annotations

import csv
import logging
import time
from pathlib import Path

import lightning as L

from anyecg.types import AnyECGError

log = logging.getLogger(__name__)


class LossCurve(L.Callback):
    """Appends `step,loss,lr,samples_per_second` to `loss.csv` every few optimizer steps and logs progress.

    A loss that is not finite stops the stage: AnyECGError names the batch's questions.
    """

    def __init__(self, path: Path, stage: str, every: int, samples_a_step: int) -> None:
        self.path, self.stage, self.every, self.samples = path, stage, every, samples_a_step

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.began, self.first = time.monotonic(), trainer.global_step
        self.spoke, self.done, self.losses = self.began, trainer.global_step, []
        kept = []
        if self.path.exists():
            with self.path.open() as file:
                kept = [row for row in csv.DictReader(file) if row["loss"] and int(row["step"]) <= trainer.global_step]
        with self.path.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["step", "loss", "lr", "samples_per_second"])
            writer.writeheader()
            writer.writerows(kept)

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, outputs, batch, batch_index: int) -> None:
        self.losses.append(outputs["loss"].detach() * trainer.accumulate_grad_batches)
        step = trainer.global_step
        if step == self.done or (step % self.every and step < trainer.max_steps):
            return
        self.done = step
        loss = sum(value.item() for value in self.losses) / len(self.losses)
        self.losses = []
        if loss != loss or abs(loss) == float("inf"):
            raise AnyECGError(f"stage {self.stage}, step {step}: the loss is {loss}; last batch: {', '.join(getattr(batch, 'ids', ())) or 'pairs'}")
        elapsed = time.monotonic() - self.began
        rate = (step - self.first) * self.samples / elapsed
        if trainer.is_global_zero:
            with self.path.open("a", newline="") as file:
                csv.writer(file).writerow([step, f"{loss:.5f}", f"{trainer.optimizers[0].param_groups[0]['lr']:.3e}", f"{rate:.1f}"])
        if time.monotonic() - self.spoke > 10 or step == trainer.max_steps:
            self.spoke = time.monotonic()
            left = (trainer.max_steps - step) * self.samples / max(rate, 1e-9)
            log.info("%s  step %d/%d  loss %.3f  %.0f samples/s  %d:%02d left", self.stage, step, trainer.max_steps, loss, rate, left // 60, left % 60)
