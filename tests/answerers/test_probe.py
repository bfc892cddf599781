"""The probe: labels from training records alone, thresholds from validation, features kept, and its rows in the tables."""

import json

import numpy as np
import pytest
import torch

from anyecg.answerers.base import recordings
from anyecg.answerers.labelled import known_loss, thresholds
from anyecg.answerers.probe import Head
from anyecg.run import main
from anyecg.tasks.classification.task import Classification
from anyecg.types import DataError, ECGSample, Prediction, Turn
from tests.conftest import SMALL


def test_thresholds_are_those_of_the_highest_f1_and_skip_what_a_set_leaves_open():
    likely = np.array([[0.9, 0.2, 0.3], [0.8, 0.4, 0.9], [0.1, 0.6, 0.1], [0.7, 0.1, 0.9]])
    targets = np.array([[1, 0, 0], [1, 1, np.nan], [0, 1, 0], [0, 0, np.nan]])
    assert thresholds(likely, targets) == [0.8, 0.4, 1.0]


def test_the_loss_is_over_what_is_known():
    targets = torch.tensor([[1.0, torch.nan], [0.0, torch.nan]])
    logits = torch.tensor([[2.0, 50.0], [-2.0, -50.0]], requires_grad=True)
    known_loss(logits, targets).backward()
    assert (logits.grad[:, 1] == 0).all() and (logits.grad[:, 0] != 0).all()


@pytest.mark.parametrize("kind", ["linear", "attention"])
def test_a_head_takes_any_number_of_tokens(kind):
    head = Head(8, 3, kind).eval()
    assert head(torch.randn(5, 7, 8)).shape == head(torch.randn(5, 1, 8)).shape == (5, 3)


def test_no_recording_of_the_test_split_is_learnt_from(small_data):
    store = small_data.stores["ptbxl"]
    rows = {split: list(recordings(store, ["id"], split)) for split in ("train", "val")}
    assert rows["train"] and rows["val"] and len(rows["train"]) > len(rows["val"])
    with pytest.raises(DataError, match="not from test"):
        list(recordings(store, ["id"], "test"))


def test_own_scores_rank_labels_and_a_label_without_one_is_left_out():
    info = {"labels": {"c": {"s": ["block", "flutter", "infarction"]}}}
    task = Classification(info=info, text_encoder=Words())

    def asked(i, *names):
        turns = (Turn("user", "?"), Turn("assistant", "Report: x"))
        return ECGSample(f"q{i}", "classification", (), turns, subset="c", meta={"labels": {"s": list(names)}})

    samples = [asked(0, "block"), asked(1, "flutter"), asked(2, "infarction", "block")]
    given = [(0.9, 0.1), (0.2, 0.8), (0.8, 0.3)]
    predictions = [
        Prediction(one.id, "", {"c.s:block": block, "c.s:flutter": flutter})
        for one, (block, flutter) in zip(samples, given)
    ]
    rows = task.score(samples, predictions)
    assert rows["parsed"].all() and task.reduce(rows)["auc(c.s)"] == 1.0
    notes = " ".join(task.notes(rows))
    assert (
        "own scores" in notes
        and "auc(c.s) leaves out labels without positives, negatives or scores: infarction" in notes
    )
    written = task.score(samples, [Prediction(one.id, "block") for one in samples])
    assert "own scores" not in " ".join(task.notes(written))


class Words:
    """A text encoder of one direction a word."""

    def encode(self, texts):
        return torch.stack([torch.nn.functional.one_hot(torch.tensor(len(text) % 9), 9).float() for text in texts])


def run(name, small_cache, folder, *more):
    command = [f"experiments/baselines/{name}.yaml", *SMALL, "answerer.epochs=2", "answerer.batch_size=16", *more]
    assert main([*command, f"cache={small_cache}", f"output={folder}"]) == 0
    (found,) = folder.iterdir()
    return found, json.loads((found / "metrics.json").read_text())


def test_a_probe_of_a_random_encoder_reads_the_ecg_and_nothing_else(small_cache, tmp_path, monkeypatch):
    monkeypatch.setattr("anyecg.training.pipeline.train", lambda *_: pytest.fail("trained"))
    found, metrics = run("random_probe", small_cache, tmp_path / "a")
    views = metrics["tasks"]["classification"]["views"]
    blind = {name: value for name, value in views["blind"]["metrics"].items() if name.startswith("auc")}
    assert blind and set(blind.values()) == {0.5} and views["signal"]["unparsed"] == 0
    assert any(value != 0.5 for name, value in views["signal"]["metrics"].items() if name.startswith("auc"))
    line = json.loads((found / "predictions.jsonl").read_text().splitlines()[0])
    assert all(name.startswith("ptbxl.") and 0 <= value <= 1 for name, value in line["scores"].items())
    assert not any("scores" in json.loads(one) for one in (found / "predictions.jsonl").read_text().splitlines()[-1:])
    kept = sorted(small_cache.glob("answerers/features-*/ptbxl/*.npy"))
    before = [path.stat().st_mtime_ns for path in kept]
    _, again = run("random_probe", small_cache, tmp_path / "b", "answerer.lr=0.01")  # another head, the same features
    assert kept and [path.stat().st_mtime_ns for path in kept] == before
    assert sorted(small_cache.glob("answerers/features-*/ptbxl/*.npy")) == kept
    assert again["answerer"] == {"name": "probe", "knows": "training labels"}


def test_a_supervised_encoder_is_tuned_from_the_labels(small_cache, tmp_path):
    small = [one for one in SMALL if not one.startswith("encoder.")]
    command = ["experiments/baselines/xresnet1d101.yaml", *small, "answerer.epochs=1", "answerer.records=24", "answerer.batch_size=8",
               "encoder.depth=18", "encoder.width=8", "evaluation.limit=10", f"cache={small_cache}", f"output={tmp_path}"]  # fmt: skip
    assert main(command) == 0
    (found,) = tmp_path.iterdir()
    views = json.loads((found / "metrics.json").read_text())["tasks"]["classification"]["views"]
    assert {"signal", "blind", "shuffled", "prior"} <= set(views)
