"""Tensors are taken out of files with other things in them, and nothing of these is run."""

import argparse
import pickle

import pytest
import torch
from safetensors.torch import load_file

from anyecg.cli.convert import main
from anyecg.encoders.released import tensors
from anyecg.types import CheckpointError


class Code:
    def __reduce__(self):
        return print, ("it ran",)


class Settings(dict):
    def __init__(self, **values):
        super().__init__(values)
        self.more = values


def held():
    weights = torch.arange(6.0).view(2, 3)
    return {
        "model": {"a.weight": weights, "a.tied": weights, "b": torch.tensor(1.0, dtype=torch.bfloat16)},
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}},
        "args": argparse.Namespace(lr=0.1, code=Code()),
        "config": Settings(width=3),
        "epoch": 4,
    }


def test_the_tensors_are_taken_and_nothing_runs(tmp_path, capsys):
    torch.save(held(), tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="python -m anyecg convert"):
        tensors(tmp_path / "x.pth", ("model",))
    assert main([str(tmp_path / "x.pth"), str(tmp_path / "x.safetensors")]) == 0
    out = capsys.readouterr().out
    assert "it ran" not in out and "3 tensors" in out
    found = load_file(tmp_path / "x.safetensors")
    assert torch.equal(found["a.weight"], held()["model"]["a.weight"]) and found["b"].dtype == torch.bfloat16
    assert tensors(tmp_path / "x.safetensors").keys() == {"a.weight", "a.tied", "b"}


def test_names_are_kept_where_weights_lie_in_several_places(tmp_path):
    torch.save({"encoder": {"w": torch.zeros(2)}, "predictor": {"w": torch.ones(2)}}, tmp_path / "x.pth")
    main([str(tmp_path / "x.pth"), str(tmp_path / "x.safetensors")])
    assert load_file(tmp_path / "x.safetensors").keys() == {"encoder.w", "predictor.w"}


@pytest.mark.parametrize("content", [b"no checkpoint", pickle.dumps(Code())])
def test_what_is_no_checkpoint_is_refused(content, tmp_path, capsys):
    (tmp_path / "x.pth").write_bytes(content)
    assert main([str(tmp_path / "x.pth"), str(tmp_path / "x.safetensors")]) == 2
    told = capsys.readouterr()
    assert "it ran" not in told.out and "x.pth" in told.err and not (tmp_path / "x.safetensors").exists()


def test_the_target_is_a_safetensors(tmp_path, capsys):
    torch.save(held(), tmp_path / "x.pth")
    assert main([str(tmp_path / "x.pth"), str(tmp_path / "y.pth")]) == 2
    assert ".safetensors" in capsys.readouterr().err
