"""Clips by an encoder's InputSpec: rates, lengths, leads, scalings; and clips that are no signal at all."""

import copy
import pickle

import numpy as np
import pytest
import torch

from anyecg.config.schema import InputConfig
from anyecg.data.clips import clips
from anyecg.data.clips.scaling import scalings
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.encoders.vit import ViT, ViTConfig
from anyecg.training.flops import Forward
from anyecg.types import CANONICAL_LEADS, ConfigError, InputSpec
from tests.conftest import collator, make_model
from tests.data.clips.picture import SHAPE, PictureEncoder

EVERY = np.ones(12, bool)


@pytest.mark.parametrize("fs, seconds", [(100, 10), (250, 10), (500, 10), (128, 2.5), (62.5, 4)])
def test_the_shape_of_a_clip_follows_rate_and_seconds(fs, seconds):
    spec = InputSpec(fs=fs, seconds=seconds)
    samples = round(fs * seconds)
    assert spec.shape == (12, samples)
    made = clips(spec)
    for length, count in ((1 / fs, 1), (seconds, 1), (seconds + 0.1, 1), (seconds + 0.2, 2), (3 * seconds, 3)):
        signal = np.ones((12, round(length * fs)), np.float32)
        assert made.count(length) == count == len(made.make(signal, EVERY))
        assert made.blank(count).shape == (count, 12, samples)


def test_the_default_is_the_papers():
    assert InputSpec() == InputSpec("signal", 100, 10, "lead", CANONICAL_LEADS, (12, 1000))


@pytest.mark.parametrize(
    ("samples", "count"),
    [(1, 1), (999, 1), (1000, 1), (1001, 1), (1010, 1), (1011, 2), (2000, 2), (2010, 2), (6000, 6), (6011, 7)],
)
def test_an_overhang_makes_no_clip(samples, count):
    made = clips(InputSpec(scaling="millivolt"))
    shown = made.make(np.ones((12, samples), np.float32), EVERY)
    assert (
        made.count(samples / 100) == count
        and shown.shape == (count, 12, 1000)
        and shown.reshape(count, -1).any(axis=1).all()
    )


def test_clips_follow_one_another_and_the_last_is_padded():
    signal = np.tile(np.arange(1, 2501, dtype=np.float32), (12, 1))
    shown = clips(InputSpec(scaling="millivolt")).make(signal, np.arange(12) < 2)
    assert shown.shape == (3, 12, 1000) and shown.dtype == np.float32
    assert (
        np.array_equal(shown[:, 1].ravel()[:2500], signal[1]) and not shown[2, 1, 500:].any() and not shown[:, 2:].any()
    )


def test_an_encoder_gets_the_leads_it_asks_for_in_its_order():
    signal = np.arange(12, dtype=np.float32)[:, None] + np.zeros((12, 1000), np.float32)
    mask = EVERY.copy()
    mask[CANONICAL_LEADS.index("V1")] = False
    shown = clips(InputSpec(leads=("V6", "V1", "II"), scaling="millivolt")).make(signal, mask)
    assert shown.shape == (1, 3, 1000) and shown[0, :, 0].tolist() == [11, 0, 1]


def ecg(scale=1.0):
    """[12, 1000] mV: lead k is k + 1 times as tall as lead I, with another offset; the last six are absent."""
    rng = np.random.default_rng(0)
    wave = rng.normal(size=1000).cumsum() / 40
    signal = scale * (np.arange(1, 13)[:, None] * wave + np.arange(12)[:, None])
    mask = np.arange(12) < 6
    return np.where(mask[:, None], signal, 99.0).astype(
        np.float32
    ), mask  # what stands in an absent lead must not matter


def scaled(name, signal, mask):
    return clips(InputSpec(scaling=name)).make(signal, mask)[0]


@pytest.mark.parametrize("name", sorted(scalings.table()))
def test_every_scaling_is_finite_and_leaves_absent_leads_alone(name):
    signal, mask = ecg()
    shown = scaled(name, signal, mask)
    assert shown.dtype == np.float32 and np.isfinite(shown).all() and not shown[~mask].any() and shown[mask].any()
    other = np.where(mask[:, None], signal, -7.0).astype(np.float32)
    assert np.array_equal(scaled(name, other, mask), shown)
    flat = np.zeros((12, 1000), np.float32)
    assert not scaled(name, flat, EVERY).any() and not scaled(name, flat, np.zeros(12, bool)).any()
    if name not in ("millivolt", "centred"):
        np.testing.assert_allclose(scaled(name, *ecg(0.01)), shown, atol=2e-4)  # the amplifier's gain is not seen


