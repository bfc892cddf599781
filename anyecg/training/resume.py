"""Continuing an interrupted stage exactly: files that are whole or not there, and random states beside Lightning's
checkpoint.
"""

from __future__ import annotations

import pickle
import random
from pathlib import Path

import lightning as L
import numpy as np
import torch
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO

from anyecg.files import atomic_write
from anyecg.types import CheckpointError

LAST = "last.ckpt"


class RandomState(L.Callback):
    """Saves and restores the random generators of torch, numpy and Python, those of each rank."""

    def state_dict(self) -> dict:
        own = {"torch": torch.get_rng_state(), "numpy": np.random.get_state(), "python": random.getstate()}
        if torch.cuda.is_available():
            own["cuda"] = torch.cuda.get_rng_state()
        if not torch.distributed.is_initialized():
            return {"ranks": [own]}
        ranks = [None] * torch.distributed.get_world_size()  # one rank writes the checkpoint, for all
        torch.distributed.all_gather_object(ranks, own)
        return {"ranks": ranks}

    def load_state_dict(self, state: dict) -> None:
        self.loaded = state["ranks"]

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        ranks = getattr(self, "loaded", [])
        if trainer.global_rank >= len(ranks):
            return
        state = ranks[trainer.global_rank]
        torch.set_rng_state(state["torch"])
        np.random.set_state(state["numpy"])
        random.setstate(state["python"])
        if "cuda" in state and torch.cuda.is_available():
            torch.cuda.set_rng_state(state["cuda"])


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint file, visible only once it is whole; one that cannot be written or read is told by its
    name.
    """

    def save_checkpoint(self, checkpoint, path, storage_options=None) -> None:
        with atomic_write(Path(path)) as part, part.open("wb") as file:
            torch.save(checkpoint, file)

    def load_checkpoint(self, path, map_location=None, weights_only=None) -> dict:
        try:
            return super().load_checkpoint(path, map_location, weights_only)
        except (OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
            raise CheckpointError(
                f"{path}: the checkpoint cannot be read ({error}). It was damaged after it was written; delete it, "
                f"and the same command "
                "trains this stage again from its beginning"
            ) from error


class Periodic(L.Callback):
    """Writes `last.ckpt` every `every` optimizer steps, never between two halves of an accumulated step."""

    def __init__(self, folder: Path, every: int) -> None:
        self.path, self.every = folder / LAST, every
        self.saved = 0

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs, batch, batch_index: int
    ) -> None:
        step = trainer.global_step
        if step % self.every == 0 and step != self.saved and step < trainer.max_steps:
            self.saved = step
            trainer.save_checkpoint(self.path)

    def load_state_dict(self, state: dict) -> None:
        self.saved = state["saved"]

    def state_dict(self) -> dict:
        return {"saved": self.saved}
