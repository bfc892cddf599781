"""What this machine is and whether it can train as `trainer` says, before any data is built."""

from __future__ import annotations

import logging
import os

import torch

from anyecg.config.schema import Slot, TrainerConfig
from anyecg.training.matmul import has_onednn
from anyecg.types import ConfigError

log = logging.getLogger(__name__)


def check_machine(trainer: TrainerConfig, llm: Slot | None = None) -> None:
    """ConfigError with everything that this machine lacks: GPUs, the packages of engine, logger and LLM, oneDNN. A
    warning where it can do what is asked, but only slowly.
    """
    wrong = [*trainer.strategy.build(trainer).check(), *trainer.logger.build().check()]
    wrong += llm.component.lacking(llm.config) if llm else []
    if trainer.matmul == "onednn" and not has_onednn():
        wrong.append("trainer.matmul: this torch was built without oneDNN; choose torch or auto")
    if wrong:
        raise ConfigError("\n".join(wrong))
    if trainer.precision.startswith("bf16") and on_cpu(trainer) and not has_bfloat16():
        log.warning(
            "trainer.precision: this CPU has no instructions for %s and imitates them (a step took three times as long "
            "as with 32-true where it was measured); write 32-true",
            trainer.precision,
        )


def has_bfloat16() -> bool:
    """Whether the CPU multiplies bfloat16 numbers itself (AVX-512 BF16 or AMX; torch knows of x86 alone)."""
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


def busy() -> str | None:
    """What to tell whoever starts training on CPU cores that others work on already; None where there is room."""
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    if load < 0.75 * cores:
        return None
    return (
        f"this machine is busy: load {load:.1f} on {cores} core(s). Two trainings that share cores wait for each "
        f"other's threads and slow down some fourfold: run them one after the other, or each with OMP_NUM_THREADS=1"
    )


def on_cpu(trainer: TrainerConfig) -> bool:
    """Whether a stage trains on the CPU, by choice or because there is nothing else."""
    return trainer.accelerator == "cpu" or (trainer.accelerator == "auto" and not torch.accelerator.is_available())