@pytest.mark.parametrize(
    "name, low, high", [("lead", -1, 1), ("lead_minmax", -1, 1), ("gain", -1, 1), ("minmax", 0, 1)]
)
def test_bounded_scalings_fill_their_range(name, low, high):
    signal, mask = ecg()
    shown = scaled(name, signal, mask)[mask]
    assert shown.min() >= low and shown.max() <= high and np.abs(shown).max() == pytest.approx(1)


@pytest.mark.parametrize(
    "name, kept",
    [
        ("lead", False),
        ("lead_minmax", False),
        ("lead_zscore", False),
        ("gain", True),
        ("minmax", True),
        ("zscore", True),
        ("millivolt", True),
    ],
)
def test_what_a_scaling_keeps_of_the_ratio_between_leads(name, kept):
    shown = np.ptp(scaled(name, *ecg()), axis=1)
    assert bool(shown[2] / shown[0] == pytest.approx(3, rel=1e-3)) is kept
    assert kept or shown[2] / shown[0] == pytest.approx(1, abs=0.4)


def double(signal, present):
    return 2 * signal


def test_a_scaling_may_be_anybodys_function():
    signal, mask = ecg()
    assert np.array_equal(scaled("tests.data.clips.test_clips:double", signal, mask)[mask], 2 * signal[mask])


@pytest.mark.parametrize("spec, message", [
    (dict(kind="image"), "no clip is called 'image'.*known: page, pair, signal"),
    (dict(scaling="gian"), "did you mean 'gain'"),
    (dict(shape=(12, 5)), r"12 leads and 1000 samples a clip has no shape \(12, 5\)"),
    (dict(leads=("II", "V9")), "leads: .*V9"), (dict(leads=("II", "II")), "each once"), (dict(fs=0), "at 0 Hz"), (dict(fs=10, seconds=0.01), "hold no signal"),
])  # fmt: skip
def test_what_cannot_be_made_is_refused_by_name(spec, message):
    with pytest.raises(ConfigError, match=message):
        clips(InputSpec(**spec))


def test_an_encoder_keeps_what_it_takes_when_it_is_copied():
    encoder = ViT(ViTConfig(size="tiny", fs=250, scaling="gain"))
    for other in (copy.deepcopy(encoder), pickle.loads(pickle.dumps(encoder))):
        assert other.input == encoder.input == InputSpec(fs=250, scaling="gain")


def pictured(small_data, view="signal"):
    rows = (
        small_data.questions.select(pool="multi_ecg")[:2].tolist()
        + small_data.questions.select(pool="localization_long")[:2].tolist()
    )
    return QuestionDataset(
        small_data.questions,
        rows,
        small_data.stores,
        InputConfig(),
        view,
        spec=PictureEncoder.input_spec(PictureEncoder.Config()),
    )


@pytest.fixture
def seeing():
    return make_model(encoder="tests.data.clips.picture:PictureEncoder")


def test_pictures_pass_through_collator_model_and_loss(small_data, seeing):
    dataset = pictured(small_data)
    items = [dataset[n] for n in range(len(dataset))]
    assert [len(record) for record in items[-1].clips] == dataset.clip_counts(items[-1].sample) and len(
        items[-1].clips[0]
    ) > 1
    batch = collator(seeing, spec=seeing.encoder.input)(items)
    assert batch.clips.shape == (len(batch.owner), *SHAPE) and batch.clips.dtype == torch.uint8
    loss = seeing(batch)
    loss.backward()
    assert loss.isfinite() and seeing.encoder.conv.weight.grad.abs().sum() > 0
    answers = seeing.answer(collator(seeing, generate=True, spec=seeing.encoder.input)(items), max_new_tokens=3)
    assert [answer.id for answer in answers] == list(batch.ids)


def test_pictures_are_withheld_as_their_maker_says(small_data):
    blind, seen = pictured(small_data, "blind")[0], pictured(small_data)[0]
    assert all((clip == 255).all() for clip in blind.clips) and [c.shape for c in blind.clips] == [
        c.shape for c in seen.clips
    ]


def test_a_text_only_batch_has_no_clips_of_the_encoders_shape(small_data, seeing):
    dataset = pictured(small_data, "text")
    batch = collator(seeing, spec=seeing.encoder.input)([dataset[0]])
    assert batch.clips.shape == (0, *SHAPE) and batch.clips.dtype == torch.uint8 and seeing(batch).isfinite()


def test_the_cost_of_pictures_is_counted(seeing):
    forward = Forward.of(seeing.to("meta"))
    assert forward.encoder == 2 * 12 * 16 * 3 * 8 * 10  # twelve patches of one convolution
