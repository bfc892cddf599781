"""Rows one after the other give the states of each alone, whatever the family."""

import pytest
import torch

from anyecg.llms.packed import ATTENTION, Rows
from tests.llms.families import FAMILIES

LENGTHS = (3, 5, 5, 9)
PADDED_INSIDE = {"Mistral", "Gemma2", "Bloom", "Falcon"}  # a window, eager attention, or positions by the mask alone


def states_and_gradients(llm, embeds, weights, by_row):
    embeds = embeds.clone().requires_grad_()
    rows = embeds[0].split(list(LENGTHS))
    found = torch.cat([llm.hidden(row[None])[0] for row in rows]) if by_row else llm.hidden_of_packed(embeds, LENGTHS)[0]
    (found * weights).sum().backward()
    return found.detach(), embeds.grad


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_do_not_see_each_other(load, family):
    llm = load(family, tuning="none").eval()
    embeds, weights = torch.randn(1, sum(LENGTHS), llm.dim), torch.randn(sum(LENGTHS), llm.dim)
    alone = states_and_gradients(llm, embeds, weights, by_row=True)
    llm.pack()
    assert llm.packs == (family not in PADDED_INSIDE)
    together = states_and_gradients(llm, embeds, weights, by_row=False)
    for one, other in zip(together, alone):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    assert torch.equal(llm.hidden(embeds), load(family, tuning="none").eval().hidden(embeds))  # otherwise the library's


def test_layers_are_recomputed_row_by_row(load):
    found = []
    for switch in (False, True):
        llm = load("Llama", tuning="none", gradient_checkpointing=switch).eval()
        llm.pack()
        embeds = torch.randn(1, sum(LENGTHS), llm.dim, generator=torch.Generator().manual_seed(0))
        found.append(states_and_gradients(llm, embeds, torch.ones(()), by_row=False))
        assert llm.packs
    for one, other in zip(*found):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def test_a_layer_that_does_not_attend_by_rows_is_noticed(load, monkeypatch):
    llm = load("Llama", tuning="none").eval()
    embeds, weights = torch.randn(1, sum(LENGTHS), llm.dim), torch.ones(())
    alone = states_and_gradients(llm, embeds, weights, by_row=True)
    llm.pack()
    attention = llm.layers()[0][1].self_attn
    forward = attention.forward
    monkeypatch.setattr(attention, "forward", lambda *args, rows=None, **keywords: forward(*args, **keywords))
    together = states_and_gradients(llm, embeds, weights, by_row=False)
    assert not llm.packs
    for one, other in zip(together, alone):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_another_attention_stays(load):
    llm = load("Llama", tuning="none")
    llm.lm.set_attn_implementation("eager")
    llm.pack()
    assert not llm.packs and llm.lm.config._attn_implementation == "eager" != ATTENTION


def test_neighbours_of_one_length_are_one_call():
    rows = Rows((2, 2, 3, 2))
    assert rows.runs == [(2, 2), (1, 3), (1, 2)]
    assert rows.positions.tolist() == [[0, 1, 0, 1, 0, 1, 2, 0, 1]]
