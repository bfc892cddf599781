"""The fast path: the same loss, gradients and answers as the plain implementation, and nothing read back from the
device.
"""

import copy
import dataclasses

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.plugins.precision import DeepSpeedPrecision, HalfPrecision

from anyecg.config.schema import InputConfig, StageConfig
from anyecg.connectors import connectors
from anyecg.connectors.base import Connector
from anyecg.data.loading.loader import StageData
from anyecg.objectives.answer import AnsweringStage
from anyecg.objectives.augment import Augmentation
from anyecg.objectives.contrastive import ContrastiveStage, PairBatch
from anyecg.training.engines.base import Engine
from anyecg.training.guard import Guard
from anyecg.training.progress import LossCurve
from anyecg.types import ConfigError
from benchmarks.plain import plain_answer, plain_attention, plain_loss
from tests.conftest import collator, make_item, make_model
from tests.training.test_guard import NothingWaits

TRAINS = ["encoder", "connector", "markers", "llm"]
KINDS = {  # clips of each ECG of each question
    "short": [(1,)] * 4,
    "long": [(3,), (6,), (2,)],
    "several": [(1, 1, 2), (1,) * 6, (2, 1)],
    "text only": [(), ()],
    "mixed": [(1,), (6,), (1, 1), (), (2,), (1,)],
}


def questions(kind, seed):
    rng = np.random.default_rng(seed)
    words = "sinus rhythm from 1.2s to 3.4s, no premature ventricular contraction found".split()
    return [make_item(f"q{n}", clips, " ".join(rng.choice(words, rng.integers(1, 12))), leads=int(rng.choice([2, 12])), seed=100 * seed + n)
            for n, clips in enumerate(KINDS[kind])]  # fmt: skip


