"""The formula of FLOPs against torch's own counter over a real forward and backward pass, and against 6N and 4N at
the paper's size.
"""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from anyecg.objectives.contrastive import contrastive_flops
from anyecg.training.flops import Forward, Shape, answering_flops, recomputed_flops
from benchmarks.plain import plain_attention
from tests.conftest import collator, make_item, make_model

WIDE = {"dim": 96, "heads": 2, "mlp": 384}
ALL = ("encoder", "connector", "markers", "llm")


def counted(model, trains, item) -> int:
    """What the counter sees of a training step; plain attention, as flash attention's backward pass computes its
    scores again.
    """
    model.train_only(trains)
    with plain_attention(model), FlopCounterMode(display=False) as counter:
        model(collator(model)([item])).backward()
    return counter.get_total_flops()


def shape_of(model, item) -> Shape:
    clips = [len(clip) for clip in item.clips]
    return Shape(sum(clips), *collator(model).measure(item.sample, clips))


@pytest.mark.parametrize(
    ("trains", "tuning"),
    [
        (ALL, "lora"),
        (("encoder", "connector", "markers"), "lora"),
        (("connector", "markers", "llm"), "lora"),
        (("connector",), "none"),
        (ALL, "full"),
    ],
)
@pytest.mark.parametrize("clips", [(1,), (6,), (1, 1, 1)])
def test_the_formula_is_what_torch_counts(trains, tuning, clips):
    model, item = make_model(tuning=tuning, **WIDE).train(), make_item(clips=clips)
    formula = answering_flops(Forward.of(model), shape_of(model, item), trains, tuning)
    assert formula == pytest.approx(counted(model, trains, item), rel=0.01)


def test_a_trained_encoder_alone_takes_three_forward_passes():
    model = make_model(**WIDE)
    encoder, signal = model.encoder, torch.randn(1, 12, 1000)
    with plain_attention(model), FlopCounterMode(display=False) as counter:
        encoder(signal, torch.ones(1, 12, dtype=torch.bool)).sum().backward()
    # nothing flows back into the signal
    assert contrastive_flops(Forward.of(model)) == pytest.approx(counter.get_total_flops(), rel=0.05)


@pytest.mark.parametrize(
    ("trains", "tuning"),
    [
        (("encoder", "connector", "markers"), "lora"),
        (("connector", "markers", "llm"), "lora"),
        (ALL, "full"),
        (("llm_weights", "markers"), "lora"),
        (("llm",), "lora"),
    ],
)
def test_checkpointing_costs_what_torch_counts(trains, tuning):
    """Where the LLM is frozen and in eval mode (Stage 1) too."""
    item, found = make_item(clips=(2,)), []
    for switch in (False, "selective", True):
        model = make_model(tuning=tuning, checkpointing=switch, **WIDE)
        model.train_only(trains)
        found.append(counted(model.train(), trains, item))
        assert model.llm.training == ("llm" in trains or "llm_weights" in trains)
    assert recomputed_flops(Forward.of(model), shape_of(model, item)) == pytest.approx(found[2] - found[0], rel=0.01)
    assert found[1] == found[0]  # a selective pass computes no product twice
