"""Validation while a stage trains: it changes nothing, costs little, and the best weights outlive a kill."""

import csv
import random

import lightning as L
import numpy as np
import pytest
import torch
from torch import nn
from torchdata.stateful_dataloader import StatefulDataLoader

from anyecg.config.schema import StageConfig, ValidateConfig
from anyecg.training.engines.base import Engine
from anyecg.training.guard import Guard
from anyecg.training.progress import LossCurve
from anyecg.training.resume import LAST, AtomicCheckpointIO, Periodic, RandomState
from anyecg.training.validation import FEWEST, MOST, SHARE, TIMES, Validation, schedule


class Batch:
    """A row of numbers and its question."""

    def __init__(self, x):
        self.x, self.ids = x, ("q",)


class Toy(L.LightningModule):
    """Moves w towards ones, validated against one half: the loss falls, then rises. Draws from every generator."""

    def __init__(self):
        super().__init__()
        self.w, self.drop = nn.Parameter(torch.zeros(3)), nn.Dropout(0.5)
        self.frozen = nn.Parameter(torch.ones(1), requires_grad=False)
        self.drawn = []

    def training_step(self, batch, index):
        self.drawn.append((torch.rand(1).item(), np.random.rand(), random.random()))  # noqa: NPY002
        return (self.drop(batch.x) * (self.w - 1)).square().mean() + 0.1 * (self.w - 1).square().mean()

    def validation_step(self, batch, index):
        assert not self.training and not torch.is_grad_enabled()
        torch.rand(5), np.random.rand(5), random.random()  # noqa: NPY002
        return (self.drop(batch.x) * (self.w - 0.5)).square().mean()

    def own(self, state):
        return {name: tensor for name, tensor in state.items() if name == "w"}

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), lr=0.05)


def rows_of(seed, count):
    generator = torch.Generator().manual_seed(seed)
    return [Batch(torch.rand(3, generator=generator) + 0.5) for _ in range(count)]


def fit(folder, validation=None, steps=20, stop=None):
    """Train for `steps` optimizer steps of two micro-batches each; stop: die after so many."""
    folder.mkdir(exist_ok=True)
    L.seed_everything(0, verbose=False)
    module, guard = Toy(), Guard(folder, "stage1", 5.0, "warn", Engine(None, None))

    class Killed(L.Callback):
        def on_train_batch_end(self, trainer, *_):
            if stop is not None and trainer.global_step == stop:
                raise RuntimeError("killed")

    trainer = L.Trainer(
        max_steps=steps,
        max_epochs=1,
        accumulate_grad_batches=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        plugins=[AtomicCheckpointIO()],
        callbacks=[
            guard,
            *([validation] if validation else []),
            LossCurve(folder / "loss.csv", "stage1", 5, 4, guard, validation),
            RandomState(),
            Periodic(folder, 4),
            Killed(),
        ],
    )
    last = folder / LAST
    loader = StatefulDataLoader(rows_of(0, 2 * steps), batch_size=None)
    try:
        trainer.fit(module, loader, ckpt_path=str(last) if last.exists() else None, weights_only=False)
    except RuntimeError as error:
        assert str(error) == "killed"
    return module


def curve(folder):
    with (folder / "loss.csv").open() as file:
        return [(int(row["step"]), row["loss"], row["validation_loss"]) for row in csv.DictReader(file)]


def test_training_does_not_notice_it(tmp_path):
    plain, watched = fit(tmp_path / "plain"), fit(tmp_path / "watched", Validation(rows_of(1, 4), every=3))
    assert (
        torch.equal(plain.w, watched.w) and plain.drawn == watched.drawn and watched.training and watched.drop.training
    )
    losses = {step: validation for step, _, validation in curve(tmp_path / "watched")}
    assert sorted(losses) == [3, 5, 6, 9, 10, 12, 15, 18, 20]
    assert [step for step, loss in losses.items() if loss] == [3, 6, 9, 12, 15, 18, 20]
    expected = np.mean([((batch.x * (watched.w - 0.5)).square().mean()).item() for batch in rows_of(1, 4)])
    assert float(losses[20]) == pytest.approx(expected, abs=1e-5)


def test_the_best_weights_are_kept_over_a_kill(tmp_path):
    whole, cut = (Validation(rows_of(1, 4), every=1, best=True) for _ in range(2))
    fit(tmp_path / "whole", whole)
    step, loss, weights = whole.kept
    losses = {step: float(validation) for step, _, validation in curve(tmp_path / "whole")}
    assert step == min(losses, key=losses.get) and loss == pytest.approx(losses[step], abs=1e-5) and 1 < step < 20
    assert set(weights) == {"w"}
    fit(tmp_path / "cut", cut, stop=step + 2)  # the best is in a checkpoint, or will be measured again
    again = Validation(rows_of(1, 4), every=1, best=True)
    fit(tmp_path / "cut", again)
    assert again.kept[:2] == (step, loss) and torch.equal(again.kept[2]["w"], weights["w"])
    assert curve(tmp_path / "cut") == curve(tmp_path / "whole")


def stage(**settings):
    return StageConfig(trains=["encoder"], tasks={"report": 1}, **settings)


@pytest.mark.parametrize(
    ("samples", "batch"), [(4800, 16), (16000, 16), (400_000, 256), (7_732_680, 256), (96, 8), (48, 16), (10, 64)]
)
def test_by_default_it_reads_a_small_share_of_what_training_does(samples, batch):
    questions, every = schedule(stage(samples=samples, batch_size=batch))
    steps = -(-samples // batch)
    times = -(-steps // every)
    assert questions % batch == 0 and 0 < questions <= max(MOST, batch) and 1 <= times <= TIMES
    assert times == 1 or times * questions <= samples / SHARE * 1.01
    if samples >= SHARE * TIMES * FEWEST:
        assert times >= 9


def test_how_often_and_how_many_can_be_said():
    assert schedule(stage(samples=640, batch_size=16, validate=ValidateConfig(questions=100, every=7))) == (96, 7)
    assert schedule(stage(samples=640, batch_size=16, validate=ValidateConfig(questions=0)))[0] == 0
