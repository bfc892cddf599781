"""A step that is no number never reaches the weights, whenever it is noticed; spikes; and nothing waits for the
device.
"""

import csv
import json
import logging
import math
import os
import subprocess
import sys
from types import SimpleNamespace

import lightning as L
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchdata.stateful_dataloader import StatefulDataLoader

from anyecg.config.schema import StageConfig
from anyecg.training.engines.base import Engine
from anyecg.training.engines.deepspeed import DeepSpeed
from anyecg.training.guard import ENOUGH, STOPPED, Guard
from anyecg.training.progress import LossCurve
from anyecg.training.resume import LAST, AtomicCheckpointIO, Periodic, RandomState
from anyecg.types import AnyECGError, ConfigError


class Slope(L.LightningModule):
    """Learns w from batches whose `loss` says by how much to multiply |w|; `events` names what goes wrong in which
    micro-batch.
    """

    def __init__(self, events=None, fused=True):
        super().__init__()
        self.w, self.fused, self.events = nn.Parameter(torch.ones(3)), fused, events or {}
        self.weights = []

    def training_step(self, batch, index):
        self.weights.append(self.w.detach().clone())
        loss = (self.w * batch.x).square().mean()
        match self.events.get(index):
            case "nan":
                return loss * math.nan
            case "nan without gradient":
                return loss + math.nan
            case "gradient":  # finite loss, infinite gradient
                return loss + (self.w * 0).abs().sqrt().sum()
            case float(factor):
                return loss * factor
        return loss

    def configure_optimizers(self):
        return torch.optim.AdamW(self.parameters(), lr=1e-2, fused=self.fused)


def batches(micro):
    generator = torch.Generator().manual_seed(0)
    return [SimpleNamespace(x=torch.rand(3, generator=generator) + 1, ids=(f"a{i}", f"b{i}")) for i in range(micro)]


def fit(
    folder,
    events=None,
    *,
    steps=8,
    every=4,
    checkpoint_every=100,
    accumulate=2,
    spike=5.0,
    on_spike="warn",
    fused=True,
    clip=1.0,
    extra=(),
):
    """Train for `steps` optimizer steps; returns the module and its guard."""
    module, guard = Slope(events, fused), Guard(folder, "stage2", spike, on_spike, Engine(None, None))
    callbacks = [
        guard,
        LossCurve(folder / "loss.csv", "stage2", every, 4, guard),
        RandomState(),
        Periodic(folder, checkpoint_every),
        *extra,
    ]
    trainer = L.Trainer(
        max_steps=steps,
        max_epochs=1,
        accumulate_grad_batches=accumulate,
        gradient_clip_val=clip,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
        plugins=[AtomicCheckpointIO()],
    )
    last = folder / LAST
    loader = StatefulDataLoader(batches(steps * accumulate), batch_size=None)
    try:
        trainer.fit(module, loader, ckpt_path=str(last) if last.exists() else None, weights_only=False)
    except AnyECGError as error:
        return module, guard, str(error)
    return module, guard, None


def rows(folder):
    with (folder / "loss.csv").open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("event", ["nan", "nan without gradient", "gradient"])
@pytest.mark.parametrize("micro", [4, 5])  # step 3 of two micro-batches each: the first or the second of it
@pytest.mark.parametrize("fused", [True, False])
def test_what_is_no_number_never_changes_a_weight_and_names_its_batch(tmp_path, event, micro, fused):
    """With `fused` the stop comes later, at the next point of the curve; the weights wait for it as they are."""
    module, _, message = fit(tmp_path, {micro: event}, fused=fused)
    good, _, _ = fit(tmp_path / "good", steps=2, fused=fused)
    assert torch.equal(module.w, good.w) and module.w.isfinite().all()
    assert "stage stage2, step 3: the loss is" in message and str(tmp_path / STOPPED) in message
    told = json.loads((tmp_path / STOPPED).read_text())
    assert told["step"] == 3 and [batch["ids"] for batch in told["micro_batches"]] == [["a4", "b4"], ["a5", "b5"]]
    if event != "gradient":
        assert f"The batch: a{micro}, b{micro};" in message and told["micro_batches"][micro - 4]["loss"] == "nan"
    assert len(module.weights) == (8 if fused else 6)
    assert [row["step"] for row in rows(tmp_path)] == []


