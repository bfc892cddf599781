"""What every stage shares: declared trainables, AdamW, cosine with warm-up, small resumable checkpoints."""

from __future__ import annotations

import math

import lightning as L
import torch
from torch import Tensor, nn

from anyecg.experiment import StageConfig
from anyecg.model import ECGLanguageModel
from anyecg.training.position import moved


class Stage(L.LightningModule):
    """Base of the LightningModules; a subclass says how a batch becomes a loss.

    trainable: group -> number of parameters that learn in this stage, as declared by `cfg.trains`.
    """

    strict_loading = False  # checkpoints hold only what trains

    def __init__(self, model: ECGLanguageModel, cfg: StageConfig, steps: int) -> None:
        super().__init__()
        self.model, self.cfg, self.steps = model, cfg, steps
        self.trainable = model.train_only(cfg.trains)

    def loss(self, batch) -> Tensor:
        """The scalar a step minimises."""
        raise NotImplementedError

    def training_step(self, batch, batch_index: int) -> Tensor:
        loss = self.loss(batch)
        self.log("loss", loss.detach(), prog_bar=True)
        return loss

    def own_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters of the stage itself, beside the model's (a projection head), which always learn."""
        return {name: p for name, p in self.named_parameters() if not name.startswith("model.")}

    def configure_optimizers(self) -> dict:
        """AdamW and its schedule. Weight decay is on whatever is stored with two or more dimensions: matrices, and with them the
        encoder's [CLS], position and lead embeddings and the two markers, which are tables of vectors. Biases and the gains of
        norms, which have one, have none."""
        groups = self.model.groups()
        learning = [(self.cfg.lr * self.cfg.lr_scale.get(group, 1.0), list(groups[group].values())) for group in self.cfg.trains]
        learning.append((self.cfg.lr, list(self.own_parameters().values())))
        settings = []
        for lr, parameters in learning:
            for decay, chosen in ((self.cfg.weight_decay, [p for p in parameters if p.ndim >= 2]), (0.0, [p for p in parameters if p.ndim < 2])):
                if chosen:
                    settings.append({"params": chosen, "lr": lr, "weight_decay": decay})
        # fused leaves a step out on the device where the guard says so; float16's loss scaler does not go with it
        fused = self._trainer is None or not self.trainer.precision.startswith("16")
        optimizer = torch.optim.AdamW(settings, betas=(0.9, 0.999), fused=fused)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: cosine(step, self.steps, self.cfg.warmup))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_fit_start(self) -> None:
        """Each rank draws its own dropout; the first one's is that of a single process."""
        if self.global_rank:
            torch.manual_seed(torch.initial_seed() + self.global_rank)

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        """Go on at the same step of the data on another number of devices."""
        now = self.trainer.accumulate_grad_batches
        had = moved(checkpoint["loops"], checkpoint["global_step"], checkpoint.get("batches_a_step", now), now)
        if self.trainer.datamodule is not None:
            self.trainer.datamodule.start = had

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["batches_a_step"] = self.trainer.accumulate_grad_batches if self._trainer is not None else 1
        learning = {name for name, p in self.named_parameters() if p.requires_grad}
        buffers = {name for name, _ in self.named_buffers()}
        checkpoint["state_dict"] = {k: v for k, v in checkpoint["state_dict"].items() if k in learning or k in buffers}


def cosine(step: int, steps: int, warmup: float) -> float:
    """Factor on the peak learning rate: linear up over the first `warmup` share, then a half cosine to zero."""
    rise = max(1, round(steps * warmup))
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (step - rise) / max(1, steps - rise))))
