"""Continuing an interrupted stage exactly: random states beside Lightning's checkpoint, and atomic writes."""

from __future__ import annotations

import os
import random
from pathlib import Path

import lightning as L
import numpy as np
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from anyecg.types import AnyECGError


class RandomState(L.Callback):
    """Saves and restores the random generators of torch, numpy and Python, those of each rank."""

    def state_dict(self) -> dict:
        state = {"torch": torch.get_rng_state(), "numpy": np.random.get_state(), "python": random.getstate()}
        if torch.cuda.is_available():
            state["cuda"] = torch.cuda.get_rng_state_all()
        return state

    def load_state_dict(self, state: dict) -> None:
        self.loaded = state

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        state = getattr(self, "loaded", None)
        if state is None:
            return
        torch.set_rng_state(state["torch"])
        np.random.set_state(state["numpy"])
        random.setstate(state["python"])
        if "cuda" in state and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda"])


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint file, visible only once it is whole."""

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(path.name + ".part")
        try:
            torch.save(checkpoint, part)
            os.replace(part, path)
        except OSError as error:
            part.unlink(missing_ok=True)
            raise AnyECGError(f"{path}: the checkpoint could not be written ({error}); the last good one is untouched. Free some disk and give the same command again") from error


class Periodic(L.Callback):
    """Writes `last.ckpt` every `every` optimizer steps, never between two halves of an accumulated step."""

    def __init__(self, folder: Path, every: int) -> None:
        self.path, self.every = folder / "last.ckpt", every
        self.saved = 0

    def on_train_batch_end(self, trainer: L.Trainer, module: L.LightningModule, outputs, batch, batch_index: int) -> None:
        step = trainer.global_step
        if step % self.every == 0 and step != self.saved and step < trainer.max_steps:
            self.saved = step
            trainer.save_checkpoint(self.path)

    def load_state_dict(self, state: dict) -> None:
        self.saved = state["saved"]

    def state_dict(self) -> dict:
        return {"saved": self.saved}

