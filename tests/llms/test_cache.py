"""A pass without a cache: the library's states for every family, nothing looked up on the device, no patch of the
library.
"""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import masking_utils

from tests.llms.families import FAMILIES, KNOWN

READS = ("aten._local_scalar_dense", "aten.nonzero", "aten.item")


class NothingIsRead(TorchDispatchMode):
    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        assert not str(function).startswith(READS), function
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("family", FAMILIES)
def test_states_without_a_mask_are_those_with_one(load, family):
    llm = load(family, tuning="none").eval()
    embeds = torch.randn(3, 9, llm.dim)
    with torch.inference_mode():
        with_mask = llm.hidden(embeds, torch.ones(3, 9))
        plain = llm.lm.base_model(inputs_embeds=embeds, use_cache=False).last_hidden_state
        ours = llm.hidden(embeds)
    assert torch.equal(ours, plain)
    torch.testing.assert_close(ours, with_mask, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_value_is_read_in_a_forward_pass(load, family):
    llm, looks = load(family, tuning="none").eval(), masking_utils.find_packed_sequence_indices
    with torch.inference_mode(), NothingIsRead():
        llm.hidden(torch.randn(2, 9, llm.dim))
    assert masking_utils.find_packed_sequence_indices is looks


@pytest.mark.parametrize("family", KNOWN)
def test_checkpointing_gives_the_same_gradients_without_a_warning(load, family, caplog):
    found = []
    for switch in (False, True):
        llm = load(family, tuning="full", gradient_checkpointing=switch).train()
        torch.manual_seed(0)
        embeds = torch.randn(2, 7, llm.dim, generator=torch.Generator().manual_seed(1)).requires_grad_()
        llm.hidden(embeds).square().sum().backward()
        found.append([embeds.grad, *(p.grad for p in llm.parameters() if p.grad is not None)])
    assert len(found[0]) == len(found[1])
    for one, other in zip(*found):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)
    assert "Caching is incompatible" not in caplog.text


def test_a_sliding_window_is_kept(load, family_folder):
    """A window shorter than the text needs its mask also where nothing is cached."""
    llm = load("Mistral", tuning="none").eval()
    embeds = torch.randn(1, 12, llm.dim)
    with torch.inference_mode():
        all_seen = llm.hidden(embeds)
        llm.lm.config.sliding_window = 4
        ours, plain = llm.hidden(embeds), llm.lm.base_model(inputs_embeds=embeds, use_cache=False).last_hidden_state
    assert torch.equal(ours, plain) and not torch.allclose(ours, all_seen, atol=1e-3)
