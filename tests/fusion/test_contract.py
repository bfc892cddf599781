"""What every fusion keeps: those that are registered, and one from outside the package."""

import copy
import dataclasses
import itertools

import numpy as np
import pytest
import torch

from anyecg.connectors import connectors
from anyecg.fusion import fusions
from anyecg.llms.decoding import STILL
from anyecg.model import ECGLanguageModel
from anyecg.types import ECG_ID, END_ID, START_ID, ConfigError, Turn
from tests.conftest import MIXED, collator, fuse, make_item, make_model

OUTSIDE = "tests.fusion.kv_outside:KeyValue"
FITS = {
    "tokens": ["mlp", "resampler"],
    "llava": ["mlp"],
    "cross": ["resampler", "mlp"],
    "kv": ["kv"],
    OUTSIDE: ["tests.fusion.kv_outside:PooledConnector"],
}
EACH = [(fusion, connector) for fusion in [*sorted(fusions.table()), OUTSIDE] for connector in FITS[fusion]]
LEARNS = ["encoder", "connector", "fusion", "markers", "llm"]


def build(fusion, connector, **settings):
    """A model whose fusion and LoRA do something, as if trained."""
    model = make_model(fusion=fusion, connector=connector, **settings)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in [*model.fusion.named_parameters(), *model.llm.tuned()]:
            if "lora_A" not in name:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.3)
        for parameter in model.connector.parameters():
            parameter.mul_(3)
    return model.eval()


@pytest.fixture(params=EACH, ids=lambda each: f"{each[0].split(':')[-1]}-{each[1].split(':')[-1]}")
def each(request):
    return request.param


@pytest.fixture
def model(each):
    return build(*each)


def test_every_registered_fusion_is_swept():
    assert set(fusions.table()) | {OUTSIDE} == set(FITS)
    for fusion, joint in EACH:
        assert fusions[fusion].enters == connectors[joint].enters


def test_the_text_has_the_positions_that_the_fusion_says(model, mixed_items):
    batch = collator(model)(mixed_items)
    counts = [count for row in batch.clip_counts for count in row]
    assert int((batch.input_ids == ECG_ID).sum()) == len(batch.places) == sum(map(model.places.inside, counts))
    for marker in (START_ID, END_ID):
        assert int((batch.input_ids == marker).sum()) == len(counts) * model.places.markers
    assert batch.rows.tolist() == [row for row, item in enumerate(mixed_items) for _ in item.clips]
    assert batch.clip_counts == tuple(tuple(map(len, item.clips)) for item in mixed_items)
    assert model.groups()["markers"].keys() == ({"fusion.markers"} if model.places.markers else set())


def test_each_ecg_reaches_the_answer(model):
    item = make_item(clips=(1, 2))
    base = collator(model)([item])
    with torch.no_grad():
        loss = model(base)
        for clip in range(3):
            changed = dataclasses.replace(base, clips=base.clips.clone())
            changed.clips[clip] = torch.rand_like(changed.clips[clip])
            assert (model(changed) - loss).abs() > 1e-6


def test_padding_and_company_change_nothing(model, mixed_items):
    with torch.no_grad():
        together = collator(model)(mixed_items)
        hidden = model.fusion(model.llm, together, model.encode(together))
        for row, item in enumerate(mixed_items):
            alone = collator(model)([item])
            single = model.fusion(model.llm, alone, model.encode(alone))[0]
            torch.testing.assert_close(hidden[row, : len(single)], single, atol=1e-4, rtol=1e-3)


def ending_early(rows):
    """Two tokens that end the rows so that the batch shrinks as often as can be, and its sizes."""

    def sizes(stops):
        ends = [next((at for at, token in enumerate(row) if token in stops), len(row)) for row in rows]
        found = [len(rows)]
        for at in range(len(rows[0]) - 1):  # after the last token nothing is asked
            left = sum(end > at for end in ends)
            if 0 < left <= STILL * found[-1]:
                found.append(left)
        return set(found)

    stops = max(itertools.combinations(sorted({token for row in rows for token in row}), 2), key=lambda s: len(sizes(s)))
    return sorted(stops), sizes(stops)


