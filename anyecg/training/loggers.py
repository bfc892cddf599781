"""Where a stage's curves are logged beside its `loss.csv`: TensorBoard, Weights & Biases, MLflow."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from anyecg.files import atomic_write
from anyecg.registry import Registry

if TYPE_CHECKING:  # the table is read where nothing is trained, and Lightning's import is slow
    from lightning.pytorch.loggers import Logger

loggers = Registry(
    "logger",
    {
        "csv": "anyecg.training.loggers:CSV",
        "none": "anyecg.training.loggers:CSV",
        "tensorboard": "anyecg.training.loggers:TensorBoard",
        "wandb": "anyecg.training.loggers:WandB",
        "mlflow": "anyecg.training.loggers:MLflow",
    },
)


class CSV:
    """`loss.csv` in the stage's folder, which every stage writes, and nothing else.

    Base of the others: a subclass names the package it `needs` and makes a Lightning logger.
    """

    @dataclass(frozen=True)
    class Config:
        """None."""

    needs: str | None = None

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg

    def check(self) -> Iterator[str]:
        """What is missing on this machine, a message each."""
        if self.needs and importlib.util.find_spec(self.needs) is None:
            yield f"trainer.logger: {self.needs} is not installed; pip install 'anyecg[{self.needs}]'"

    def logger(self, folder: Path, experiment: str, stage: str, key: str) -> Logger | None:
        """The Lightning logger of a stage; a stage that is resumed gets the same log again.

        folder: the stage's, which is there from its first step to its end; experiment, stage: names; key: the stage's.
        """
        return None


class TensorBoard(CSV):
    """Event files in the stage's folder, `tensorboard/`."""

    needs = "tensorboard"

    def logger(self, folder: Path, experiment: str, stage: str, key: str) -> Logger:
        from lightning.pytorch.loggers import TensorBoardLogger

        return TensorBoardLogger(folder, name="", version="tensorboard", default_hp_metric=False)


class WandB(CSV):
    """Weights & Biases: a run a stage, grouped by experiment."""

    @dataclass(frozen=True)
    class Config:
        """Of the run."""

        project: str = "anyecg"  # that the runs stand under
        offline: bool = False  # write to the stage's folder only; `wandb sync --append` sends it later

    needs = "wandb"

    def logger(self, folder: Path, experiment: str, stage: str, key: str) -> Logger:
        from lightning.pytorch.loggers import WandbLogger

        return WandbLogger(
            name=stage,
            save_dir=folder,
            id=f"{stage}-{key}",
            project=self.cfg.project,
            group=experiment,
            offline=self.cfg.offline,
            resume="allow",
        )


class MLflow(CSV):
    """MLflow: an experiment's stages as its runs."""

    @dataclass(frozen=True)
    class Config:
        """Of the server."""

        uri: str | None = None  # where it tracks (None: MLFLOW_TRACKING_URI, or mlflow.db beside the stage's folder)

    needs = "mlflow"

    def logger(self, folder: Path, experiment: str, stage: str, key: str) -> Logger:
        from lightning.pytorch.loggers import MLFlowLogger

        kept = folder / "mlflow_run"
        uri = self.cfg.uri or os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder.parent.resolve()}/mlflow.db"
        log = MLFlowLogger(
            experiment, f"{stage}-{key}", tracking_uri=uri, run_id=kept.read_text() if kept.exists() else None
        )
        if not kept.exists():
            with atomic_write(kept) as part:
                part.write_text(log.run_id)
        return log
