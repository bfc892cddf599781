"""The LLM made in the run: small, the same for the same texts, its times cheap to write."""

import pytest
import torch

from anyecg.llms import llms
from anyecg.llms.tiny import TinyConfig, TinyLlama
from anyecg.types import CheckpointError, ConfigError
from tests.llms.families import TEXTS

SMALL = TinyConfig(dim=32, layers=2, heads=2, mlp=48, context=64)


def test_size():
    cfg = TinyConfig()
    llm = TinyLlama(cfg, lambda: TEXTS)
    full = sum(p.numel() for _, p in llm.weights()) + (cfg.vocab - len(llm.tokenizer)) * cfg.dim
    assert 2e6 < full < 4e6 and llm.trained_in_run and (llm.dim, llm.context) == (192, 1024)


def test_the_same_texts_give_the_same_tokenizer():
    first, second = (TinyLlama(SMALL, lambda: TEXTS).tokenizer for _ in range(2))
    assert first.get_vocab() == second.get_vocab()


def test_times_take_few_tokens():
    tokenizer = TinyLlama(SMALL, lambda: TEXTS).tokenizer
    for text, pieces in (("3.7s", ["3", ".7s"]), (" from 12.4s", [" from ", "1", "2", ".4s"])):
        assert [tokenizer.decode(id) for id in tokenizer(text).input_ids] == pieces


def test_any_text_comes_back():
    tokenizer = TinyLlama(SMALL, lambda: TEXTS).tokenizer
    for text in ("No X Found .", "QTc 412 ms , ST-elevation (V1 - V4)", "Ä µV – 房颤\n\n 1.25s"):
        assert tokenizer.decode(tokenizer(text).input_ids, clean_up_tokenization_spaces=False) == text


def test_without_texts():
    with pytest.raises(ConfigError, match="llm: tiny.*llm=hf"):
        TinyLlama(SMALL)


def test_trained_weights_round_trip(tmp_path):
    llm = TinyLlama(SMALL, lambda: TEXTS).eval()
    llm.save_weights(tmp_path)
    embeds, mask = torch.randn(2, 5, llm.dim), torch.ones(2, 5)
    again = TinyLlama(SMALL, lambda: TEXTS).eval()
    assert not torch.allclose(again.hidden(embeds, mask), llm.hidden(embeds, mask))
    again.load_weights(tmp_path)
    torch.testing.assert_close(again.hidden(embeds, mask), llm.hidden(embeds, mask))
    hf = llms["hf"]
    other = hf(hf.Config(path=str(tmp_path), dtype="float32")).eval()
    torch.testing.assert_close(other.hidden(embeds, mask), llm.hidden(embeds, mask))
    assert other.chat.template == llm.chat.template and other.tokenizer.get_vocab() == llm.tokenizer.get_vocab()


def test_weights_of_other_texts_are_refused(tmp_path):
    TinyLlama(SMALL, lambda: TEXTS).save_weights(tmp_path)
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        TinyLlama(SMALL, lambda: [text.replace("Sinus", "Junctional") for text in TEXTS]).load_weights(tmp_path)


def test_it_learns_to_answer():
    """Its base weights, trained as the language stage does, give back a learned answer, ended."""
    from anyecg.types import Turn

    torch.manual_seed(0)
    llm = TinyLlama(TinyConfig(dim=64, layers=2, heads=2, mlp=96, context=64), lambda: TEXTS)
    talk = [Turn("user", "When is the PVC?"), Turn("assistant", "from 3.7s to 4.5s")]
    segments = llm.chat.segments(talk)
    ids = torch.tensor([[id for segment in segments for id in segment.ids]])
    learned = torch.tensor([segment.answer for segment in segments for _ in segment.ids])
    weights = [parameter.requires_grad_() for _, parameter in llm.weights()]
    optimizer = torch.optim.AdamW(weights, lr=3e-3)
    for _ in range(60):
        hidden = llm.hidden(llm.embed(ids), torch.ones_like(ids))[0]
        loss = torch.nn.functional.cross_entropy(llm.head(hidden[:-1][learned[1:]]), ids[0, 1:][learned[1:]])
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    llm.eval()
    prompt = torch.tensor([[id for segment in llm.chat.segments(talk, for_generation=True) for id in segment.ids]])
    with torch.inference_mode():
        assert llm.generate(llm.embed(prompt), torch.ones_like(prompt), 20) == ["from 3.7s to 4.5s"]
