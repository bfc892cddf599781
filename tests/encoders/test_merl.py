"""MERL's released layout: every tensor used or named as dropped, by tensors alone, and another file refused."""

import pickle

import pytest
import torch

from anyecg.encoders.merl import LEADS, Merl
from anyecg.types import CheckpointError, ConfigError


@pytest.fixture(scope="module")
def released():
    torch.manual_seed(1)
    return Merl(Merl.Config()).eval()


def whole(released):
    """A file of everything, as the release names it."""
    rest = {
        "downconv.weight": torch.zeros(256, 512, 1),
        "att_pool_head.positional_embedding": torch.zeros(314, 256),
        "linear1.weight": torch.zeros(2),
        "proj_t.0.weight": torch.zeros(2),
        "lm_model.embeddings.word_embeddings.weight": torch.zeros(3, 2),
    }
    return {f"module.ecg_encoder.{name}": value for name, value in released.state_dict().items()} | rest


def test_it_has_the_publications_size_and_input(released):
    assert sum(p.numel() for p in released.parameters()) == 3_853_962 - (512 * 10 + 10)  # without its ten classes
    assert (released.input.fs, released.input.scaling, released.input.shape) == (500, "minmax", (12, 5000))
    assert LEADS.index("aVF") == 4 and LEADS.index("aVL") == 5


@pytest.mark.parametrize("layout", ["everything", "encoder"])
def test_both_files_of_the_release_are_read(released, layout, tmp_path):
    file = tmp_path / "res18.pth"
    state = whole(released) if layout == "everything" else {**released.state_dict(), "linear.weight": torch.zeros(2)}
    torch.save(state, file)
    loaded = Merl(Merl.Config(weights=str(file))).eval()
    clips = torch.rand(1, *loaded.input.shape)
    mask = torch.ones(1, 12, dtype=torch.bool)
    assert torch.equal(loaded(clips, mask), released(clips, mask)) and loaded(clips, mask).shape == (1, 313, 512)


@pytest.mark.parametrize("change", ["missing", "strange", "misshapen"])
def test_what_does_not_fit_is_named(released, change, tmp_path):
    state = whole(released)
    if change == "missing":
        del state["module.ecg_encoder.conv1.weight"]
    elif change == "strange":
        state["module.ecg_encoder.layer5.weight"] = torch.zeros(1)
    else:
        state["module.ecg_encoder.conv1.weight"] = torch.zeros(64, 1, 7)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="layer5" if change == "strange" else "conv1.weight"):
        Merl(Merl.Config(weights=str(tmp_path / "x.pth")))


class Code:
    def __reduce__(self):
        return print, ("run",)


def test_nothing_runs_from_a_file(tmp_path, capsys):
    (tmp_path / "bad.pth").write_bytes(pickle.dumps({"a": Code()}))
    with pytest.raises(CheckpointError, match="tensors alone"):
        Merl(Merl.Config(weights=str(tmp_path / "bad.pth")))
    assert "run" not in capsys.readouterr().out
    with pytest.raises(ConfigError, match="no file"):
        Merl.Config(weights=str(tmp_path / "none.pth"))
