"""An engine: one device, with a record of how long each stage trained."""

import time
from dataclasses import dataclass
from pathlib import Path

import lightning as L

from anyecg.training.engines.single import Single


class Timed(Single):
    """One process on one device that appends the steps and seconds of each stage to a file."""

    @dataclass(frozen=True)
    class Config:
        """file: where to."""

        file: str = "seconds.csv"

    def callbacks(self, clip: float) -> list[L.Callback]:
        return [*super().callbacks(clip), Stopwatch(Path(self.cfg.file))]


class Stopwatch(L.Callback):
    """Appends a line `steps,seconds` at the end of training."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.began = time.monotonic()

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        with self.path.open("a") as file:
            file.write(f"{trainer.global_step},{time.monotonic() - self.began:.2f}\n")
