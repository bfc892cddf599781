"""Two encoders of one record: each sees what it would alone, and either can be missing."""

import numpy as np
import pytest
import torch

from anyecg import config
from anyecg.config.schema import Slot
from anyecg.data.clips import clips
from anyecg.data.clips.pair import Both
from anyecg.encoders.pair import Pair
from anyecg.evaluation.views import views
from anyecg.types import ConfigError

PAGE = {"name": "page_vit", "height": 64, "width": 96, "dim": 32}
TRACE = {"name": "vit", "size": "tiny", "layers": 1}


def build(trace=TRACE, page=PAGE, **settings):
    torch.manual_seed(0)
    return Pair(config.build(Pair.Config, {"trace": trace, "page": page, "dim": 16} | settings, "the test")).eval()


def window(seconds=10, seed=0):
    return np.random.default_rng(seed).normal(0, 0.3, (12, seconds * 100)).astype(np.float32), np.ones(12, bool)


def shown(encoder, spec=None, seconds=10, seed=0):
    made = clips(spec or encoder.input).make(*window(seconds, seed), "a record")
    return torch.from_numpy(made), torch.ones(len(made), 12, dtype=torch.bool)


@pytest.mark.parametrize("page", [PAGE, {"name": "clip", "model": "vit_tiny_patch16_224", "height": 64, "width": 64}])
def test_each_encoder_is_shown_what_it_would_be_shown_alone(page):
    encoder = build(page=page)
    batch, _ = shown(encoder, seconds=20)
    assert batch.shape == (2, *encoder.input.shape)
    alone = [side.input for side in (encoder.trace, encoder.page)]
    for part, spec in zip(batch.split(encoder.sizes, dim=1), alone, strict=False):
        expected = clips(spec).make(*window(20), "a record").astype(np.float32)
        assert np.array_equal(part.numpy().reshape(expected.shape), expected)
    assert encoder(*shown(encoder)).shape == (1, encoder.patches, 16)


def test_tokens_are_those_of_each_encoder_one_after_the_other():
    encoder = build()
    batch, mask = shown(encoder)
    trace = encoder.trace(batch[:, : encoder.sizes[0]].reshape(-1, 12, 1000), mask)
    torch.testing.assert_close(encoder(batch, mask)[:, : trace.shape[1]], encoder.maps[0](trace))


@pytest.mark.parametrize(("view", "number"), [("without_trace", 0), ("without_page", 1)])
def test_a_view_withholds_one_side_and_nothing_of_it_is_seen(view, number):
    encoder = build()
    spec = views[view]().drawn(encoder.input)
    assert spec.shape == encoder.input.shape and views[view]().drawn(clips_of_signal()) == clips_of_signal()
    first, second = (encoder(*shown(encoder, spec, seed=seed)).split(encoder.tokens, dim=1) for seed in (0, 1))
    assert torch.equal(first[number], second[number])
    assert torch.equal(first[number], encoder.absent[number].expand_as(first[number]))
    assert not torch.equal(first[1 - number], second[1 - number])


def clips_of_signal():
    return build().trace.input


def test_blind_neither_is_there_and_of_a_picture_the_page_alone():
    encoder, made = build(), clips(build().input)
    assert not made.blank(2)[:, -2:].any() and made.blank(0).shape == (0, *encoder.input.shape)
    picture = made.pictured(np.full((64, 96, 3), 200, np.uint8))
    assert picture.shape == (1, *encoder.input.shape) and picture[0, -2:].tolist() == [0.0, 1.0]


def test_a_page_of_a_view_is_drawn_as_the_view_says():
    encoder = build()
    spec = views["page_header"]().drawn(encoder.input)
    assert (
        isinstance(spec.settings, Both)
        and spec.settings.page.settings.header
        and not encoder.input.settings.page.settings.header
    )


def test_in_training_one_of_the_two_is_left_out_and_never_both():
    encoder = build(drop=0.3).train()
    there = torch.ones(4000, 2, dtype=torch.bool)
    torch.manual_seed(0)
    out = encoder.left_out(there)
    assert not out.all(dim=1).any() and torch.allclose(out.float().mean(dim=0), torch.tensor(0.3), atol=0.03)
    there[:, 1] = False
    assert not encoder.left_out(there).any()  # what is there alone stays


def test_what_does_not_go_together_is_refused():
    with pytest.raises(ConfigError, match="fs is 500.0 and 100.0"):
        build(trace=TRACE | {"fs": 500})
    with pytest.raises(ConfigError, match="no encoder is called 'vitt'"):
        build(trace="vitt")


def test_its_key_holds_both_encoders_and_what_makes_their_clips():
    components = Slot("pair", Pair, build_config()).components
    assert [component.__name__ for component in components] == ["Pair", "ViT", "PageViT"]
    makers = {getattr(maker, "__name__", "") for maker in clips(Pair.input_spec(build_config())).made_by()}
    assert {"PairClips", "TraceClips", "PageClips"} <= makers


def build_config():
    return config.build(Pair.Config, {"trace": TRACE, "page": PAGE}, "the test")


@pytest.mark.parametrize(
    "override", ["encoder.page=page_vit", "encoder.page.name=page_vit", "encoder.page={name: page_vit}"]
)
def test_a_side_is_swapped_whole_from_the_command_line(override):
    before = ["encoder={name: pair, page: {name: clip, model: vit_tiny_patch16_224, height: 64, width: 64}}"]
    experiment = config.load("experiments/pulse.yaml", [*before, override])
    assert experiment.encoder.config.page.component.__name__ == "PageViT"
    kept = config.load("experiments/gem.yaml", ["encoder.trace.layers=3"]).encoder.config.trace.config
    assert (kept.layers, kept.scaling) == (3, "millivolt")
