"""What every stage shares: declared trainables, AdamW, warm-up and decay, small resumable checkpoints."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Mapping

import lightning as L
import torch
from torch import Tensor, nn

from anyecg.config.schema import StageConfig
from anyecg.llms.shards import shape_of
from anyecg.model import ECGLanguageModel
from anyecg.training.engines.base import Engine
from anyecg.training.position import moved
from anyecg.training.resume import LAST
from anyecg.types import CheckpointError


class Stage(L.LightningModule):
    """Base of the LightningModules; a subclass says how a batch becomes a loss.

    trainable: group -> number of parameters that learn in this stage: those that `cfg.trains` declares and, as "heads",
    the stage's own.
    """

    strict_loading = False  # checkpoints hold only what trains
    engine: Engine | None = None  # that trains it (None: not known yet)

    def __init__(self, model: ECGLanguageModel, cfg: StageConfig, steps: int) -> None:
        super().__init__()
        self.model, self.cfg, self.steps = model, cfg, steps
        self.declared = model.train_only(cfg.trains)

    @property
    def trainable(self) -> dict[str, int]:
        own = sum(p.numel() for p in self.own_parameters().values())
        return self.declared | ({"heads": own} if own else {})

    def loss(self, batch) -> Tensor:
        """The scalar a step minimises."""
        raise NotImplementedError

    def training_step(self, batch, batch_index: int) -> Tensor:
        return self.loss(batch)  # logged by LossCurve: `self.log` would wait for the device at every batch

    def validation_step(self, batch, batch_index: int) -> Tensor:
        return self.loss(batch)  # for `validation.Validation`, by way of the engine

    def own_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters of the stage itself, beside the model's (a projection head), which always learn."""
        return {name: p for name, p in self.named_parameters() if not name.startswith("model.")}

    def configure_optimizers(self) -> dict:
        """AdamW and its schedule. Weight decay is on whatever is stored with two or more dimensions: matrices, and with
        them the encoder's [CLS], position and lead embeddings and the two markers, which are tables of vectors. Biases
        and the gains of norms, which have one, have none."""
        groups = self.model.groups()
        learning = [
            (self.cfg.lr * self.cfg.lr_scale.get(group, 1.0), list(groups[group].values())) for group in self.cfg.trains
        ]
        learning.append((self.cfg.lr, list(self.own_parameters().values())))
        settings = []
        for lr, parameters in learning:
            # of the whole parameter: FSDP's parts of one are flat
            matrices = [len(shape_of(p)) >= 2 for p in parameters]
            for decay, is_matrix in ((self.cfg.weight_decay, True), (0.0, False)):
                chosen = [p for p, found in zip(parameters, matrices, strict=True) if found == is_matrix]
                if chosen:
                    settings.append({"params": chosen, "lr": lr, "weight_decay": decay})
        # fused leaves a step out on the device where the guard says so; neither float16's loss scaler nor Lightning's
        # clipping under any mixed precision goes with it
        fused = self._trainer is None or not self.trainer.precision.startswith("16")
        fused = fused and not (self._trainer and self.trainer.precision.endswith("-mixed"))
        optimizer = torch.optim.AdamW(settings, betas=(0.9, 0.999), fused=fused)
        factor = functools.partial(DECAYS[self.cfg.schedule], steps=self.steps, warmup=self.cfg.warmup)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Each rank draws its own dropout; the first one's is that of a single process."""
        if self.global_rank:
            torch.manual_seed(torch.initial_seed() + self.global_rank)

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        """Go on at the same step of the data on another number of devices."""
        self._check(
            checkpoint,
            "it was written for a stage that trains other parts; delete it, and the same command trains this stage "
            "again",
        )
        now = self.trainer.accumulate_grad_batches
        had = moved(checkpoint["loops"], checkpoint["global_step"], checkpoint.get("batches_a_step", now), now)
        if self.trainer.datamodule is not None:
            self.trainer.datamodule.start = had

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["batches_a_step"] = self.trainer.accumulate_grad_batches if self._trainer is not None else 1
        if (
            self._trainer is None or self.trainer.is_global_zero
        ):  # an engine that shards gives whole tensors to the first rank alone
            self._check(checkpoint, "the engine (trainer.strategy) did not give it; what was saved before is untouched")
        checkpoint["state_dict"] = self.own(checkpoint["state_dict"])

    def own(self, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Of a state of the module, by the names in a checkpoint: what learns, and buffers."""
        kept = self.learning() | self._named(self.named_buffers())
        return {name: tensor for name, tensor in state.items() if name in kept}

    def learning(self) -> dict[str, nn.Parameter]:
        """What learns, by the names it has in a checkpoint under any engine."""
        return {name: p for name, p in self._named(self.named_parameters()).items() if p.requires_grad}

    def _named(self, named: Iterable[tuple[str, Tensor]]) -> dict[str, Tensor]:
        return self.engine.names(named) if self.engine else dict(named)

    def _check(self, checkpoint: dict, why: str) -> None:
        """CheckpointError where a checkpoint lacks a tensor that learns: it would be left as it was, without a word."""
        for name in self.learning():
            if name not in checkpoint["state_dict"]:
                raise CheckpointError(f"{LAST}: '{name}', which this stage trains, is not in the checkpoint: {why}")


def cosine(step: int, steps: int, warmup: float) -> float:
    """Factor on the peak learning rate: linear up over the first `warmup` share, then a half cosine to zero."""
    risen, left = _risen(step, steps, warmup)
    return risen if risen < 1 else 0.5 * (1 + math.cos(math.pi * (1 - left)))


def linear(step: int, steps: int, warmup: float) -> float:
    """Factor on the peak learning rate: linear up over the first `warmup` share, then linear to zero."""
    risen, left = _risen(step, steps, warmup)
    return risen if risen < 1 else left


DECAYS = {"cosine": cosine, "linear": linear}


def _risen(step: int, steps: int, warmup: float) -> tuple[float, float]:
    """How far a step is up the warm-up, at most 1, and the share of the decay that is left."""
    rise = max(1, round(steps * warmup))
    return min(1.0, (step + 1) / rise), 1 - min(1.0, max(0, step - rise) / max(1, steps - rise))
