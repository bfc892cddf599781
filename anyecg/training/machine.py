"""What this machine is and whether it can train as `trainer` says, before any data is built."""

from __future__ import annotations

import torch

from anyecg.config.schema import TrainerConfig
from anyecg.training.matmul import has_onednn
from anyecg.types import ConfigError


def check_machine(trainer: TrainerConfig) -> None:
    """ConfigError with everything that this machine lacks: GPUs, the packages of engine and logger, oneDNN."""
    wrong = [*trainer.strategy.build(trainer).check(), *trainer.logger.build().check()]
    if trainer.matmul == "onednn" and not has_onednn():
        wrong.append("trainer.matmul: this torch was built without oneDNN; choose torch or auto")
    if wrong:
        raise ConfigError("\n".join(wrong))


def on_cpu(trainer: TrainerConfig) -> bool:
    """Whether a stage trains on the CPU, by choice or because there is nothing else."""
    return trainer.accelerator == "cpu" or (trainer.accelerator == "auto" and not torch.accelerator.is_available())
