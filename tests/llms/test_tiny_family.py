"""Tiny models of many families: of the sizes that are set, trained in the run, and with an ECG in each way of entering."""

import pytest
import torch

from anyecg.llms.tiny_family import FAMILIES, TinyFamily, TinyFamilyConfig
from anyecg.types import ConfigError
from tests.llms.families import TEXTS


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_is_built_and_reads(family):
    cfg = TinyFamilyConfig(dim=32, layers=2, heads=2, mlp=48, context=64, family=family)
    llm = TinyFamily(cfg, lambda: TEXTS).eval()
    assert llm.dim == 32 and llm.lm.config.model_type == family and llm.trained_in_run
    ids = torch.tensor([llm.tokenizer(TEXTS[0]).input_ids[:12]])
    with torch.inference_mode():
        states = llm.hidden(llm.embed(ids))
        torch.testing.assert_close(llm.head(states), llm.lm(input_ids=ids).logits, atol=1e-5, rtol=1e-4)
    assert TinyFamily.architecture(cfg).vocab_size == cfg.vocab


def test_an_unknown_family_is_told():
    with pytest.raises(ConfigError, match="family"):
        TinyFamilyConfig(family="lama")


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_weights_are_drawn_whole_whatever_the_engine(family, monkeypatch):
    """The library's `from_config` builds under ZeRO-3 in parts, each with numbers of its own."""
    cfg = TinyFamilyConfig(dim=32, layers=1, heads=2, mlp=48, context=64, family=family)

    def drawn():
        torch.manual_seed(0)
        return TinyFamily(cfg, lambda: TEXTS).state_dict()

    def parts(*args, **kwargs):
        raise AssertionError("built by from_config")

    whole = drawn()
    monkeypatch.setattr("transformers.PreTrainedModel._from_config", parts)
    assert all(torch.equal(value, whole[name]) for name, value in drawn().items())
