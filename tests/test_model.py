"""The model: where ECGs meet text, what is computed, and what may learn."""

import dataclasses

import pytest
import torch
from torch.nn import functional as F

from anyecg.data.loading.collate import Collator
from anyecg.types import END_ID, IGNORED_LABEL, START_ID, CheckpointError, ConfigError, DataError, Places
from tests.conftest import collator, make_item, make_model


def plain_embeddings(model, item):
    """Input embeddings of one question, written out with loops: the meaning of `ECGLanguageModel.embed`."""
    ids, _ = collator(model).tokens(item.sample, [len(clips) for clips in item.clips])
    rows, records, places = [], iter(zip(item.clips, item.lead_masks)), iter(())
    for id in ids:
        if id == START_ID:
            rows.append(model.fusion.markers[0])
            clips, mask = next(records)
            tokens = [
                model.connector(model.encoder(torch.from_numpy(clip)[None], torch.from_numpy(mask)[None]))[0]
                for clip in clips
            ]
            prefix = model.encoder.prefix
            cls = torch.stack([t[:prefix] for t in tokens]).mean(0)
            places = iter(torch.cat([cls, *(t[prefix:] for t in tokens)]))
        elif id == END_ID:
            assert next(places, None) is None, "places left over"
            rows.append(model.fusion.markers[1])
        elif id < 0:
            rows.append(next(places))
        else:
            rows.append(model.llm.embed(torch.tensor([[id]]))[0, 0])
    return torch.stack(rows)


def test_every_ecg_stands_in_its_own_place(model, mixed_items):
    batch = collator(model)(mixed_items)
    with torch.no_grad():
        embeds = model.embed(batch)
        for row, item in enumerate(mixed_items):
            expected = plain_embeddings(model, item)
            torch.testing.assert_close(embeds[row, : len(expected)], expected, atol=1e-5, rtol=1e-4)


def test_tokens_of_60_seconds_and_of_six_ecgs():
    model = make_model()
    for clips, tokens in (((6,), 361), ((1,) * 6, 366), ((1,), 61)):
        assert int(collator(model)([make_item(clips=clips)]).ecg_mask.sum()) == tokens


def test_loss_and_gradients_are_the_librarys(model, mixed_items):
    batch = collator(model)(mixed_items)
    model.train_only(["encoder", "connector", "markers", "llm"])
    loss = model(batch)
    loss.backward()
    gradient = next(model.connector.parameters()).grad.clone()
    model.zero_grad()
    logits = model.llm.lm(inputs_embeds=model.embed(batch), attention_mask=batch.attention_mask.long()).logits
    plain = F.cross_entropy(logits[:, :-1].flatten(0, 1), batch.labels[:, 1:].flatten(), ignore_index=IGNORED_LABEL)
    plain.backward()
    other = next(model.connector.parameters()).grad
    torch.testing.assert_close(loss, plain, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradient, other, atol=1e-5, rtol=1e-4)


def test_padding_changes_nothing(model, mixed_items):
    batch = collator(model)
    with torch.no_grad():
        together = model(batch(mixed_items))
        alone = [
            (model(batch([item])), len([x for x in batch([item]).labels[0, 1:] if x != IGNORED_LABEL]))
            for item in mixed_items
        ]
    expected = sum(loss * n for loss, n in alone) / sum(n for _, n in alone)
    torch.testing.assert_close(together, expected, atol=1e-5, rtol=1e-5)


def test_batched_generation_equals_one_at_a_time(model, mixed_items):
    ask = collator(model, generate=True)
    together = model.answer(ask(mixed_items), 12)
    assert [p.id for p in together] == [item.sample.id for item in mixed_items]
    for item, prediction in zip(mixed_items, together, strict=True):
        assert model.answer(ask([item]), 12)[0].text == prediction.text


def test_the_ecg_reaches_the_answer(model):
    a, b = (collator(model)([make_item(seed=seed)]) for seed in (1, 2))
    with torch.no_grad():
        assert not torch.isclose(model(a), model(b), atol=1e-6)


