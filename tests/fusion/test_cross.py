"""Gated cross-attention: nothing before training, what sees what, in every family whose layers are found."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from anyecg.fusion.cross import Block, Cross, CrossConfig
from anyecg.model import ECGLanguageModel
from anyecg.types import END_ID, ConfigError
from tests.conftest import collator, fuse, make_item, make_model
from tests.fusion.test_contract import build
from tests.llms.conftest import family_folder, load  # noqa: F401
from tests.llms.families import FAMILIES


def test_the_untrained_model_is_the_llm_over_the_text_to_the_bit(mixed_items):
    model = make_model(connector="resampler", fusion="cross").eval()
    batch, ask = collator(model)(mixed_items), collator(model, generate=True)(mixed_items)
    with torch.no_grad():
        embeds = model.embed(batch)
        assert torch.equal(model.fusion(model.llm, batch, model.encode(batch)), model.llm.hidden(embeds))
        alone = model.llm.generate(model.embed(ask), ask.attention_mask, 8)
    assert [prediction.text for prediction in model.answer(ask, 8)] == alone


@pytest.mark.parametrize("attends", ["all", "last"])
def test_a_token_sees_the_ecgs_before_it(attends):
    """Which ECG's signal moves which token's state; an ECG is seen from its end marker on."""
    model = build("cross", "resampler", fusion_settings={"attends": attends})
    item = make_item(clips=(1, 2, 1))
    batch = collator(model)([item])
    ends = (batch.input_ids[0] == END_ID).nonzero()[:, 0].tolist()
    first_of = (0, 1, 3)  # the first clip of each ECG
    with torch.no_grad():
        states = model.fusion(model.llm, batch, model.encode(batch))[0]
        for ecg, clip in enumerate(first_of):
            changed = dataclasses.replace(batch, clips=batch.clips.clone())
            changed.clips[clip] = torch.rand_like(changed.clips[clip])
            moved = (model.fusion(model.llm, changed, model.encode(changed))[0] != states).any(-1)
            # later ones also by way of the LLM's own attention
            assert not moved[: ends[ecg]].any() and moved[ends[ecg] :].all()
    numbers = torch.tensor([[0, 0, 1, 1, 1, 2, 2**31 - 1]])
    model.fusion._by_row = lambda *_: (torch.zeros(1, 7, model.llm.dim), numbers)
    with model.fusion.beside(model.llm, batch, model.encode(batch)) as seen:
        at = [seen.visible[0, place].int().tolist() for place in (0, ends[0], ends[1], batch.input_ids.shape[1] - 1)]
    none = [0] * 7
    if attends == "all":
        assert at == [none, [1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 1, 1, 0]]
    else:
        assert at == [none, [1, 1, 0, 0, 0, 0, 0], [0, 0, 1, 1, 1, 0, 0], [0, 0, 0, 0, 0, 1, 0]]


def test_tokens_of_records_of_any_length_stand_in_their_rows(mixed_items):
    model = build("cross", "mlp")  # an MLP gives 1 + 60 tokens a clip
    model.fusion.numbers.data.zero_()
    batch = collator(model)(mixed_items)
    with torch.no_grad():
        tokens = model.encode(batch)
        padded, numbers = model.fusion._by_row(batch, tokens)
    sizes, start = [[1 + 60 * count for count in row] for row in batch.clip_counts], 0
    assert padded.shape[1] == max(map(sum, sizes))
    for row, records in enumerate(sizes):
        assert torch.equal(padded[row, : sum(records)], tokens[start : start + sum(records)])
        assert numbers[row, : sum(records)].tolist() == [
            number for number, size in enumerate(records) for _ in range(size)
        ]
        assert not padded[row, sum(records) :].any() and (numbers[row, sum(records) :] > 10**9).all()
        start += sum(records)


def test_a_block_is_flamingos():
    """Section 2.2 of the paper, written out for one token that sees two of three vectors."""
    torch.manual_seed(0)
    block = Block(8, 6, heads=2, head_dim=3, mlp=16)
    torch.nn.init.constant_(block.gate, 0.7)
    torch.nn.init.constant_(block.gate_mlp, -0.4)
    x, ecg, visible = torch.randn(1, 2, 8), torch.randn(1, 3, 6), torch.tensor([[[True, True, False], [False] * 3]])
    with torch.no_grad():
        found = block(x, *block.keys(ecg), visible)
        q = block.q(block.norm(x))[0, 0].view(2, 3)
        k, v = (part.view(3, 2, 3) for part in block.kv(block.norm_source(ecg))[0].chunk(2, -1))
        heads = [torch.softmax(q[h] @ k[:2, h].T / 3**0.5, -1) @ v[:2, h] for h in range(2)]
        y = x[0, 0] + torch.tanh(torch.tensor(0.7)) * block.out(torch.cat(heads))
        y = y + torch.tanh(torch.tensor(-0.4)) * block.mlp[2](F.gelu(block.mlp[0](block.norm_mlp(y))))
    torch.testing.assert_close(found[0, 0], y)
    assert torch.equal(found[0, 1], x[0, 1])  # it sees nothing


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family(load, family):  # noqa: F811
    """Its layers are found by structure: states are the library's at first, then differ behind the ECG alone;
    answers in a batch are those alone.
    """
    llm = load(family, tuning="none").eval()
    encoder = make_model().encoder.eval()
    connector = make_model(connector="resampler").connector.__class__
    joint = connector(connector.Config(latents=3), encoder.dim, llm.dim).eval()
    model = ECGLanguageModel(encoder, joint, fuse(encoder, joint, llm, "cross", every=2), llm).eval()
    assert len(model.fusion.blocks) == 1
    items = [
        make_item("a", (1,), "yes", "Why?"),
        make_item("b", (2, 1), "no", "What?"),
        make_item("c", (), "no", "What is that?"),
    ]
    batch, ask = collator(model)(items), collator(model, generate=True)
    with torch.no_grad():
        plain = llm.hidden(model.embed(batch))
        assert torch.equal(model.fusion(llm, batch, model.encode(batch)), plain)
        for parameter in model.fusion.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.3)
        plain = llm.hidden(model.embed(batch))
        states = model.fusion(llm, batch, model.encode(batch))
    end = (batch.input_ids[0] == END_ID).nonzero()[0].item()
    assert (
        torch.equal(states[0, :end], plain[0, :end])
        and (states[0, end:] != plain[0, end:]).any(-1).all()
        and torch.equal(states[2], plain[2])
    )
    assert [p.text for p in model.answer(ask(items), 6)] == [model.answer(ask([item]), 6)[0].text for item in items]


def test_settings_that_cannot_be(load):  # noqa: F811
    with pytest.raises(ConfigError, match="fusion.every: 3, but tiny has 2 layers"):
        make_model(connector="resampler", fusion="cross", fusion_settings={"every": 3})
    for settings in ({"every": 0}, {"heads": 0}, {"attends": "none"}):
        with pytest.raises(ConfigError, match=next(iter(settings))):
            CrossConfig(**settings)


def test_an_llm_whose_layers_are_not_found_is_refused(load):  # noqa: F811
    llm = load("Llama", tuning="none")
    llm.lm.model.layers = torch.nn.Sequential(*llm.lm.model.layers)
    with pytest.raises(ConfigError, match="the 2 layers of the family 'llama' cannot be found"):
        Cross(CrossConfig(), llm, 3, 0)


def test_bfloat16_weights_keep_their_states(load, mixed_items):  # noqa: F811
    """A block in float32 over an LLM in bfloat16: the untrained model is still the LLM to the bit."""
    llm = load("Llama", dtype="bfloat16").eval()
    tiny = make_model(connector="resampler")
    joint = type(tiny.connector)(tiny.connector.Config(latents=3), tiny.encoder.dim, llm.dim)
    fusion = fuse(tiny.encoder, joint, llm, "cross")
    model = ECGLanguageModel(tiny.encoder, joint, fusion, llm).eval()
    batch = collator(model)([make_item(clips=(1,), answer="no", question="Why?")])
    with torch.no_grad():
        states = fusion(llm, batch, model.encode(batch))
        assert states.dtype == torch.bfloat16 and torch.equal(states, llm.hidden(model.embed(batch)))
