"""What the README tells a newcomer to write works as it stands there."""

import re
import sys
from pathlib import Path

import torch

from anyecg import config
from anyecg.model import ECGLanguageModel
from tests.conftest import collator, fuse, make_item, make_model

README = (Path(__file__).parents[1] / "README.md").read_text()


def test_the_encoder_of_the_readme(tmp_path, monkeypatch):
    code = re.search(r"```python\n# my_encoder\.py\n(.*?)```", README, re.S)[1]
    (tmp_path / "my_encoder.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "my_encoder", raising=False)  # another test's file of that name
    slot = config.load("experiments/anyecg_chat.yaml", ["encoder=my_encoder:ConvEncoder", "encoder.width=32"]).encoder
    tiny, encoder = make_model(), slot.build()
    model = ECGLanguageModel(encoder, tiny.connector, fuse(encoder, tiny.connector, tiny.llm), tiny.llm)
    batch = collator(model)([make_item(clips=(1, 2))])
    assert int(batch.ecg_mask.sum()) == 150
    model(batch).backward()
    assert model.encoder.net.weight.grad.abs().sum() > 0
    assert model.encoder.pooled(model.encoder(torch.zeros(2, 12, 1000), torch.ones(2, 12, dtype=torch.bool))).shape == (
        2,
        32,
    )


def test_every_command_names_files_that_are_there():
    for path in re.findall(r"(experiments/[\w/]+\.yaml)", README):
        assert Path(path).exists(), path