def test_a_checkpoint_is_never_written_after_it(tmp_path):
    """The bad step is followed by a checkpoint's before the next point of the curve: the checkpoint is not written."""
    module, _, message = fit(tmp_path, {4: "nan"}, every=8, checkpoint_every=2)
    assert "step 3" in message and len(module.weights) == 8
    saved = torch.load(tmp_path / LAST, weights_only=False)
    assert saved["global_step"] == 2 and torch.equal(saved["state_dict"]["w"], module.w)


def test_the_same_command_stops_there_again_and_goes_on_once_the_data_is_mended(tmp_path):
    assert "step 3" in fit(tmp_path, {4: "nan"}, checkpoint_every=2)[2]
    assert "step 3" in fit(tmp_path, {4: "nan"}, checkpoint_every=2)[2]
    assert (tmp_path / STOPPED).exists()
    mended, _, message = fit(tmp_path, checkpoint_every=2)
    assert torch.equal(mended.w, fit(tmp_path / "good")[0].w) and message is None and not (tmp_path / STOPPED).exists()


SPIKE = ENOUGH + 2  # the step, counted from 0


@pytest.mark.parametrize("fused", [True, False])
@pytest.mark.parametrize(("on_spike", "stopped"), [("warn", False), ("skip", False), ("stop", True)])
def test_a_spike_is_told_left_out_or_stops(tmp_path, caplog, on_spike, stopped, fused):
    run = dict(steps=ENOUGH + 4, accumulate=1, on_spike=on_spike, fused=fused)
    with caplog.at_level(logging.WARNING, "anyecg"):
        module, guard, message = fit(tmp_path, {SPIKE: 100.0}, **run)  # noqa: RUF059
    before, after = module.weights[SPIKE], (module.weights[SPIKE + 1] if len(module.weights) > SPIKE + 1 else module.w)
    assert torch.equal(before, after) == (on_spike != "warn")
    assert (message is not None) == stopped
    told = message or caplog.text
    assert f"step {SPIKE + 1}" in told and "more than 5 times the median of" in told and f"a{SPIKE}, b{SPIKE}" in told
    assert stopped == (tmp_path / STOPPED).exists()
    if on_spike == "skip":  # and the optimizer's moments are as if the step had not been
        assert not torch.equal(module.weights[SPIKE + 1], module.w) and module.w.isfinite().all()


@pytest.mark.parametrize("run", [{"spike": 0.0}, {"spike": 200.0}])
def test_without_a_spike_nothing_is_told(tmp_path, caplog, run):
    with caplog.at_level(logging.WARNING, "anyecg"):
        assert fit(tmp_path, {SPIKE: 100.0}, steps=ENOUGH + 4, accumulate=1, on_spike="stop", **run)[2] is None
    assert not caplog.text


def test_a_guard_without_events_changes_nothing(tmp_path):
    one, other = fit(tmp_path / "a", clip=0.5)[0], fit(tmp_path / "b", clip=0.5, spike=0.0, every=1)[0]
    plain = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.AdamW([plain], lr=1e-2, fused=True)
    for pair in zip(*[iter(batches(16))] * 2):
        optimizer.zero_grad()
        for batch in pair:
            ((plain * batch.x).square().mean() / 2).backward()
        torch.nn.utils.clip_grad_norm_([plain], 0.5)
        optimizer.step()
    assert torch.equal(one.w, plain) and torch.equal(other.w, plain)