def test_batched_answers_equal_those_one_at_a_time_where_rows_end_early(model, mixed_items, monkeypatch):
    ask, head, written = collator(model, generate=True), model.llm.head, []
    monkeypatch.setattr(model.llm, "head", lambda hidden: written.append(head(hidden)) or written[-1])
    model.llm.stops = [model.llm.tokenizer.vocab_size + 99]  # none ends
    endless = [prediction.text for prediction in model.answer(ask(mixed_items), 10)]
    ids = torch.stack(written).argmax(-1)  # token, row
    model.llm.stops, sizes = ending_early(ids.T.tolist())
    together = [prediction.text for prediction in model.answer(ask(mixed_items), 10)]
    assert together == [model.answer(ask([item]), 10)[0].text for item in mixed_items] and together != endless
    assert len(sizes) > 1 and set(map(len, written)) >= sizes  # rows were dropped from the batch


def test_generation_with_a_cache_equals_reading_the_text_again(model, mixed_items):
    """Greedy decoding written out: each token from the whole text and the ECGs anew."""
    ask = collator(model, generate=True)
    model.llm.stops = [model.llm.tokenizer.vocab_size + 99]
    for item in mixed_items[:4]:
        batch = ask([item])
        with torch.inference_mode():
            tokens, written = model.encode(batch), []
            for _ in range(6):
                longer = torch.cat([batch.input_ids, torch.tensor([written], dtype=torch.long)], 1)
                hidden = model.fusion(model.llm, dataclasses.replace(batch, input_ids=longer), tokens)
                written.append(int(model.llm.head(hidden[0, -1:]).argmax()))
        text = model.llm.tokenizer.decode(written, skip_special_tokens=True, clean_up_tokenization_spaces=False).strip()
        assert model.answer(batch, 6)[0].text == text


def test_a_later_turn_takes_the_tokens_of_an_earlier_one(model):
    item = make_item(clips=(2, 1))
    held = (*item.sample.conversation, Turn("user", "Is it normal?"))
    later = dataclasses.replace(item, sample=dataclasses.replace(item.sample, conversation=held))
    batch = collator(model, generate=True)([later])
    records = model.encode_records(item.clips, item.lead_masks)
    with torch.no_grad():
        torch.testing.assert_close(torch.cat(records), model.encode(batch), atol=1e-6, rtol=1e-5)
    assert model.answer(batch, 8, torch.cat(records))[0].text == model.answer(batch, 8)[0].text
    model.double()  # a resampler's norms make 2e-4 of float32's rounding on some CPUs
    clips, masks = [clip.astype(np.float64) for clip in item.clips], item.lead_masks
    with torch.no_grad():
        together = torch.cat(model.encode_records(clips, masks))
        apart = [*model.encode_records(clips[:1], masks[:1]), *model.encode_records(clips[1:], masks[1:])]
    torch.testing.assert_close(torch.cat(apart), together, atol=1e-9, rtol=1e-9)


def test_recomputed_layers_have_the_same_gradients(each, mixed_items):
    found = []
    for checkpointing in (False, True):
        model = build(*each, checkpointing=checkpointing)
        model.train_only(LEARNS)
        model.train()
        model(collator(model)(mixed_items)).backward()
        found.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert found[0].keys() == found[1].keys() and any(name.startswith("llm.") for name in found[0])
    for name, gradient in found[0].items():
        torch.testing.assert_close(
            gradient, found[1][name], atol=1e-6, rtol=1e-5, msg=lambda message: f"{name}: {message}"
        )


