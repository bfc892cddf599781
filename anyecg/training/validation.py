"""The loss on questions of the validation split while a stage trains, and the weights of its lowest."""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections.abc import Iterator, Sequence

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from anyecg.config.schema import StageConfig

TIMES = 10  # a stage, where `validate.every` says nothing else
SHARE = 12  # of a stage's samples one twelfth at most is read for it, which costs about a twenty-fifth of its time
FEWEST, MOST = 32, 256  # questions, where `validate.questions` says nothing else


def schedule(stage: StageConfig) -> tuple[int, int]:
    """Questions of one validation, in whole batches (0: there is none), and optimizer steps between two."""
    steps = -(-stage.samples // stage.batch_size)
    wanted = stage.validate.questions
    if wanted is None:
        wanted = min(MOST, max(FEWEST, stage.samples // (SHARE * TIMES)))
    if not wanted:
        return 0, steps
    questions = max(1, wanted // stage.batch_size) * stage.batch_size
    times = min(TIMES, max(1, stage.samples // (SHARE * questions)))
    return questions, min(steps, stage.validate.every or -(-steps // times))


class Validation(L.Callback):
    """The validation loss every `every` optimizer steps and after the last: the mean loss over `batches`.

    batches: a sequence whose length is a multiple of the number of ranks; each takes its turn. Nothing of training
    notices: neither random states nor modes nor gradients. With `best`, the weights of the lowest loss so far are kept
    on the first rank and in every checkpoint, `kept` after the stage: (step, loss, name -> tensor of what `module.own`
    takes of the state).
    `loss`, `step`: of the last one; `seconds`: that all of this process took.
    """

    def __init__(self, batches: Sequence, every: int, best: bool = False) -> None:
        self.batches, self.every, self.best = batches, every, best
        self.loss: float | None = None
        self.step, self.seconds = -1, 0.0
        self.kept: tuple[int, float, dict[str, Tensor]] | None = None

    def on_train_start(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        self.done = trainer.global_step

    def on_train_batch_end(
        self, trainer: L.Trainer, module: L.LightningModule, outputs, batch, batch_index: int
    ) -> None:
        step = trainer.global_step
        if step == self.done or (step % self.every and step < trainer.max_steps):
            return
        self.done = self.step = step
        began = time.monotonic()
        self.loss = self._measured(trainer, module)
        if self.best and math.isfinite(self.loss) and (self.kept is None or self.loss < self.kept[1]):
            state = trainer.strategy.lightning_module_state_dict()  # of all ranks: an engine gathers what it cut
            own = module.own(state) if trainer.is_global_zero else {}
            self.kept = step, self.loss, {name: tensor.detach().cpu().clone() for name, tensor in own.items()}
        self.seconds += time.monotonic() - began

    def _measured(self, trainer: L.Trainer, module: L.LightningModule) -> float:
        total = torch.zeros((), device=module.device)
        with undisturbed(module):
            for number in range(trainer.global_rank, len(self.batches), trainer.world_size):
                batch = trainer.precision_plugin.convert_input(self.batches[number])
                total += trainer.strategy.validation_step(trainer.strategy.batch_to_device(batch), number).float()
        if trainer.world_size > 1:
            torch.distributed.all_reduce(total)
        return total.item() / len(self.batches)

    def state_dict(self) -> dict:
        return {"kept": self.kept}

    def load_state_dict(self, state: dict) -> None:
        self.kept = state["kept"] if self.best else None


@contextlib.contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """Within it the module is in eval mode without gradients; then its modes and all random states are restored."""
    modes = [(part, part.training) for part in module.modules()]
    numbers, words = np.random.get_state(), random.getstate()
    with torch.random.fork_rng([torch.cuda.current_device()] if torch.cuda.is_available() else []), torch.no_grad():
        module.eval()
        try:
            yield
        finally:
            np.random.set_state(numbers)
            random.setstate(words)
            for part, mode in modes:
                part.training = mode
