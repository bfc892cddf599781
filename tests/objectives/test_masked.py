"""Masked ECG modelling: what is hidden, what counts, what the encoder sees, and that it learns."""

import dataclasses

import numpy as np
import pytest
import torch

from anyecg import config
from anyecg.config.schema import StageConfig
from anyecg.encoders import encoders
from anyecg.encoders.base import Encoder
from anyecg.objectives.masked import ClipBatch, ClipData, MaskedConfig, MaskedStage, masked_loss
from anyecg.training.planning import plan
from anyecg.training.projection import project
from anyecg.types import ConfigError, InputSpec
from tests.conftest import SMALL, make_model

EXPERIMENT = "experiments/masked_pretraining.yaml"
LIGHT = MaskedConfig(width=32, layers=1, heads=2)


def stage(model=None, settings=LIGHT, **more):
    model = model or make_model(dropout=0.0)
    return MaskedStage(
        model, StageConfig(objective="masked", trains=["encoder"], **{"tasks": {"report": 1}} | more), 4, settings
    )


def waves(n=8, seed=0):
    """Sines of one frequency and phase a clip, in every lead with a sign of its own: a hidden patch follows from the
    others.
    """
    rng = np.random.default_rng(seed)
    t = np.arange(1000) / 100
    made = [
        np.sin(2 * np.pi * rng.uniform(0.8, 1.6) * t + rng.uniform(0, 6.28))[None]
        * np.where(np.arange(12) % 2, 1, -1)[:, None]
        for _ in range(n)
    ]
    return ClipBatch(
        torch.tensor(np.stack(made), dtype=torch.float32), torch.ones(n, 12, dtype=torch.bool), tuple("abcdefgh"[:n])
    )


@pytest.mark.parametrize(
    "encoder",
    [{"encoder": "vit"}, {"encoder": "vit", "stem": 4}, {"encoder": "vit", "mask_absent": True}, {"encoder": "timm"}],
)
def test_nothing_of_a_hidden_patch_reaches_the_encoder(encoder):
    """Not through its token, nor through convolutions that look over a patch's edge."""
    model = make_model(dropout=0.0, **encoder).eval()
    batch, seen = waves(2), torch.stack([torch.arange(0, 60, 4), torch.arange(1, 60, 4)])
    tokens = model.encoder.encode_seen(batch.clips, batch.lead_mask, seen)
    assert tokens.shape == (2, 1 + 15, model.encoder.dim)
    samples = model.encoder.patch_samples(batch.clips).flatten(1, 2)
    hidden = torch.ones(2, 60, dtype=torch.bool).scatter(1, seen, False)
    other = torch.where(hidden[..., None], torch.randn_like(samples), samples).view(2, 12, 1000)
    assert not torch.equal(other, batch.clips)
    torch.testing.assert_close(model.encoder.encode_seen(other, batch.lead_mask, seen), tokens, rtol=0, atol=0)
    changed = torch.where(hidden[..., None], samples, torch.randn_like(samples)).view(2, 12, 1000)
    assert not torch.allclose(model.encoder.encode_seen(changed, batch.lead_mask, seen), tokens)


def test_all_patches_seen_are_what_the_encoder_makes_of_a_clip():
    model, batch = make_model(dropout=0.0).eval(), waves(2)
    everything = torch.arange(60).expand(2, -1)
    torch.testing.assert_close(
        model.encoder.encode_seen(batch.clips, batch.lead_mask, everything), model.encoder(batch.clips, batch.lead_mask)
    )


def test_only_hidden_patches_of_leads_that_are_there_count():
    torch.manual_seed(0)
    completed, targets = torch.randn(3, 60, 200, requires_grad=True), torch.randn(3, 60, 200)
    seen, present = torch.stack([torch.randperm(60)[:15] for _ in range(3)]), torch.ones(3, 60, dtype=torch.bool)
    present[1, 5:] = False  # one lead
    present[2] = False
    hidden = torch.ones(3, 60, dtype=torch.bool).scatter(1, seen, False) & present
    loss = masked_loss(completed, targets, seen, present)
    plain = [
        ((completed[n] - targets[n]) ** 2)[hidden[n]].mean() if hidden[n].any() else torch.tensor(0.0) for n in range(3)
    ]
    torch.testing.assert_close(loss, sum(plain) / 3)
    loss.backward()
    assert torch.equal(completed.grad.abs().sum(-1) > 0, hidden)


def test_three_quarters_are_hidden_at_random(monkeypatch):
    seen, module = [], stage()
    plain = module.model.encoder.encode_seen
    module.model.encoder.encode_seen = lambda clips, mask, shown: seen.append(shown) or plain(clips, mask, shown)
    for _ in range(40):
        module.loss(waves(8))
    drawn = torch.cat(seen)
    assert drawn.shape == (320, 15) and all(len(set(row.tolist())) == 15 for row in drawn)
    assert (torch.bincount(drawn.flatten(), minlength=60) / 320).sub(0.25).abs().max() < 0.1
    assert not torch.equal(drawn[0], drawn[1])


