"""Checkpoints that are whole or not there, whatever the disk does, and random states that come back."""

import contextlib
import resource
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from anyecg.config.schema import StageConfig
from anyecg.files import atomic_write
from anyecg.training.guard import Step
from anyecg.training.pipeline import save_stage
from anyecg.training.planning import DONE, PlannedStage
from anyecg.training.progress import LossCurve
from anyecg.training.resume import LAST, AtomicCheckpointIO, Periodic, RandomState
from anyecg.types import AnyECGError, CheckpointError
from tests.conftest import make_model

FULL = "could not be written .*(File too large|No space left on device).*free some disk and give the same command again"


@contextlib.contextmanager
def disk_of(size):
    """No file can grow beyond `size` bytes: the kernel fails the write that would, as on a full disk."""
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, old[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)


def checkpoint(step):
    return {"step": step, "weights": torch.arange(100_000)}


@pytest.mark.parametrize("size", [0, 1000, 200_000])
def test_a_disk_that_fills_up_leaves_the_last_good_checkpoint(tmp_path, size):
    path = tmp_path / LAST
    AtomicCheckpointIO().save_checkpoint(checkpoint(1), path)
    with disk_of(size), pytest.raises(AnyECGError, match=f"last.ckpt: {FULL}"):
        AtomicCheckpointIO().save_checkpoint(checkpoint(2), path)
    assert AtomicCheckpointIO().load_checkpoint(path)["step"] == 1
    assert [p.name for p in tmp_path.iterdir()] == [LAST]


def test_a_device_without_space_is_told_by_its_own_words(tmp_path):
    (tmp_path / "last.ckpt.part").symlink_to("/dev/full")
    with pytest.raises(AnyECGError, match="last.ckpt: could not be written .*No space left on device"):
        AtomicCheckpointIO().save_checkpoint(checkpoint(1), tmp_path / LAST)
    assert not list(tmp_path.iterdir())


def test_a_folder_in_place_of_the_checkpoint_is_told(tmp_path):
    (tmp_path / LAST / "x").mkdir(parents=True)
    with pytest.raises(AnyECGError, match="last.ckpt: could not be written .*directory"):
        AtomicCheckpointIO().save_checkpoint(checkpoint(1), tmp_path / LAST)


@pytest.mark.parametrize("left", [0, 10, 5_000, -50])
def test_a_truncated_checkpoint_is_named(tmp_path, left):
    path = tmp_path / LAST
    AtomicCheckpointIO().save_checkpoint(checkpoint(1), path)
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(
        CheckpointError,
        match="last.ckpt: the checkpoint cannot be read .*delete it, and the same command trains this stage again",
    ):
        AtomicCheckpointIO().load_checkpoint(path)


def test_half_a_checkpoint_beside_is_never_read_and_makes_way(tmp_path):
    path = tmp_path / LAST
    AtomicCheckpointIO().save_checkpoint(checkpoint(1), path)
    (tmp_path / "last.ckpt.part").write_bytes(b"half a checkpoint" * 100_000)
    assert AtomicCheckpointIO().load_checkpoint(path)["step"] == 1
    AtomicCheckpointIO().save_checkpoint(checkpoint(2), path)
    assert AtomicCheckpointIO().load_checkpoint(path)["step"] == 2
    assert [p.name for p in tmp_path.iterdir()] == [LAST]


def test_a_file_is_whole_or_as_it_was(tmp_path):
    path = tmp_path / "facts.json"
    with atomic_write(path) as part:
        part.write_text("one")
        assert not path.exists()
    with pytest.raises(ZeroDivisionError), atomic_write(path) as part:  # an error that is no disk's stays itself
        part.write_text("two")
        1 / 0  # noqa: B018
    assert path.read_text() == "one"


@pytest.mark.parametrize(
    ("trains", "size", "named"),
    [
        (["encoder", "llm"], 2_000, "parts.safetensors"),  # the first file
        (["markers", "llm"], 2_000, ""),  # markers fit, the adapter does not
        (["markers", "llm_weights"], 20_000, ""),
        (["llm"], 100_000, DONE),
    ],
)
def test_a_disk_that_fills_up_while_the_output_is_written_leaves_a_stage_to_go_on_with(
    tmp_path, monkeypatch, trains, size, named
):
    """What was trained is not called finished; with space again, writing it anew ends with the whole output."""
    model = make_model()
    stage = PlannedStage("stage2", StageConfig(trains=trains), "key", tmp_path / "stage2-key", 0)
    AtomicCheckpointIO().save_checkpoint(checkpoint(1), tmp_path / LAST)
    facts = {"steps": "x" * 200_000} if named == DONE else {}
    with disk_of(size), pytest.raises(AnyECGError, match=f"{named}.*: {FULL}"):
        save_stage(model, stage, tmp_path, facts)
    assert not (tmp_path / DONE).exists() and not list(tmp_path.glob("*.part"))
    assert AtomicCheckpointIO().load_checkpoint(tmp_path / LAST)["step"] == 1
    save_stage(model, stage, tmp_path, facts)
    assert (tmp_path / DONE).exists()
    if "llm" in trains:
        saved = load_file(tmp_path / "adapter" / "adapter_model.safetensors")
        assert saved and all(value.isfinite().all() for value in saved.values())


