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