def test_a_patch_is_scaled_by_itself_and_a_flat_one_is_zero():
    module, batch = stage(), waves(2)
    batch.clips[0, 3] = 0.5
    targets = module.targets(batch.clips)
    assert torch.equal(targets[0, 15:20], torch.zeros(5, 200))
    torch.testing.assert_close(targets[1].std(-1, correction=0), torch.ones(60), atol=1e-3, rtol=0)
    torch.testing.assert_close(module.targets(batch.clips * 0.5)[1], targets[1], atol=1e-3, rtol=1e-3)


def test_the_loss_falls_and_the_encoder_and_the_heads_alone_learn():
    torch.manual_seed(0)
    module = stage()
    assert {name.split(".")[0] for name in module.own_parameters()} == {
        "join",
        "blank",
        "time",
        "lead",
        "decoder",
        "complete",
    }
    assert set(module.trainable) == {"encoder", "heads"}
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=3e-3)
    module.model.train()
    losses = []
    for _ in range(200):
        loss = module.loss(waves(8))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[:5]) / 5 > 0.9 and sum(losses[-10:]) / 10 < 0.6
    moved = {name for name, p in module.named_parameters() if not torch.equal(p, before[name])}
    assert not any(name.startswith(("model.llm", "model.connector", "model.markers")) for name in moved)
    assert any(name.startswith("model.encoder.blocks") for name in moved) and "blank" in moved


def test_a_clip_is_one_of_a_questions_ecgs_and_another_at_each_visit(small_data):
    cfg = StageConfig(objective="masked", tasks={"localization_long": 1, "multi_ecg": 1}, samples=640, batch_size=16)
    made = [ClipData(small_data, cfg, InputSpec(), replay=1.0, seed=0, devices=devices) for devices in (1, 4)]
    one, shared = made[0], made[1]
    assert one.accumulate == shared.accumulate == 1 and len(shared.plan) == 4 * len(one.plan)
    batch = next(iter(one.train_dataloader()))
    assert batch.clips.shape == (16, 12, 1000) and batch.lead_mask.shape == (16, 12) and batch.clips.abs().max() <= 1
    again = one.dataset[3]
    assert np.array_equal(again[0], one.dataset[3][0]) and np.array_equal(again[0], shared.dataset[3][0])
    rows = one.dataset.rows
    row = next(
        row
        for row in np.unique(rows)
        if (rows == row).sum() > 2 and small_data.questions[int(row)].pool == "localization_long"
    )
    clips = {one.dataset[int(visit)][0].tobytes() for visit in np.flatnonzero(rows == row)[:8]}
    assert len(clips) > 1


def test_an_encoder_without_such_patches_is_told():
    class Plain(Encoder):
        @dataclasses.dataclass(frozen=True)
        class Config:
            pass

        dim, prefix, patches = 8, 0, 4

        def __init__(self, cfg):
            super().__init__()

    model = make_model()
    model.encoder = Plain(Plain.Config())
    with pytest.raises(ConfigError, match="encoder: Plain has no patches of single leads.*masked stage"):
        stage(model)


@pytest.mark.parametrize("name", ["vit", "timm"])
def test_the_encoders_we_ship_offer_it(name):
    assert encoders[name].encode_seen is not Encoder.encode_seen


def test_its_key_holds_the_encoder_and_no_text():
    def keys(*overrides):
        return {one.name: one.key for one in plan(config.load(EXPERIMENT, [*SMALL, *overrides]), "data")}

    base = keys()
    assert list(base) == ["language", "masked", "contrastive", "stage1", "stage2", "stage3"]
    assert (
        keys("llm.vocab=600", "text_encoder.dim=32", "connector=linear", "stages.masked.micro_batch=2")["masked"]
        == base["masked"]
    )
    for override in ("encoder.stem=10", "stages.masked.objective.hidden=0.5", "seed=1"):
        assert keys(override)["masked"] != base["masked"]
    recipe = {one.name: one.key for one in plan(config.load("experiments/anyecg_chat.yaml", SMALL), "data")}
    # its parent trained the encoder
    assert recipe["contrastive"] != base["contrastive"] and recipe["language"] == base["language"]


def test_it_is_planned():
    (masked,) = [one for one in project(config.load(EXPERIMENT, ["scale=paper"])).stages if one.name == "masked"]
    contrastive = project(config.load(EXPERIMENT, ["scale=paper"])).stages[1]
    assert masked.trains["encoder"] == 85_199_248 and masked.trains["heads"] > 0
    assert 0.2 < masked.cost.flops / contrastive.cost.flops < 0.5  # a quarter of the patches, and the decoder


def test_settings_that_cannot_be_meant():
    with pytest.raises(ConfigError) as error:
        config.load(
            EXPERIMENT,
            ["stages.masked.objective.hidden=1", "stages.masked.view=text", "stages.contrastive.tokens=null"],
        )
    assert "stages.masked.objective.hidden: above 0 and below 1" in str(
        error.value
    ) and "stages.masked.view: a masked stage needs the ECG itself" in str(error.value)