def gradients(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.fixture(scope="module")
def learning():
    model = make_model()
    model.train_only(TRAINS)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # at zero, A would have no gradient to compare
            torch.nn.init.normal_(parameter, std=0.1)
    return model.eval()


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_loss_and_gradients_equal_the_plain_implementations(learning, kind, seed):
    batch = collator(learning)(questions(kind, seed))
    loss = learning(batch)
    fast = gradients(learning, loss)
    with plain_attention(learning):
        other = plain_loss(learning, batch)
        plain = gradients(learning, other)
    torch.testing.assert_close(loss, other, atol=1e-5, rtol=0)
    assert fast.keys() == plain.keys() and any("lora_A" in name for name in fast)
    assert any("encoder" in name for name in fast) == (kind != "text only")
    for name in fast:
        torch.testing.assert_close(fast[name], plain[name], atol=1e-5, rtol=0, msg=lambda told: f"{name}: {told}")


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_without_padding_has_the_same_loss_and_gradients(learning, kind):
    padded = collator(learning)(questions(kind, 0))
    packed = collator(learning, pack=True)(questions(kind, 0))
    assert learning.llm.packs and packed.packed and not padded.packed
    assert packed.input_ids.shape == (1, int(padded.attention_mask.sum())) and sorted(packed.ids) == sorted(padded.ids)
    loss, other = learning(packed), learning(padded)
    torch.testing.assert_close(loss, other, atol=1e-5, rtol=0)
    without, with_padding = gradients(learning, loss), gradients(learning, other)
    assert without.keys() == with_padding.keys()
    for name in without:
        torch.testing.assert_close(without[name], with_padding[name], atol=1e-5, rtol=0)


# the others: tests/connectors
BY_CLIP = [name for name in sorted(connectors.table()) if connectors[name].records is Connector.records]


@pytest.mark.parametrize("connector", BY_CLIP)
def test_every_connector_gives_the_same_loss_clip_by_clip(connector):
    model = make_model(connector=connector).eval()
    batch = collator(model)(questions("mixed", 0))
    with torch.no_grad():
        torch.testing.assert_close(model(batch), plain_loss(model, batch), atol=1e-5, rtol=0)


def test_answers_equal_the_plain_implementations(learning):
    batch = collator(learning, generate=True)(questions("mixed", 0))
    with plain_attention(learning):
        plain = plain_answer(learning, batch, 8)
    assert [prediction.text for prediction in learning.answer(batch, 8)] == plain


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_read_back_from_the_device(learning, kind):
    """On the meta device there are no values: an `.item()`, a `nonzero` or a boolean index would raise."""
    batch = collator(learning)(questions(kind, 0)).to("meta")
    model = copy.deepcopy(learning).to("meta").train()
    model(batch).backward()
    assert all(p.grad is not None for name, p in model.named_parameters() if "lora_" in name)


class Watched(L.Callback):
    """Lets no number be fetched from a tensor between a batch's start and its end."""

    def on_train_batch_start(self, *args):
        self.watching = NothingWaits()
        self.watching.__enter__()

    def on_train_batch_end(self, *args):
        self.watching.__exit__(None, None, None)


@pytest.mark.parametrize("objective", ["answer", "contrastive"])
def test_a_step_of_training_waits_for_nothing(tmp_path, objective):
    """Forward, backward, clipping, optimizer and schedule as Lightning runs them, two batches a step."""
    model = make_model(dropout=0.0)
    if objective == "answer":
        stage = AnsweringStage(model, StageConfig(trains=TRAINS), 4)
        batches = [collator(model)(questions("mixed", seed)) for seed in range(8)]
    else:
        stage = ContrastiveStage(
            model, StageConfig(objective="contrastive", trains=["encoder"]), 4, 16, Augmentation(lead_dropout=0.4)
        )
        batches = [
            PairBatch(
                torch.randn(4, 12, 1000),
                torch.ones(4, 12, dtype=torch.bool),
                torch.randn(4, 16),
                torch.arange(4),
                ("a", "b", "c", "d"),
            )
        ] * 8
    guard = Guard(tmp_path, "stage2", 5.0, "warn", Engine(None, None))
    trainer = L.Trainer(
        max_steps=4,
        accumulate_grad_batches=2,
        gradient_clip_val=1.0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=[Watched(), guard, LossCurve(tmp_path / "loss.csv", "stage2", 2, 4, guard)],
    )
    trainer.fit(stage, torch.utils.data.DataLoader(batches, batch_size=None))
    assert trainer.global_step == 4 and guard.count == 4


def test_what_is_frozen_costs_no_gradient(learning):
    model = copy.deepcopy(learning)
    model.train_only(["connector", "markers", "llm"])
    batch = collator(model)(questions("short", 0))
    assert not model.encoder(batch.clips, batch.lead_mask).requires_grad  # no graph through a frozen encoder
    assert {
        name
        for name in gradients(model, model(batch))
        if "lora_" not in name and not name.startswith(("connector.", "fusion.markers"))
    } == set()


def staged(data, model, **settings):
    collate = collator(model)
    cfg = StageConfig(
        tasks={"report": 3, "localization_short": 2, "localization_long": 1},
        **{"samples": 48, "batch_size": 12} | settings,
    )
    return lambda devices=1, **more: StageData(
        data,
        cfg,
        InputConfig(),
        replay=0.0,
        seed=0,
        collate=collate,
        measure=collate.measure,
        context=2048,
        devices=devices,
        **more,
    )


@pytest.mark.parametrize(
    "settings, devices",
    [
        ({"tokens": 1100}, 1),
        ({"tokens": 1100}, 2),
        ({"micro_batch": 3}, 1),
        ({"micro_batch": 3}, 2),
        ({"micro_batch": 6}, 4),
    ],
)
def test_a_step_in_pieces_has_the_loss_and_gradients_of_the_whole(small_data, learning, settings, devices):
    loader = staged(small_data, learning, **settings)(devices)
    passes = loader.accumulate * devices
    assert passes > 1 and len(loader.plan) == loader.steps * passes
    # of the first step, of every rank
    batches = [loader.train_dataloader().dataset[number] for number in range(passes)]
    assert sum(len(batch.ids) for batch in batches) == 12
    loss, pieces = 0.0, {}
    for batch in batches:
        part = learning(batch) / passes  # as Lightning (over accumulated batches) and DDP (over ranks) average
        loss += part.item()
        for name, gradient in gradients(learning, part).items():
            pieces[name] = pieces.get(name, 0) + gradient
    whole = learning(
        collator(learning)([loader.dataset[row] for number in range(passes) for row in loader.plan[number].tolist()])
    )
    torch.testing.assert_close(torch.tensor(loss), whole.detach(), atol=1e-5, rtol=0)
    for name, gradient in gradients(learning, whole).items():
        torch.testing.assert_close(pieces[name], gradient, atol=1e-5, rtol=0)


def test_passes_by_tokens_keep_to_their_budget_and_to_the_mixture(small_data, learning):
    loader = staged(small_data, learning, tokens=1100)()
    assert loader.counts == {"report": 24, "localization_short": 16, "localization_long": 8}
    assert all(batch.input_ids.numel() <= 1100 for batch in loader.train_dataloader())
    again = staged(small_data, learning, tokens=1100)()
    assert [batch.tolist() for batch in again.plan] == [batch.tolist() for batch in loader.plan]


@pytest.mark.parametrize("settings", [{"tokens": 1100}, {"batch_size": 6}])
def test_a_loader_goes_on_where_its_state_says(small_data, learning, settings):
    make = staged(small_data, learning, **settings)
    loader = make().train_dataloader()
    batches = iter(loader)
    seen = [next(batches).ids for _ in range(3)]
    state = loader.state_dict()
    rest = [batch.ids for batch in batches]
    resumed = make().train_dataloader()
    resumed.load_state_dict(state)
    assert rest == [batch.ids for batch in resumed] and not set(seen) & set(rest)


def test_a_batch_as_collated_is_divided_by_its_own_answers(learning):
    batch = collator(learning)(questions("mixed", 0))
    assert batch.divisor.item() == len(batch.targets) == len(batch.answers)
    torch.testing.assert_close(learning(dataclasses.replace(batch, learned=batch.learned * 2)), learning(batch) / 2)


@pytest.mark.parametrize("precision", [HalfPrecision("bf16-true"), DeepSpeedPrecision("bf16-true")])
def test_an_engine_in_16_bits_leaves_the_divisor_exact(learning, precision):
    """1157.5 answer tokens a pass; in bfloat16 it would be 1160."""
    batch = dataclasses.replace(
        collator(learning)(questions("mixed", 0)), learned=torch.tensor(2315), passes=torch.tensor(2)
    )
    given = precision.convert_input(batch)
    with precision.forward_context():
        assert (
            given.clips.dtype == torch.bfloat16
            and given.divisor.dtype == torch.float32
            and given.divisor.item() == 1157.5
        )


def test_tokens_and_micro_batch_exclude_each_other(small_data, learning):
    for settings in ({"micro_batch": 3}, {"objective": "contrastive"}):
        with pytest.raises(ConfigError, match="tokens"):
            staged(small_data, learning, tokens=1100, **settings)()