def test_random_states_come_back():
    callback = RandomState()
    state = callback.state_dict()
    first = torch.rand(3)
    again = RandomState()
    again.load_state_dict(state)
    again.on_train_start(SimpleNamespace(global_rank=0), None)
    assert torch.equal(torch.rand(3), first)


def test_a_rank_that_was_not_there_starts_with_its_own_random_state():
    again, before = RandomState(), torch.get_rng_state()
    again.load_state_dict(RandomState().state_dict())
    torch.rand(1)
    now = torch.get_rng_state()
    again.on_train_start(SimpleNamespace(global_rank=1), None)
    assert torch.equal(torch.get_rng_state(), now) and not torch.equal(now, before)


def trainer(step, steps=10, accumulate=1):
    optimizer = SimpleNamespace(param_groups=[{"lr": 0.1}])
    return SimpleNamespace(
        global_step=step,
        max_steps=steps,
        accumulate_grad_batches=accumulate,
        optimizers=[optimizer],
        is_global_zero=True,
        loggers=[],
    )


class Judged:
    """A guard that has judged the steps it is given."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def take(self):
        taken, self.steps = self.steps, []
        return taken


def curve_over(path, every, *losses):
    guard = Judged()
    curve = LossCurve(path, "stage1", every, samples_a_step=4, guard=guard)
    curve.on_train_start(trainer(0), None)
    for step, loss in enumerate(losses, 1):
        guard.steps.append(Step(step, loss, None))
        curve.on_train_batch_end(trainer(step), None, None, None, 0)


def test_the_loss_curve_averages_and_forgets_steps_that_will_be_taken_again(tmp_path):
    path = tmp_path / "loss.csv"
    curve_over(path, 2, 1.0, 3.0, 5.0, 7.0)
    assert [line.split(",")[:3] for line in path.read_text().split()[1:]] == [
        ["2", "2.00000", ""],
        ["4", "6.00000", ""],
    ]
    LossCurve(path, "stage1", 2, 4, Judged()).on_train_start(trainer(2), None)
    assert [line.split(",")[0] for line in path.read_text().split()[1:]] == ["2"]


@pytest.mark.parametrize("torn", ["6", "6,", "6,0.3", "6,0.31234,1.2"])
def test_a_row_torn_by_a_kill_is_written_anew(tmp_path, torn):
    path = tmp_path / "loss.csv"
    curve_over(path, 2, 1.0, 3.0, 5.0, 7.0)
    good = path.read_text()
    path.write_text(good + torn)
    LossCurve(path, "stage1", 2, 4, Judged()).on_train_start(trainer(4), None)
    assert path.read_text().split() == good.split()


def test_a_curve_of_an_earlier_version_goes_on(tmp_path):
    path = tmp_path / "loss.csv"
    path.write_text("step,loss,lr,samples_per_second\n2,1.00000,1.0e-3,5.0\n")
    LossCurve(path, "stage1", 2, 4, Judged()).on_train_start(trainer(2), None)
    assert path.read_text().split() == [
        "step,loss,grad_norm,lr,samples_per_second,validation_loss",
        "2,1.00000,,1.0e-3,5.0,",
    ]


def test_a_disk_that_fills_up_under_the_curve_is_told(tmp_path):
    path = tmp_path / "loss.csv"
    curve_over(path, 2, 1.0, 3.0)
    good = path.read_text()
    with disk_of(len(good) + 5), pytest.raises(AnyECGError, match=f"loss.csv: {FULL}"):
        curve = LossCurve(path, "stage1", 1, 4, Judged(Step(3, 1.0, 2.0)))
        curve.on_train_start(trainer(2), None)
        curve.on_train_batch_end(trainer(3), None, None, None, 0)
    LossCurve(path, "stage1", 2, 4, Judged()).on_train_start(trainer(2), None)
    assert path.read_text() == good


def test_checkpoints_come_every_so_many_whole_steps_and_not_at_the_end(tmp_path):
    saved = []
    run = SimpleNamespace(global_step=0, max_steps=6, save_checkpoint=lambda path: saved.append(run.global_step))
    periodic = Periodic(tmp_path, 2)
    for step in range(1, 7):
        for run.global_step in (step - 1, step):  # two micro-batches: the first leaves the step as it was
            periodic.on_train_batch_end(run, None, None, None, 0)
    assert saved == [2, 4]
    again = Periodic(tmp_path, 2)
    again.load_state_dict(periodic.state_dict())
    run.global_step = 4
    again.on_train_batch_end(run, None, None, None, 0)
    assert saved == [2, 4]
