"""Masked pairs: the words of an ECG's own report, what is hidden and what counts, and that each learns from the other."""

import numpy as np
import pytest
import torch

from anyecg import config
from anyecg.config.schema import StageConfig
from anyecg.objectives.masked import ClipData
from anyecg.objectives.masked_pairs import (
    FIRST,
    HIDDEN,
    PAD,
    MaskedPairsConfig,
    MaskedPairsStage,
    PairDataset,
    Worded,
    WordedBatch,
)
from anyecg.training.planning import plan
from anyecg.training.projection import project
from anyecg.types import ConfigError, InputSpec
from tests.conftest import SMALL, make_model

EXPERIMENT = "experiments/baselines/m3ae.yaml"
LIGHT = MaskedPairsConfig(width=32, layers=1, heads=2, mixing=1, vocabulary=50)


def stage(settings=LIGHT):
    cfg = StageConfig(objective="masked_pairs", trains=["encoder"], tasks={"report": 1})
    return MaskedPairsStage(make_model(dropout=0.0), cfg, 4, settings)


def batch(n=8, seed=0):
    """Sines whose frequency the report names, with a word that says nothing."""
    rng = np.random.default_rng(seed)
    kinds, t = np.arange(n) % 2, np.arange(1000) / 100
    clips = [np.tile(np.sin(2 * np.pi * (1 + 2 * kind) * t + rng.uniform(0, 6.28)), (12, 1)) for kind in kinds]
    words = torch.tensor([[FIRST + 7, FIRST + 10 + int(kind), PAD] for kind in kinds])
    return WordedBatch(
        torch.tensor(np.stack(clips), dtype=torch.float32), torch.ones(n, 12, dtype=torch.bool), ("",) * n, words
    )


def test_an_ecg_comes_with_its_own_report(small_data):
    cfg = StageConfig(objective="masked_pairs", tasks={"multi_ecg": 1, "report": 1}, samples=64, batch_size=8)
    worded = Worded(4096)
    data = ClipData(small_data, cfg, InputSpec(), replay=1.0, seed=0, dataset=PairDataset, collator=worded)
    for visit in range(12):
        made, _, id, report = data.dataset[visit]
        sample = small_data.questions[int(data.dataset.rows[visit])]
        read = [small_data.stores.read(w) for w, said in zip(sample.records, sample.evidence) if said == report]
        assert any(np.array_equal(made, data.dataset.clips.make(*found)[0]) for found in read)
        assert sample.id == id
    found = next(iter(data.train_dataloader()))
    assert found.words.shape[0] == 8 and (found.words[:, 0] >= FIRST).all() and found.clips.shape == (8, 12, 1000)


def test_words_are_told_apart_in_any_case_and_cut():
    worded = Worded(4096)
    assert worded.ids("Sinus RHYTHM, sinus") == [*worded.ids("sinus rhythm"), worded.ids("sinus")[0]]
    assert len(worded.ids("a " * 200)) == 64 and worded.ids("...") == []
    assert min(worded.ids("atrial fibrillation with rate 80")) >= FIRST


def test_a_report_that_is_anothers_is_known_and_one_that_says_the_same_is_none():
    module, seen = stage(), []
    for seed in range(20):
        torch.manual_seed(seed)
        given, alike = module.paired(batch().words)
        assert torch.equal(alike, (given == batch().words).all(1))
        seen.append(alike.float().mean().item())
    assert 0.3 < np.mean(seen) < 0.7
    same = torch.full((6, 3), FIRST + 1)
    assert module.paired(same)[1].all() and module.paired(batch().words[:1])[1].all()


def test_hidden_words_are_not_seen_and_only_they_count(monkeypatch):
    module = stage(MaskedPairsConfig(width=32, layers=1, heads=2, mixing=1, vocabulary=50, signal=0.0, match=0.0))
    mixed = module.mixed
    seen = []
    module.mixed = lambda tokens, words: seen.append(words) or mixed(tokens, words)
    torch.manual_seed(0)
    loss = module.loss(batch())
    hidden = seen[0] == HIDDEN
    assert hidden.any() and not hidden[:, 2].any() and (seen[0][:, 2] == PAD).all()
    loss.backward()
    assert module.model.encoder.embed.position.grad.abs().sum() > 0  # words are asked of the ECG
    assert module.complete.weight.grad is None and module.belong.weight.grad is None


def test_whether_they_belong_together_is_asked_of_both():
    module = stage(MaskedPairsConfig(width=32, layers=1, heads=2, mixing=1, vocabulary=50, signal=0.0, text=0.0))
    torch.manual_seed(0)
    module.loss(batch()).backward()
    assert module.model.encoder.embed.position.grad.abs().sum() > 0 and module.words.weight.grad.abs().sum() > 0
    assert module.word.weight.grad is None and module.complete.weight.grad is None


@pytest.mark.parametrize("part", ["text", "signal"])
def test_each_part_is_learnt(part):
    torch.manual_seed(0)
    weights = dict.fromkeys(("signal", "text", "match"), 0.0) | {part: 1.0}
    module = stage(MaskedPairsConfig(width=32, layers=1, heads=2, mixing=1, vocabulary=50, words=0.5, **weights))
    optimizer = torch.optim.AdamW([p for p in module.parameters() if p.requires_grad], lr=3e-3)
    module.model.train()
    losses = []
    for step in range(120):
        loss = module.loss(batch(seed=step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert np.mean(losses[-20:]) < {"text": 0.4, "signal": 0.8}[part] * np.mean(losses[:3])


def test_it_is_planned_and_its_key_holds_the_encoder():
    def keys(*overrides):
        return {one.name: one.key for one in plan(config.load(EXPERIMENT, [*SMALL, *overrides]), "data")}

    base = keys()["pairs"]
    assert keys("text_encoder.dim=32")["pairs"] == base
    assert keys("stages.pairs.objective.words=0.5")["pairs"] != base != keys("encoder.stem=10")["pairs"]
    (found,) = [one for one in project(config.load(EXPERIMENT, ["scale=paper"])).stages if one.name == "pairs"]
    assert found.trains["encoder"] == 85_199_248 and found.trains["heads"] > 0 and found.cost.flops > 0
    with pytest.raises(ConfigError, match="signal, text and match are all 0"):
        weights = [f"stages.pairs.objective.{name}=0" for name in ("signal", "text", "match")]
        config.load(EXPERIMENT, weights)
