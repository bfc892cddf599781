"""Where the checkpoint of an answerer lies; `test_anyecg_chat` runs one through the shipped experiment."""

import pytest

from anyecg.checkpoints.answerer import Checkpoint, contents
from anyecg.types import CheckpointError


def test_what_is_no_checkpoint_is_named(tmp_path):
    with pytest.raises(CheckpointError, match=r"answerer\.folder: name the folder"):
        Checkpoint().fit(None)
    with pytest.raises(CheckpointError, match=r"answerer\.folder: there is no folder"):
        Checkpoint(Checkpoint.Config(folder=str(tmp_path / "nowhere"))).fit(None)
    (tmp_path / "a.json").write_text("{}")
    one = contents(tmp_path)
    (tmp_path / "a.json").write_text("{} ")
    assert one.keys() == contents(tmp_path).keys() and one != contents(tmp_path)
    assert Checkpoint().cfg.folder is None