def test_the_curve_holds_mean_loss_and_the_norm_before_clipping(tmp_path):
    module = fit(tmp_path, steps=4, every=2, clip=0.1)[0]
    losses, norms = [], []
    for (one, two), weights in zip(zip(*[iter(batches(8))] * 2), module.weights[::2], strict=True):
        w = weights.requires_grad_()
        loss = ((w * one.x).square().mean() + (w * two.x).square().mean()) / 2
        losses.append(loss.item())
        norms.append(torch.autograd.grad(loss, w)[0].norm().item())
    told = rows(tmp_path)
    assert [row["step"] for row in told] == ["2", "4"] and list(told[0]) == [
        "step",
        "loss",
        "grad_norm",
        "lr",
        "samples_per_second",
        "validation_loss",
    ]
    for place, row in enumerate(told):
        assert float(row["loss"]) == pytest.approx(sum(losses[2 * place : 2 * place + 2]) / 2, rel=1e-4)
        assert float(row["grad_norm"]) == pytest.approx(sum(norms[2 * place : 2 * place + 2]) / 2, rel=1e-3)


def test_a_resumed_stage_writes_the_same_curve_and_knows_the_same_median(tmp_path):
    """Checkpoints between two points of the curve: the half-made point and the running median go on too."""

    class Killed(L.Callback):
        def on_train_batch_start(self, trainer, module, batch, index):
            if trainer.global_step == 27:
                raise RuntimeError("killed")

    run = dict(steps=32, every=4, checkpoint_every=6, accumulate=1, on_spike="skip")
    whole, guard, _ = fit(tmp_path / "whole", {28: 100.0}, **run)
    with pytest.raises(RuntimeError, match="killed"):
        fit(tmp_path / "killed", {28: 100.0}, extra=[Killed()], **run)
    again, resumed, _ = fit(tmp_path / "killed", {28: 100.0}, **run)
    assert len(again.weights) == 32 - 24 and torch.equal(whole.w, again.w)
    assert torch.equal(guard.recent, resumed.recent) and guard.count == resumed.count == 32
    told, other = rows(tmp_path / "whole"), rows(tmp_path / "killed")
    assert len(told) == 8 and all(
        {**row, "samples_per_second": 0} == {**two, "samples_per_second": 0}
        for row, two in zip(told, other, strict=True)
    )


class NothingWaits(TorchDispatchMode):
    """Fails where a number is fetched from a tensor, which on a GPU waits for the device."""

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert function is not torch.ops.aten._local_scalar_dense.default, "a number was fetched from the device"
        return function(*args, **kwargs or {})


@pytest.mark.parametrize("on_spike", ["warn", "skip", "stop"])
def test_between_two_points_of_the_curve_no_number_is_fetched(tmp_path, monkeypatch, on_spike):
    for name in ("on_train_batch_start", "on_before_backward", "on_before_optimizer_step", "on_train_batch_end"):
        plain = getattr(Guard, name)

        def watched(self, *args, plain=plain):
            with NothingWaits():
                plain(self, *args)

        monkeypatch.setattr(Guard, name, watched)
    fetched = []
    settle = Guard.settle
    monkeypatch.setattr(Guard, "settle", lambda self: fetched.append(len(self.pending)) or settle(self))
    _, _, message = fit(tmp_path, {ENOUGH * 2: 100.0}, steps=ENOUGH + 4, every=8, on_spike=on_spike)
    assert (message is None) == (on_spike != "stop") and [n for n in fetched if n] == [8, 8, 8]