def test_every_declared_parameter_learns(each, mixed_items):
    model = make_model(fusion=each[0], connector=each[1])  # as it is before training, gates closed
    counts = model.train_only(LEARNS)
    assert sum(counts.values()) == sum(p.numel() for p in model.parameters() if p.requires_grad) and all(
        counts.values()
    )
    model.train()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.3)
    for _ in range(3):
        optimizer.zero_grad()
        model(collator(model)(mixed_items)).backward()
        optimizer.step()
    still = {name for name, p in model.named_parameters() if p.requires_grad and torch.equal(p, before[name])}
    # only contrastive pre-training looks behind the final norm
    assert still <= {"encoder.norm.weight", "encoder.norm.bias"}


def test_nothing_is_read_back_from_the_device(model, mixed_items):
    """On the meta device there are no values: an `.item()`, a `nonzero` or a boolean index would raise."""
    model.train_only(LEARNS)
    moved = copy.deepcopy(model).to("meta").train()
    moved(collator(model)(mixed_items).to("meta")).backward()
    assert all(p.grad is not None for name, p in moved.named_parameters() if "lora_" in name)


def test_a_copy_is_a_model_of_its_own(model, mixed_items):
    other = copy.deepcopy(model)
    batch = collator(model)(mixed_items)
    with torch.no_grad():
        before = model(batch)
        for parameter in other.fusion.parameters():
            parameter.add_(0.5)
        assert torch.equal(model(batch), before)
        assert not len(list(other.fusion.parameters())) or not torch.equal(other(batch), before)


def test_parts_are_saved_and_loaded(each, model, mixed_items):
    names = ["encoder", "connector", "fusion", "markers"]
    state = model.part_state(names)
    assert {key for key in model.state_dict() if not key.startswith("llm.")} == set(state)
    parts = [model.part_state([name]) for name in names]
    assert sum(map(len, parts)) == len(state) and {key for part in parts for key in part} == set(state)
    other = make_model(seed=7, fusion=each[0], connector=each[1]).eval()
    other.load_part_state(state, "file")
    other.llm.load_state_dict(model.llm.state_dict())
    batch = collator(model)(mixed_items)
    with torch.no_grad():
        assert torch.equal(model(batch), other(batch))


def test_a_batch_of_text_alone(model):
    batch = collator(model)([make_item(clips=()), make_item("p", clips=())])
    with torch.no_grad():
        assert model(batch).isfinite() and model.answer(collator(model, generate=True)([make_item(clips=())]), 4)
        assert torch.equal(model.fusion(model.llm, batch, model.no_tokens()), model.llm.hidden(model.embed(batch)))


def test_words_in_the_place_of_an_ecg(model):
    """View "text": there are no clips, and nothing but words (between the markers, where there are any)."""
    item = dataclasses.replace(make_item(clips=(1, 1)), clips=(), lead_masks=())
    batch = collator(model)([item])
    assert batch.clip_counts == ((),) and int((batch.input_ids == END_ID).sum()) == 2 * model.places.markers
    with torch.no_grad():
        assert model(batch).isfinite()


def test_the_llm_alone_stays_as_it_was(each):
    """Outside a pass over ECGs, a fusion leaves the LLM's states as the library computes them."""
    model = build(*each)
    embeds = torch.randn(2, 7, model.llm.dim)
    plain = make_model(fusion="tokens").llm.eval()
    plain.load_state_dict(model.llm.state_dict())
    with torch.no_grad():
        assert torch.equal(model.llm.hidden(embeds), plain.hidden(embeds))


def test_a_connector_that_gives_something_else_is_refused():
    for (fusion, _), (_, connector) in itertools.product(EACH, EACH):
        if connectors[connector].enters != fusions[fusion].enters:
            model = make_model(connector=connector, fusion=next(f for f in FITS if connector in FITS[f]))
            with pytest.raises(ConfigError, match="choose another connector or fusion"):
                ECGLanguageModel(
                    model.encoder, model.connector, fuse(model.encoder, model.connector, model.llm, fusion), model.llm
                )
            return
    raise AssertionError("no two differ")


def test_mixed_items_hold_what_the_sweep_needs():
    assert tuple(clips for clips, _ in MIXED if not clips) == ((),) and any(len(clips) > 1 for clips, _ in MIXED)
