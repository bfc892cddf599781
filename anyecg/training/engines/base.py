"""What an engine is: Lightning's strategy for a stage, and all that depends on which one it is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import lightning as L
import torch
from lightning.pytorch.strategies import Strategy
from torch import Tensor
from torch.nn.utils import get_total_norm

from anyecg.config.schema import TrainerConfig
from anyecg.model import ECGLanguageModel

PER_NODE = 8  # GPUs
HALF = 2  # bytes of a 16-bit weight
ADAM = 16  # bytes of a parameter that learns in float32: itself, its gradient and AdamW's two moments

# parameters that learn, frozen ones, those of the largest layer, GPUs -> bytes a GPU (weights, gradients, optimizer)
Estimate = Callable[[int, int, int, int], float]


class Engine:
    """Base of the engines: one process that holds the whole model; a subclass says what is different under it.

    `trainer.strategy` names the engine and its `Config`. Every engine writes the same checkpoint, Lightning's one
    file with what learns as whole tensors and AdamW's moments by number, and resumes from any other's.

    sharded: the engine keeps the model that it trained, so the next stage, and the evaluation, build another;
    keeps_float32: it keeps float32 weights of what learns under a precision of 16 bits ("bf16-true");
    gpus_only: it does not run on a CPU; skips: a step can be left out (`on_spike: skip`); found_inf: a fused
    optimizer leaves it out on the device, where its `found_inf` says so; owns_step: gradients and optimizer are the
    engine's, which comes to the optimizer's hooks after every micro-batch and tells the gradient norm only after the
    step (`norm_after_step`).
    """

    @dataclass(frozen=True)
    class Config:
        """None."""

    sharded = False
    keeps_float32 = False
    gpus_only = False
    skips = True
    found_inf = True
    owns_step = False

    def __init__(self, cfg: Any, trainer: TrainerConfig) -> None:
        self.cfg, self.trainer = cfg, trainer

    @classmethod
    def problems(cls, cfg: Any, trainer: TrainerConfig) -> Iterator[tuple[str, str]]:
        """What of `trainer` makes no sense under this engine, on any machine: (key of `trainer`, what is wrong)."""
        if trainer.precision in ("bf16-true", "16-true") and not cls.keeps_float32:
            yield (
                "precision",
                (
                    f"{trainer.precision} rounds small updates of the weights away, where no float32 copy of "
                    f"them is kept; "
                    f"choose {trainer.precision.removesuffix('true')}mixed, or strategy: deepspeed, which keeps one"
                ),
            )

    def check(self) -> Iterator[str]:
        """What this machine lacks for the engine, a message each, before any data is built."""
        gpus, trainer = torch.cuda.device_count(), self.trainer
        if self.needs_gpus and trainer.devices > gpus:
            yield (
                f"trainer.accelerator: {trainer.accelerator} with trainer.devices: {trainer.devices} needs as "
                f"many GPUs on this machine, "
                f"which has {gpus}; set trainer.accelerator=cpu, or fewer devices"
            )
        elif self.gpus_only and not self.needs_gpus and (trainer.accelerator == "cpu" or not gpus):
            yield (
                f"trainer.strategy: {trainer.strategy.name} needs GPUs, and trainer.accelerator is "
                f"{trainer.accelerator} on a machine that has {gpus}; "
                "choose ddp or single"
            )

    @property
    def needs_gpus(self) -> bool:
        """Whether `trainer.accelerator` asks for CUDA devices."""
        return self.trainer.accelerator == "cuda" or (
            self.trainer.accelerator == "gpu" and not torch.backends.mps.is_available()
        )

    def strategy(self, model: ECGLanguageModel) -> Strategy | str:
        """What Lightning's Trainer takes; ConfigError where a package is missing."""
        return "auto"

    @contextlib.contextmanager
    def building(self) -> Iterator[None]:
        """Within it the model is built, before a stage that this engine trains."""
        yield

    def clip_value(self, norm: float) -> float | None:
        """The gradient norm that Lightning clips to; None where `callbacks` does it (or `norm` is 0)."""
        return norm or None

    def callbacks(self, clip: float) -> list[L.Callback]:
        """Lightning callbacks that the engine needs, right after the guard; clip: the gradient norm to clip to."""
        return []

    def gradient_norm(self, optimizer: torch.optim.Optimizer) -> Tensor | None:
        """Float32 scalar: the norm of the whole gradient before clipping; None where it is known after the step."""
        return get_total_norm(
            [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        ).float()

    def norm_after_step(self, trainer: L.Trainer) -> float | None:
        """The norm of the step just taken, where `gradient_norm` gave None; -1 or not finite: it was spoilt."""
        return None

    def names(self, named: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
        """Named tensors by the names they have without the engine's wrappers."""
        return dict(named)

    def gather(self, trainer: L.Trainer, model: ECGLanguageModel) -> dict[str, Tensor]:
        """The LightningModule's whole tensors by name (first rank), wrappers off the model; all ranks call it."""
        return trainer.strategy.lightning_module_state_dict()

    @classmethod
    def estimates(cls) -> Mapping[str, Estimate]:
        """Label -> memory estimate of the engine's variants, for `--plan`; ConfigError where a package is missing."""
        return {}