def test_deepspeed_is_settled_before_its_step_and_gives_its_norm_afterwards(tmp_path):
    """The engine's part, played: every micro-batch asks, the norm is known after the step and is -1 where it is no
    number.
    """
    norms = iter([1.5, -1.0])
    trainer = SimpleNamespace(
        precision="32-true",
        precision_plugin=None,
        world_size=1,
        global_step=0,
        accumulate_grad_batches=2,
        model=SimpleNamespace(get_global_grad_norm=lambda: next(norms)),
    )
    guard = Guard(tmp_path, "stage2", 5.0, "warn", DeepSpeed(None, None))
    guard.setup(trainer, None, "fit")

    def micro_batches(*losses):
        for number, loss in enumerate(losses):
            guard.on_train_batch_start(trainer, None, SimpleNamespace(ids=(f"q{number}",)), number)
            guard.on_before_backward(trainer, None, torch.tensor(loss) / 2)
            guard.on_before_optimizer_step(trainer, None, SimpleNamespace(defaults={}))
        guard.on_train_batch_end(trainer, None, None, None, 0)

    micro_batches(1.0, 3.0)
    assert [vars(step) for step in guard.take()] == [{"number": 1, "loss": 2.0, "norm": 1.5}]
    with pytest.raises(
        AnyECGError,
        match="a gradient is not finite, with a loss of 2; stopped right after the step, which the engine takes.*q0, q1",
    ):
        micro_batches(2.0, 2.0)
    with pytest.raises(AnyECGError, match="the loss is nan.*stopped before it changed a weight.*The batch: q1;"):
        micro_batches(2.0, math.nan)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"on_spike": "skp"}, "on_spike: 'skp' is unknown; did you mean 'skip'"),
        ({"spike": 0.5}, "spike: 0.5 times the median"),
    ],
)
def test_settings_that_mean_nothing_are_named(settings, told):
    with pytest.raises(ConfigError, match=told):
        StageConfig(**settings)


RANKS = """
import os, sys
from pathlib import Path
import lightning as L
import torch
from tests.training.test_guard import Slope, batches
from anyecg.training.guard import Guard
from anyecg.training.progress import LossCurve
from anyecg.training.engines.base import Engine
from anyecg.types import AnyECGError

class Half(L.LightningDataModule):
    def train_dataloader(self):
        rank = self.trainer.global_rank
        return torch.utils.data.DataLoader(batches(32)[rank::2], batch_size=None)

class Ranked(Slope):
    def on_fit_start(self):
        self.events = {6: "nan without gradient"} if self.global_rank == 1 else {}

class Kept(Guard):
    def _stop(self, judged, what):
        try:
            super()._stop(judged, what)
        except AnyECGError as error:
            (folder / f"rank{torch.distributed.get_rank()}").write_text(f"{module.w.isfinite().all()} {error}")
            raise

folder, module = Path(sys.argv[1]), Ranked()
guard = Kept(folder, "stage2", 5.0, "warn", Engine(None, None))
trainer = L.Trainer(
    strategy="ddp_fork", devices=2, accelerator="cpu", max_steps=8, accumulate_grad_batches=2, logger=False, enable_checkpointing=False,
    enable_progress_bar=False, enable_model_summary=False, use_distributed_sampler=False,
    callbacks=[guard, LossCurve(folder / "loss.csv", "stage2", 2, 4, guard)],
)
if __name__ == "__main__":
    trainer.fit(module, Half())
"""


@pytest.mark.slow
def test_a_loss_that_is_no_number_on_one_rank_stops_all(tmp_path):
    """Two processes over gloo; no gradient shows it, and each rank's questions are in the file."""
    done = subprocess.run(
        [sys.executable, "-c", RANKS, str(tmp_path)],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode, done.stdout
    for rank in (0, 1):
        told = (tmp_path / f"rank{rank}").read_text()
        assert told.startswith("True stage stage2, step 4: the loss is nan") and "The batch: a13, b13;" in told, (
            told + done.stderr
        )
    batches = json.loads((tmp_path / STOPPED).read_text())["micro_batches"]
    assert [(batch["rank"], batch["ids"][0], batch["loss"] == "nan") for batch in batches] == [
        (0, "a12", False),
        (0, "a14", False),
        (1, "a13", True),
        (1, "a15", False),
    ]
    assert [row["step"] for row in rows(tmp_path)] == ["2"]
