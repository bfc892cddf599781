"""A scheduler's notice: the step ends and is saved, and the process leaves with the status that asks to be queued again."""

import os
import signal

import lightning as L
import pytest
import torch

from anyecg.cli.terminal import guarded
from anyecg.config.schema import StageConfig
from anyecg.notice import SIGNALS, handling, noticed
from anyecg.objectives.answer import AnsweringStage
from anyecg.training.preemption import Preemption
from anyecg.training.resume import LAST, AtomicCheckpointIO
from anyecg.types import REQUEUE, Preempted
from tests.conftest import collator, make_item, make_model


class Notice(L.Callback):
    """Sends a notice to this process, so often, in the first of two micro-batches of step 2."""

    def __init__(self, number, times=1):
        self.number, self.times = number, times

    def on_train_batch_start(self, trainer, module, batch, batch_index):
        if batch_index == 2:
            for _ in range(self.times):
                os.kill(os.getpid(), self.number)


def train(folder, *callbacks, steps=4):
    model = make_model(dropout=0.0)
    stage = AnsweringStage(model, StageConfig(trains=["connector"]), steps)
    batches = [collator(model)([make_item(f"q{n}", seed=n)]) for n in range(2 * steps)]
    preemption = Preemption(folder)
    trainer = L.Trainer(
        max_steps=steps,
        accumulate_grad_batches=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[*callbacks, preemption],
        plugins=[AtomicCheckpointIO()],
        default_root_dir=folder,
    )
    last = folder / LAST
    trainer.fit(
        stage,
        torch.utils.data.DataLoader(batches, batch_size=None),
        ckpt_path=str(last) if last.exists() else None,
        weights_only=False,
    )
    return trainer, preemption


@pytest.fixture(autouse=True)
def handlers():
    """Handlers are as they were, after every test."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    assert {number: signal.getsignal(number) for number in SIGNALS} == before


@pytest.mark.parametrize("number", SIGNALS)
def test_the_step_ends_and_is_saved(tmp_path, number):
    with pytest.raises(Preempted, match="told to stop at step 2 of 4"), noticed():
        train(tmp_path, Notice(number))
    assert torch.load(tmp_path / LAST, weights_only=False)["global_step"] == 2
    trainer, _ = train(tmp_path)
    assert trainer.global_step == 4


def test_slurms_notice_is_ours_too(tmp_path, monkeypatch):
    """Lightning's own handler would save a checkpoint of another name and call scontrol."""
    there = {"NTASKS": "1", "JOB_ID": "7", "JOB_NAME": "train", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
    for key, value in (there | {"NODELIST": "localhost"}).items():
        monkeypatch.setenv(f"SLURM_{key}", value)
    with pytest.raises(Preempted, match="told to stop at step 2 of 4"):
        train(tmp_path, Notice(signal.SIGUSR1))
    assert [path.name for path in tmp_path.iterdir()] == [LAST]


def test_a_second_notice_does_not_wait_for_the_step(tmp_path):
    with pytest.raises(Preempted, match="told to stop again"):
        train(tmp_path, Notice(signal.SIGTERM, times=2))
    assert not (tmp_path / LAST).exists()


def test_a_notice_in_the_last_step_lets_the_stage_end(tmp_path):
    _, preemption = train(tmp_path, Notice(signal.SIGTERM), steps=2)
    assert not (tmp_path / LAST).exists()
    with pytest.raises(Preempted, match="which is finished"):
        preemption.leave()


def test_a_command_that_is_told_to_stop_says_so_by_its_status(capsys):
    assert guarded(lambda: os.kill(os.getpid(), signal.SIGTERM)) == REQUEUE == 99
    assert "told to stop by SIGTERM. The same command goes on from here" in capsys.readouterr().err


def test_a_forked_process_takes_the_signal_as_ever():
    with handling(lambda number: None):
        child = os.fork()
        if not child:
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
