"""What a stage shows while it runs: a line now and then in the log, every point of the loss curve in a file."""

from __future__ import annotations

import csv
import logging
import time
from pathlib import Path

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar

from anyecg.files import atomic_write, report_write_errors
from anyecg.training.guard import Guard
from anyecg.training.validation import Validation

log = logging.getLogger(__name__)

COLUMNS = ("step", "loss", "grad_norm", "lr", "samples_per_second", "validation_loss")
FORMATS = {"loss": ".5f", "grad_norm": ".4g", "lr": ".3e", "samples_per_second": ".1f", "validation_loss": ".5f"}


class LossCurve(L.Callback):
    """A row of `loss.csv` every few optimizer steps, and a line of the log; between rows nothing waits for the device.

    loss and grad_norm (before clipping) are means over the steps since the last row and, of the loss, over all ranks;
    `guard` has judged them. `validation`, which is called before, gives its loss to the row of its step, and a step
    at which it was measured has one. The same values go to the trainer's Lightning loggers. samples_per_second leaves
    validation out. A stage that goes on from a checkpoint forgets the rows after it: it writes them again.
    """

    def __init__(
        self,
        path: Path,
        stage: str,
        every: int,
        samples_a_step: int,
        guard: Guard,
        validation: Validation | None = None,
    ) -> None:
        self.path, self.stage, self.every, self.samples, self.guard, self.validation = (
            path,
            stage,
            every,
            samples_a_step,
            guard,
            validation,
        )
        self.loss: float | None = None  # of the last row

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.began, self.first = time.monotonic(), trainer.global_step
        self.spoke, self.done = self.began, trainer.global_step
        if not trainer.is_global_zero:
            return
        kept = []
        if self.path.exists():
            with self.path.open(newline="") as file:
                kept = [row for row in csv.DictReader(file) if row["loss"] and int(row["step"]) <= trainer.global_step]
        with atomic_write(self.path) as part, part.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, restval="")
            writer.writeheader()
            writer.writerows(kept)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs, batch, batch_index: int
    ) -> None:
        step = trainer.global_step
        measured = self.validation is not None and self.validation.step == step
        if step == self.done or (step % self.every and step < trainer.max_steps and not measured):
            return
        self.done = step
        taken = self.guard.take()
        self.loss = loss = sum(one.loss for one in taken) / len(taken)
        norms = [one.norm for one in taken if one.norm is not None]
        training = time.monotonic() - self.began - (self.validation.seconds if self.validation else 0)  # s
        values = {
            "loss": loss,
            "lr": trainer.optimizers[0].param_groups[0]["lr"],
            "samples_per_second": (step - self.first) * self.samples / training,
        }
        values |= {"grad_norm": sum(norms) / len(norms)} if norms else {}
        values |= {"validation_loss": self.validation.loss} if measured else {}
        if trainer.is_global_zero:
            row = {"step": step} | {name: format(value, FORMATS[name]) for name, value in values.items()}
            with report_write_errors(self.path), self.path.open("a", newline="") as file:
                csv.DictWriter(file, COLUMNS, restval="").writerow(row)
        for logger in trainer.loggers:
            logger.log_metrics({f"{self.stage}/{name}": value for name, value in values.items()}, step)
        if time.monotonic() - self.spoke > 10 or step == trainer.max_steps:
            self.spoke = time.monotonic()
            rate = values["samples_per_second"]
            left = (trainer.max_steps - step) * self.samples / max(rate, 1e-9)
            seen = (
                f"  validation {self.validation.loss:.3f}"
                if self.validation and self.validation.loss is not None
                else ""
            )
            log.info(
                "%s  step %d/%d  loss %.3f%s  %.0f samples/s  %d:%02d left",
                self.stage,
                step,
                trainer.max_steps,
                loss,
                seen,
                rate,
                left // 60,
                left % 60,
            )

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        if self.validation and self.validation.seconds:
            log.info(
                "%s: validation took %.1f %% of the stage's time",
                self.stage,
                100 * self.validation.seconds / (time.monotonic() - self.began),
            )


class Bar(TQDMProgressBar):
    """Lightning's progress bar with the loss curve's last loss: each batch's would wait for the device."""

    def __init__(self, curve: LossCurve) -> None:
        super().__init__()
        self.curve = curve

    def get_metrics(self, trainer: L.Trainer, module: L.LightningModule) -> dict[str, str]:
        return {} if self.curve.loss is None else {"loss": f"{self.curve.loss:.3f}"}
