"""The intervals of localization questions as an encoder's objective: which tenths count, and that it learns them."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from anyecg import config
from anyecg.config.schema import InputConfig, StageConfig
from anyecg.data.loading.dataset import Item
from anyecg.objectives.spans import (
    CODE,
    SpanBatch,
    SpanCollator,
    SpanData,
    SpansConfig,
    SpansStage,
    asks_for_spans,
    code,
)
from anyecg.training.planning import plan
from anyecg.types import MARKER, ConfigError, ECGSample, InputSpec, Turn, Window
from tests.conftest import SMALL, make_model

STAGE = [
    "curriculum=[contrastive,spans,stage1]",
    "stages.spans={objective: spans, trains: [encoder], tasks: {localization_short: 1}, samples: 32, batch_size: 8}",
]


def question(intervals, seconds=10.0, name="premature ventricular contraction", clips=1):
    turns = (Turn("user", f"{MARKER}\nWhere is it?"), Turn("assistant", "Duration: 1.0s-2.0s"))
    meta = {"name": name, "intervals": intervals}
    sample = ECGSample("q", "localization", (Window("r", 0.0, seconds),), turns, patient="p", meta=meta)
    return Item(sample, (np.zeros((clips, 12, 1000), np.float32),), (np.arange(12) < 2,))


def collated(*items):
    data = SimpleNamespace(stores=SimpleNamespace(seconds=lambda window: window.end - window.start))
    return SpanCollator(data, InputSpec())(items)


def test_tenths_inside_an_interval_and_inside_the_window():
    batch = collated(question([(0.3, 0.5), (9.9, 10.4)], seconds=12.0, clips=2), question([]))
    assert batch.clips.shape == (3, 12, 1000) and batch.lead_mask.sum(1).tolist() == [2, 2, 2]
    assert batch.inside.shape == batch.counts.shape == (3, 100)
    assert batch.inside[0].nonzero().flatten().tolist() == [3, 4, 99]
    assert batch.inside[1].nonzero().flatten().tolist() == [0, 1, 2, 3]
    assert not batch.inside[2].any()
    assert batch.counts[0].all() and batch.counts[1].sum() == 20 and batch.counts[2].all()
    assert batch.ids == ("q", "q")


def test_a_name_has_signs_of_its_own():
    names = ["premature ventricular contraction", "ST elevation", "paced beat"]
    signs = np.stack([code(name) for name in names])
    assert signs.shape == (3, CODE) and set(np.unique(signs)) == {-1.0, 1.0}
    assert np.array_equal(code(names[0]), signs[0])
    assert np.abs(signs @ signs.T - CODE * np.eye(3)).max() < CODE / 2


def test_what_lies_past_the_window_does_not_count():
    model = make_model(dropout=0.0)
    stage = SpansStage(model, StageConfig(objective="spans", trains=["encoder"]), 4, SpansConfig(width=8)).eval()
    batch = collated(question([(1.0, 2.0)], seconds=5.0))
    before = stage.loss(batch)
    batch.inside[:, 50:] = True
    assert torch.equal(stage.loss(batch), before)
    batch.inside[:, 49] = True
    assert not torch.equal(stage.loss(batch), before)


@pytest.mark.parametrize(
    "encoder", [{"encoder": "vit", "stem": 4}, {"encoder": "conv", "dropout": 0.0, "widths": [16, 16, 32, 32, 32]}]
)
def test_it_learns_where_what_is_asked_for_stands(encoder):
    """Humps and dips at random places: asked for humps the humps are found, asked for dips the dips."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    model = make_model(**{"dropout": 0.0} | encoder)
    stage = SpansStage(model, StageConfig(objective="spans", trains=["encoder"]), 4, SpansConfig(width=16))
    assert set(stage.trainable) == {"encoder", "heads"}

    def batch(n=16):
        signal, inside, names = np.zeros((n, 12, 1000), np.float32), np.zeros((n, 100), bool), []
        for row in range(n):
            first, second = rng.permutation(5)[:2] * 20
            signal[row, :, first * 10 : first * 10 + 200] = 0.8
            signal[row, :, second * 10 : second * 10 + 200] = -0.8
            names.append(["hump", "dip"][row % 2])
            start = (first, second)[row % 2]
            inside[row, start : start + 20] = True
        return SpanBatch(
            torch.from_numpy(signal),
            torch.ones(n, 12, dtype=torch.bool),
            torch.from_numpy(np.stack([code(name) for name in names])),
            torch.from_numpy(inside),
            torch.ones(n, 100, dtype=torch.bool),
            tuple(map(str, range(n))),
        )

    optimizer = torch.optim.AdamW([p for p in stage.parameters() if p.requires_grad], lr=3e-3)
    for _ in range(120):
        loss = stage.loss(batch())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    asked = batch(64)
    said = stage.eval().logits(asked.clips, asked.lead_mask, asked.code) > 0
    iou = (said & asked.inside).sum() / (said | asked.inside).sum()
    assert iou > 0.8


def test_its_questions_are_those_with_intervals(small_data):
    cfg = StageConfig(
        objective="spans", tasks={"localization_short": 1, "localization_long": 1}, samples=32, batch_size=8
    )
    made = SpanData(small_data, cfg, InputConfig(), InputSpec(), replay=1.0, seed=0)
    batch = next(iter(made.train_dataloader()))
    assert len(batch.ids) == 8 and len(batch.clips) >= 8 and batch.clips.shape[1:] == (12, 1000)
    assert 0 < batch.inside.sum() < batch.inside.numel() and not (batch.inside & ~batch.counts).any()
    assert not asks_for_spans(small_data.questions[int(small_data.questions.select(pool="report")[0])])
    reports = StageConfig(objective="spans", tasks={"report": 1}, samples=32, batch_size=8)
    with pytest.raises(ConfigError, match="name a pool of localization"):
        SpanData(small_data, reports, InputConfig(), InputSpec(), replay=1.0, seed=0)


def test_its_key_holds_the_encoder_and_no_text():
    def keys(*overrides):
        experiment = config.load("experiments/anyecg_chat.yaml", [*SMALL, *STAGE, *overrides])
        return {one.name: one.key for one in plan(experiment, "data")}

    base = keys()
    assert list(base) == ["language", "contrastive", "spans", "stage1"]
    assert keys("llm.vocab=600", "connector=linear")["spans"] == base["spans"]
    for override in ("encoder.stem=10", "stages.spans.objective.width=8", "seed=1"):
        assert keys(override)["spans"] != base["spans"]
    with pytest.raises(ConfigError, match="stages.spans.view: a stage over spans needs the ECG itself"):
        keys("stages.spans.view=blind")
