"""The U-Net: its published size, any length of window, its training questions alone, and a run to a table."""

import json

import numpy as np
import pytest
import torch

from anyecg.answerers.base import Fitting
from anyecg.answerers.segmenter import Segmenter
from anyecg.answerers.unet import UNet
from anyecg.config.schema import InputConfig
from anyecg.data.store.store import Stores
from anyecg.run import main
from anyecg.tasks.localization.intervals import inside, iou, runs
from anyecg.tasks.localization.task import Localization
from anyecg.types import DataError, ECGSample, Turn, Window
from tests.conftest import SMALL


def test_it_has_the_size_of_the_publication():
    sizes = {shape: sum(p.numel() for p in UNet(*shape).parameters()) for shape in ((1, 4), (2, 2), (12, 4))}
    assert sizes == {(1, 4): 167_344, (2, 2): 167_370, (12, 4): 167_740}


@pytest.mark.parametrize("samples", [16, 999, 1000, 1001, 6000])
def test_it_takes_windows_of_any_length(samples):
    with torch.inference_mode():
        assert UNet(12, 3).eval()(torch.randn(2, 12, samples)).shape == (2, 3, samples)


def test_runs_are_closed_and_short_or_faint_ones_left_out():
    likely = np.zeros(1000)
    likely[100:200], likely[210:300], likely[500:505], likely[700:900] = 0.9, 0.9, 0.9, 0.55
    assert runs(likely, 100.0, 0.5, 0.5, 0.0).tolist() == [[1, 2], [2.1, 3], [5, 5.05], [7, 9]]
    assert runs(likely, 100.0, 0.5, 0.8, 0.2).tolist() == [[1, 3]]
    assert runs(np.zeros(5), 100.0, 0.5, 0.5, 0.0).shape == (0, 2)


class Signals(Stores):
    """A store of made-up records: noise, and a square wave where a question's intervals are."""

    def __init__(self, samples):
        self.fs, self.signals = 100.0, {}
        for number, one in enumerate(samples):
            count = round(one.meta["seconds"] * 100)
            signal = np.random.default_rng(number).normal(size=(12, count)) * 0.1
            signal[:2] += inside(one.meta["intervals"], count, 100.0) * np.sign(np.sin(np.arange(count)))
            self.signals[one.records[0].record] = (signal.astype(np.float32), np.arange(12) < 2)

    def read(self, window):
        signal, present = self.signals[window.record]
        return signal.copy(), present.copy()

    def seconds(self, window):
        return self.signals[window.record][0].shape[1] / 100


class Training:
    fingerprint = "f"

    def __init__(self, train, val):
        self.splits = {"train": train, "val": val}

    def samples(self, task, split="train"):
        return iter(self.splits[split])


def question(i, seconds=10.0, present=True, name="PVC"):
    start = 1 + i % 5
    intervals = [[start, start + 2 + i % 3]] if present else []
    text = f"Duration: {start}.0s-{start + 2 + i % 3}.0s" if present else f"No {name} Found"
    pool = "localization_short" if seconds == 10 else "localization_long"
    return ECGSample(f"q{i}", "localization", (Window(f"r{i}"),), (Turn("user", "<ecg> ?"), Turn("assistant", text)), pool=pool,
                     meta={"name": name, "seconds": seconds, "intervals": intervals})  # fmt: skip


def fitted(tmp_path, train, val, more=(), **settings):
    class Experiment:
        cache, seed, input = tmp_path, 0, InputConfig()

        class evaluation:
            seed = 0

    answerer = Segmenter(Segmenter.Config(**{"steps": 160, "batch_size": 16, **settings}))
    stores = Signals([*train, *val, *more])
    answerer.fit(Fitting(Experiment, Training(train, val), stores, {"localization": Localization()}))
    return answerer


def test_it_overfits_and_is_kept_and_alone_in_each_answer(tmp_path):
    train = [question(i, present=i % 3 > 0) for i in range(32)]
    new = question(50, 23.4)
    settings = {"steps": 208, "channels": [8, 16, 32], "lr": 0.02, "batch_size": 8}
    answerer = fitted(tmp_path, train, train, [new], **settings)
    answers = {one.id: one for one in answerer.answer([*train, new], "signal")}
    task = Localization()
    scores = [
        iou(task.parse(answers[one.id].text, one), np.array(one.meta["intervals"], float).reshape(-1, 2))
        for one in train
    ]
    assert np.mean(scores) > 0.95 and answers["q0"].text == "No PVC Found"
    assert answers["q1"].scores["present"] > answers["q0"].scores["present"]
    assert len(task.parse(answers[new.id].text, new)) > 0  # longer than any that was learnt
    again = fitted(tmp_path, train, train, [new], **settings)  # kept
    assert list(again.answer([new], "signal")) == [answers[new.id]]  # whatever is asked beside it
    blind = [one.text for one in answerer.answer(train, "blind")]
    assert len(set(blind)) == 1  # nothing of the ECG is left
    unknown = question(1, name="Paced beat")
    assert [one.text for one in answerer.answer([unknown], "signal")] == ["No Paced beat Found"]


def test_without_training_questions_of_its_pools_it_says_so(tmp_path):
    train = [question(i) for i in range(4)]
    with pytest.raises(DataError, match="localization_long"):
        fitted(tmp_path, train, train, pools=["localization_long"])


def test_a_run_of_it_trains_no_stage(small_cache, tmp_path, monkeypatch):
    monkeypatch.setattr("anyecg.training.pipeline.train", lambda *_: pytest.fail("trained"))
    few = [
        "answerer.steps=4",
        "answerer.batch_size=4",
        "answerer.tune=20",
        "answerer.channels=[4,8]",
        "evaluation.limit=12",
    ]
    command = [
        "experiments/baselines/unet_lead_dropout.yaml",
        *SMALL,
        *few,
        "evaluation.views=[signal,blind,shuffled,random_lead_masked]",
    ]
    assert main([*command, f"cache={small_cache}", f"output={tmp_path}"]) == 0
    (run,) = tmp_path.iterdir()
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["answerer"] == {"name": "segmenter", "knows": "training labels"}
    assert {"signal", "blind", "shuffled", "random_lead_masked", "prior"} <= set(
        metrics["tasks"]["localization"]["views"]
    )
