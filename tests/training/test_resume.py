"""Checkpoints that are whole or not there, and a stage that stops at a loss that is no number."""

from types import SimpleNamespace

import pytest
import torch

from anyecg.training.progress import LossCurve
from anyecg.training.resume import AtomicCheckpointIO, RandomState
from anyecg.types import AnyECGError


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "last.ckpt"
    AtomicCheckpointIO().save_checkpoint({"step": 1}, path)

    def full(checkpoint, target):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(AnyECGError, match="last.ckpt: .*No space left on device.*same command"):
        AtomicCheckpointIO().save_checkpoint({"step": 2}, path)
    assert torch.load(path, weights_only=True) == {"step": 1}
    assert [p.name for p in tmp_path.iterdir()] == ["last.ckpt"]


def test_random_states_come_back():
    callback = RandomState()
    state = callback.state_dict()
    first = torch.rand(3)
    again = RandomState()
    again.load_state_dict(state)
    again.on_train_start(None, None)
    assert torch.equal(torch.rand(3), first)


def trainer(step, steps=10, accumulate=1):
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.1}])
    return SimpleNamespace(global_step=step, max_steps=steps, accumulate_grad_batches=accumulate, optimizers=[optimizer], is_global_zero=True)


def test_the_loss_curve_averages_and_forgets_steps_that_will_be_taken_again(tmp_path):
    path = tmp_path / "loss.csv"
    curve = LossCurve(path, "stage1", every=2, samples_a_step=4)
    curve.on_train_start(trainer(0), None)
    for step, loss in ((1, 1.0), (2, 3.0), (3, 5.0), (4, 7.0)):
        curve.on_train_batch_end(trainer(step), None, {"loss": torch.tensor(loss)}, None, 0)
    assert [line.split(",")[:2] for line in path.read_text().split()[1:]] == [["2", "2.00000"], ["4", "6.00000"]]
    LossCurve(path, "stage1", every=2, samples_a_step=4).on_train_start(trainer(2), None)
    assert [line.split(",")[0] for line in path.read_text().split()[1:]] == ["2"]


@pytest.mark.parametrize("loss", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_stops_and_names_the_batch(tmp_path, loss):
    curve = LossCurve(tmp_path / "loss.csv", "stage2", every=1, samples_a_step=4)
    curve.on_train_start(trainer(0), None)
    with pytest.raises(AnyECGError, match="stage stage2, step 1: the loss is (nan|inf); last batch: q1, q2"):
        curve.on_train_batch_end(trainer(1), None, {"loss": torch.tensor(loss)}, SimpleNamespace(ids=("q1", "q2")), 0)
