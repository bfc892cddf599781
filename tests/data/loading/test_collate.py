"""The collator: exact places, labels on answers only, and nothing cut in silence."""

import pytest
import torch

from anyecg.data.loading.collate import Collator
from anyecg.types import ECG_ID, END_ID, IGNORED_LABEL, START_ID, DataError, ECGSample, Turn, Window
from tests.conftest import collator, make_item, make_model


def test_every_ecg_has_its_markers_and_places(model, mixed_items):
    batch = collator(model)(mixed_items)
    for row, item in enumerate(mixed_items):
        ids = batch.input_ids[row]
        assert int((ids == START_ID).sum()) == int((ids == END_ID).sum()) == len(item.clips)
        starts, ends = (torch.where(ids == id)[0] for id in (START_ID, END_ID))
        assert [int(e - s) - 1 for s, e in zip(starts, ends)] == [1 + 60 * len(clips) for clips in item.clips]
    assert torch.equal(batch.ecg_mask, batch.input_ids == ECG_ID)
    assert batch.owner.tolist() == sorted(batch.owner.tolist())
    assert batch.clips.shape[0] == len(batch.owner) == sum(len(c) for item in mixed_items for c in item.clips)


def test_a_packed_batch_is_the_padded_one_without_its_padding(model, mixed_items):
    padded, packed = collator(model)(mixed_items), collator(model, pack=True)(mixed_items)
    order = [padded.ids.index(id) for id in packed.ids]
    assert list(packed.lengths) == sorted(padded.lengths) == [padded.lengths[row] for row in order]
    for name in ("input_ids", "labels"):
        rows = [getattr(padded, name)[row, : padded.lengths[row]] for row in order]
        assert torch.equal(getattr(packed, name)[0], torch.cat(rows))
    assert packed.attention_mask.all() and torch.equal(packed.labels[0][packed.answers + 1], packed.targets)
    assert sorted(packed.targets.tolist()) == sorted(padded.targets.tolist())
    assert packed.clip_counts == tuple(padded.clip_counts[row] for row in order)


def test_labels_are_the_answer_and_its_end(model):
    batch = collator(model)([make_item(answer="Report: Sinus rhythm")])
    labels = batch.labels[0][batch.labels[0] != IGNORED_LABEL]
    assert model.llm.tokenizer.decode(labels[:-1]) == "Report: Sinus rhythm"
    assert int(labels[-1]) == model.llm.tokenizer.eos_token_id


def test_every_answer_of_a_conversation_is_learned(model):
    turns = (
        Turn("user", "<ecg> What is this?"),
        Turn("assistant", "Sinus rhythm"),
        Turn("user", "Normal?"),
        Turn("assistant", "Yes"),
    )
    item = make_item()
    sample = ECGSample(id="multi", task="report", records=(Window("r"),), conversation=turns)
    batch = collator(model)([type(item)(sample, item.clips, item.lead_masks)])
    learned = model.llm.tokenizer.decode(batch.labels[0][batch.labels[0] != IGNORED_LABEL])
    assert "Sinus rhythm" in learned and "Yes" in learned and "Normal" not in learned


def test_generation_stops_before_the_answer_and_pads_left(model, mixed_items):
    batch = collator(model, generate=True)(mixed_items)
    assert bool(batch.attention_mask[:, -1].all())
    text = model.llm.tokenizer.decode(batch.input_ids[0][batch.input_ids[0] >= 0])
    assert "Sinus" not in text


def test_evidence_stands_in_for_the_ecg_in_the_text_view(model):
    item = make_item(clips=(1, 1))
    batch = collator(model)([type(item)(item.sample)])
    assert len(batch.owner) == 0 and not batch.ecg_mask.any()
    assert int((batch.input_ids == START_ID).sum()) == 2
    ids = batch.input_ids[0]
    start, end = (int(torch.where(ids == id)[0][0]) for id in (START_ID, END_ID))
    assert model.llm.tokenizer.decode(ids[start + 1 : end]) == "Sinus rhythm"


def test_a_sample_too_long_for_the_context_raises_and_is_named(model):
    ask = collator(model)
    ask.context = 200
    with pytest.raises(DataError, match="question long: .* context holds 200"):
        ask([make_item("long", clips=(6,))])


def test_a_sample_without_an_answer_raises(model):
    item = make_item("silent")
    sample = ECGSample(
        id="silent", task="report", records=item.sample.records, conversation=item.sample.conversation[:1]
    )
    with pytest.raises(DataError, match="question silent: has no answer"):
        collator(model)([type(item)(sample, item.clips, item.lead_masks)])


def test_a_count_that_differs_from_the_markers_raises():
    with pytest.raises(DataError, match="question q: 1 <ecg> markers for 2 ECGs"):
        ECGSample(id="q", task="report", records=(Window("a"), Window("b")), conversation=(Turn("user", "<ecg>?"),))


def test_a_window_without_length_raises():
    with pytest.raises(DataError, match="record a: a window from 2.0 s to 2.0 s"):
        Window("a", 2.0, 2.0)


def test_an_answer_that_is_too_long_is_cut_where_that_is_chosen():
    model = make_model()
    long, short = make_item("long", answer="sinus rhythm. " * 20), make_item("short", answer="yes")
    whole = collator(model)
    question = len(collator(model, generate=True).tokens(long.sample, [1])[0])
    cut = Collator(model.llm.chat, model.places, question + 10, cut=True)
    ids, labels = cut.tokens(long.sample, [1])
    assert ids == whole.tokens(long.sample, [1])[0][: question + 10] and sum(label != -100 for label in labels) == 10
    assert cut.is_cut(long.sample, [1]) and not cut.is_cut(short.sample, [1])
    assert cut.tokens(short.sample, [1]) == whole.tokens(short.sample, [1])
    assert cut.measure(long.sample, [1]) == (question + 10, 10) and cut.fingerprint != whole.fingerprint
    tiny = Collator(model.llm.chat, model.places, question, cut=True)  # nothing of the answer would be left
    assert len(tiny.tokens(long.sample, [1])[0]) > question and not tiny.is_cut(long.sample, [1])
