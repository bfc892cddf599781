"""Whether this machine can train as `trainer` says, before any data is built."""

from __future__ import annotations

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
