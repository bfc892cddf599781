"""What may change the weights: a step whose loss or gradient is no finite number never does, and a spike is told."""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path

import lightning as L
import torch
from torch import Tensor

from anyecg.files import atomic_write
from anyecg.training.engines.base import Engine
from anyecg.types import AnyECGError

log = logging.getLogger(__name__)

WINDOW = 100  # optimizer steps whose losses make the running median
ENOUGH = 20  # of them, before a loss can be a spike
NAMED = 8  # questions in a message; the file has them all
STOPPED = "stopped.json"  # the batch a stage stopped at


@dataclass
class Step:
    """An optimizer step that was judged: mean loss over its micro-batches and ranks, gradient norm before clipping
    (None: not known).
    """

    number: int
    loss: float
    norm: float | None


@dataclass
class Judgement:
    """A step as the device knows it: verdict `[loss, norm, bad, spike, median]`, the loss of each micro-batch, and
    its questions.
    """

    number: int
    verdict: Tensor
    losses: Tensor
    ids: list[tuple[str, ...]]


class Guard(L.Callback):
    """Judges each optimizer step between the backward pass and the optimizer, without waiting for the device.

    A loss or gradient norm that is not finite, on any rank, in any micro-batch: the step and all after it are left out
    on the device (fused AdamW's `found_inf`), and `settle`, at the next point of the loss curve and before every
    checkpoint, stops the stage with AnyECGError; the step's questions are in `stopped.json` in the stage's folder. So
    neither the weights nor a checkpoint ever hold what it would have done. A loss above `spike` times the median of the
    last 100 steps'
    losses:
    a warning ("warn"), the step left out and a warning ("skip"), or the same stop ("stop"); `spike` 0 looks for none.

    Where the optimizer cannot leave a step out by itself (an `engine` without `found_inf`, float16), each step is
    settled before it is taken, which waits for the device once a step. An engine that owns the step knows its
    gradients' norm only
    afterwards: there
    a finite loss with a gradient that is not stops the stage after the step, before any checkpoint.
    """

    def __init__(self, folder: Path, stage: str, spike: float, on_spike: str, engine: Engine) -> None:
        self.engine = engine
        self.path, self.stage, self.spike, self.on_spike = folder / STOPPED, stage, spike, on_spike
        self.recent, self.count = torch.zeros(WINDOW), 0
        self.bad: Tensor | None = None
        self.losses: list[Tensor] = []
        self.ids: list[tuple[str, ...]] = []
        self.pending: list[Judgement] = []
        self.settled: list[Step] = []
        self.last: Judgement | None = None

    def setup(self, trainer: L.Trainer, module: L.LightningModule, stage: str) -> None:
        # a loss scaler looks for gradients that overflow, and takes another scale
        self.scaled = trainer.precision.startswith("16")

    def on_train_batch_start(self, trainer: L.Trainer, module: L.LightningModule, batch, batch_index: int) -> None:
        self.ids.append(tuple(batch.ids))

    def on_before_backward(self, trainer: L.Trainer, module: L.LightningModule, loss: Tensor) -> None:
        scaler = getattr(trainer.precision_plugin, "scaler", None)
        scale = scaler.get_scale() if scaler else 1.0
        self.losses.append(loss.detach().float() * (trainer.accumulate_grad_batches / scale))

    def on_before_optimizer_step(
        self, trainer: L.Trainer, module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        if (
            self.engine.owns_step and len(self.losses) < trainer.accumulate_grad_batches
        ):  # it comes here after every micro-batch
            return
        losses = torch.stack(self.losses)
        told = torch.stack([losses.sum() / trainer.accumulate_grad_batches, (~losses.isfinite()).any().float()])
        if trainer.world_size > 1:
            torch.distributed.all_reduce(told)
        loss, norm = told[0] / trainer.world_size, self.engine.gradient_norm(optimizer)
        bad = (told[1] > 0) | ~loss.isfinite()
        if norm is None:
            norm = torch.full_like(loss, math.nan)
        elif not self.scaled:
            bad = bad | ~norm.isfinite()
        median, spike = self._spike(loss)
        stopped = bad | spike if self.on_spike == "stop" else bad
        self.bad = stopped if self.bad is None else self.bad | stopped
        left_out = self.bad | spike if self.on_spike == "skip" else self.bad
        self.pending.append(
            Judgement(trainer.global_step + 1, torch.stack([loss, norm, bad, spike, median]), losses, self.ids)
        )
        self.losses, self.ids = [], []
        if self.engine.found_inf and optimizer.defaults.get("fused"):
            optimizer.found_inf = left_out.float()
            return
        self.settle()
        if self.on_spike == "skip" and left_out.item():
            optimizer.zero_grad(set_to_none=True)

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs, batch, batch_index: int
    ) -> None:
        """The norm of an engine that knows it only once its step is taken."""
        if (
            self.settled
            and self.settled[-1].norm is None
            and (norm := self.engine.norm_after_step(trainer)) is not None
        ):
            step = self.settled[-1]
            step.norm = norm
            if not (math.isfinite(norm) and norm >= 0) and not self.scaled:
                self._stop(
                    self.last,
                    f"a gradient is not finite, with a loss of {step.loss:g}",
                    "stopped right after the step, which the engine "
                    "takes before it reports its gradients' norm: the weights in memory are spoilt and written nowhere",
                )

    def on_train_end(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.settle()
        self.path.unlink(missing_ok=True)

    def settle(self) -> None:
        """Fetch the verdicts since the last time, all at once; AnyECGError at the first that stops the stage."""
        if not self.pending:
            return
        pending, self.pending = self.pending, []
        for judged, row in zip(pending, torch.stack([judged.verdict for judged in pending]).tolist(), strict=True):
            loss, norm, bad, spike, median = row
            self.last = judged
            if bad:
                self._stop(judged, f"the loss is {loss:g}, the gradient norm {norm:g}")
            if spike:
                what = f"the loss is {loss:.4g}, more than {self.spike:g} times the median of {median:.4g}"
                if self.on_spike == "stop":
                    self._stop(judged, what)
                log.warning(
                    "%s, step %d: %s%s; gradient norm %.3g; questions %s",
                    self.stage,
                    judged.number,
                    what,
                    ": left out" if self.on_spike == "skip" else "",
                    norm,
                    _named([id for ids in judged.ids for id in ids]),
                )
            self.settled.append(Step(judged.number, loss, None if math.isnan(norm) else norm))

    def take(self) -> list[Step]:
        """The steps settled since this was last asked, the latest included."""
        self.settle()
        taken, self.settled = self.settled, []
        return taken

    def state_dict(self) -> dict:
        self.settle()  # no checkpoint holds a step that was not judged
        return {"recent": self.recent.cpu(), "count": self.count, "settled": [vars(step) for step in self.settled]}

    def load_state_dict(self, state: dict) -> None:
        self.recent, self.count = state["recent"], state["count"]
        self.settled = [Step(**step) for step in state["settled"]]

    def _spike(self, loss: Tensor) -> tuple[Tensor, Tensor]:
        """The median of the last losses before this one, and whether it is a spike; both stay on the device."""
        self.recent = self.recent.to(loss.device)
        seen = min(self.count, WINDOW)
        median = self.recent[:seen].sort().values[seen // 2] if seen else torch.full_like(loss, math.nan)
        self.recent[self.count % WINDOW] = loss
        self.count += 1
        if not self.spike or seen < ENOUGH:
            return median, torch.zeros_like(loss, dtype=torch.bool)
        return median, loss > self.spike * median

    def _stop(self, judged: Judgement, what: str, where: str = "stopped before it changed a weight") -> None:
        """Write the step's questions, of all ranks, and raise."""
        own = [
            {"loss": str(loss), "ids": list(ids)} for loss, ids in zip(judged.losses.tolist(), judged.ids, strict=True)
        ]
        ranks = [own]
        if torch.distributed.is_initialized():
            ranks = [None] * torch.distributed.get_world_size()
            torch.distributed.all_gather_object(ranks, own)
        batches = [{"rank": rank, **batch} for rank, micro in enumerate(ranks) for batch in micro]
        if not torch.distributed.is_initialized() or torch.distributed.get_rank() == 0:
            with atomic_write(self.path) as part:
                part.write_text(
                    json.dumps(
                        {"stage": self.stage, "step": judged.number, "why": what, "micro_batches": batches}, indent=1
                    )
                )
        if torch.distributed.is_initialized():
            # the first process to leave has the others killed, the one that writes among them
            torch.distributed.barrier()
        culprits = [batch for batch in batches if not math.isfinite(float(batch["loss"]))] or batches
        raise AnyECGError(
            f"stage {self.stage}, step {judged.number}: {what}; {where}, the last checkpoint is from before. "
            f"The batch: {_named([id for batch in culprits for id in batch['ids']])}; all of it is in {self.path}. "
            f"Look at these questions, or lower stages.{self.stage}.lr"
        )


def _named(ids: list[str]) -> str:
    return ", ".join(ids[:NAMED]) + (f" and {len(ids) - NAMED} more" if len(ids) > NAMED else "")