def test_a_count_that_does_not_match_raises(model):
    batch = collator(model)([make_item(clips=(2,))])
    short = dataclasses.replace(batch, clips=batch.clips[:1], lead_mask=batch.lead_mask[:1], owner=batch.owner[:1])
    for device in ("cpu", "meta"):  # the counts are on the host: nothing has to be read back
        with pytest.raises(DataError, match="places for ECG tokens"):
            model.to(device).embed(short.to(device))


def test_a_batch_of_other_places_raises_on_any_device(model):
    other = Collator(model.llm.chat, Places(1, 30), model.llm.context)([make_item(clips=(2,))])
    for device in ("cpu", "meta"):
        with pytest.raises(DataError, match="collate with this model's places"):
            model.to(device)(other.to(device))


def test_a_batch_without_labels_raises_instead_of_nan(model):
    batch = collator(model)([make_item()])
    with pytest.raises(DataError, match="no answer token"):
        model(dataclasses.replace(batch, answers=batch.answers[:0], targets=batch.targets[:0]))


@pytest.mark.parametrize(
    "trains",
    [
        ["encoder", "connector", "markers"],
        ["connector", "markers", "llm"],
        ["llm_weights", "markers"],
        ["encoder", "connector", "markers", "llm"],
    ],
)
@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_what_is_declared_moves_and_nothing_else(trains, tuning, mixed_items):
    model = make_model(tuning=tuning)
    counts = model.train_only(trains)
    model.train()
    groups = model.groups()
    declared = {name for group in trains for name in groups[group]}
    assert sum(counts.values()) == sum(p.numel() for p in model.parameters() if p.requires_grad)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-2)
    for _ in range(2):  # LoRA's A moves only once B has
        optimizer.zero_grad()
        model(collator(model)(mixed_items)).backward()
        optimizer.step()
    moved = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    assert moved <= declared
    idle = {"encoder.norm.weight", "encoder.norm.bias"}  # only contrastive pre-training looks behind the final norm
    assert {
        name
        for name in declared
        if not any(name.endswith(i.split("encoder.")[1]) and name.startswith("encoder.") for i in idle)
    } <= moved


def test_a_frozen_encoder_keeps_its_dropout_off():
    model = make_model(dropout=0.5)
    model.train_only(["connector", "markers", "llm"])
    model.train()
    assert not model.encoder.training and model.llm.training
    signal, mask = torch.randn(1, 12, 1000), torch.ones(1, 12, dtype=torch.bool)
    assert torch.equal(model.encoder(signal, mask), model.encoder(signal, mask))


def test_an_unknown_group_is_named(model):
    with pytest.raises(ConfigError, match="decoder"):
        model.train_only(["decoder"])


def test_parts_of_another_model_are_refused(model):
    state = make_model(seed=1).part_state(["encoder", "connector", "markers"])
    model.load_part_state(state, "file")
    assert torch.equal(model.fusion.markers, state["fusion.markers"])
    with pytest.raises(CheckpointError, match="file: .*encoder.*this model needs"):
        model.load_part_state(make_model(dim=48).part_state(["encoder"]), "file")
    with pytest.raises(CheckpointError, match="which this model does not have"):
        model.load_part_state({"encoder.other": torch.zeros(1)}, "file")


def test_a_connector_of_another_kind_is_refused(model):
    from anyecg.model import ECGLanguageModel

    model.connector.enters = "kv"
    with pytest.raises(ConfigError, match="'kv', the fusion takes 'tokens'"):
        ECGLanguageModel(model.encoder, model.connector, model.fusion, model.llm)


def test_a_sequence_that_is_too_long_names_its_question(mixed_items):
    model = make_model(context=128).eval()
    for generate in (False, True):
        batch = Collator(model.llm.chat, model.places, 10_000, generate=generate)(mixed_items)
        with pytest.raises(DataError, match="question q5: .* tokens do not fit into the 128"):
            model.answer(batch, 4) if generate else model(batch)
