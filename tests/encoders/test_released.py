"""Encoders with published weights: sizes as published, files of the published layout read to the last tensor, the same
tokens as the description written out by hand, and what does not fit named.
"""

import numpy as np
import pytest
import torch

from anyecg.data import clips as data
from anyecg.data.clips.filters import band_pass
from anyecg.encoders import encoders
from anyecg.types import CheckpointError, ConfigError
from tests.encoders import published

ONE = {"layers": 1}
AROUND = {"quantizer.vars": (1, 640, 128), **published.pair("quantizer.weight_proj", 640, 256), "mask_emb": (768,)} | {
    **published.pair("project_q", 256, 256),
    **published.pair("final_proj", 256, 768),
}  # of wav2vec 2.0's pre-training
MELP_AHEAD = "ecg_encoder.ecg_encoder."
FOUNDER_AROUND = published.pair("dense", 150, 1024) | {
    f"{name}.{part}": (width,)
    for name, width in published.Founder.passed_over().items()
    for part in ("weight", "bias", "running_mean", "running_var")
}
# name, settings, reference, its number of layers (Founder: leads), what else the file holds, where the names lie
CASES = {
    "ecg_jepa": ("ecg_jepa", ONE, published.Jepa, 1, {}, "encoder"),
    "st_mem": ("st_mem", ONE, published.StMem, 1, published.pair("head", 5, 768), "model"),
    "ecg_coca": (
        "ecg_coca",
        ONE,
        published.Coca,
        1,
        {"ecg.proj": (768, 512), "text.transformer.x": (2,), "text_decoder.y": (2,), "logit_scale": ()},
        "state_dict",
    ),
    "ecg_fm": ("ecg_fm", ONE, published.Wav2Vec, 1, AROUND, "model"),
    "melp": (
        "melp",
        ONE,
        published.Wav2Vec,
        1,
        {**{MELP_AHEAD + name: shape for name, shape in AROUND.items()}, "ecg_encoder.logit_scale": ()}
        | {"ecg_encoder.attn_pool_contrast.query": (14, 256), "ecg_encoder.proj_contrast": (256, 256)}
        | {"ecg_encoder.bn.running_mean": (768,), **published.scale("ecg_encoder.ln_caption", 768)},
        None,
    ),
    "ecg_founder": ("ecg_founder", {}, published.Founder, 12, FOUNDER_AROUND, "state_dict"),
    "ecg_founder of one lead": ("ecg_founder", {"lead": "I"}, published.Founder, 1, FOUNDER_AROUND, "state_dict"),
}
FREE = {"st_mem", "hubert_ecg"}  # whose licence has to be kept to


def drawn(shapes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return {name: 0.05 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def build(name, **settings):
    if name in FREE and "weights" in settings:
        settings = {"non_commercial": True} | settings
    return encoders[name](encoders[name].Config(**settings)).eval()


def write(path, case, change=lambda state: None):
    """A file of a case's layout, and the encoder's own tensors in it under their published names."""
    name, _, reference, layers, around, inside = case
    own = drawn(reference.names(layers))
    ahead = MELP_AHEAD if name == "melp" else ""
    state = {ahead + key: value for key, value in own.items()} | drawn(around, seed=1)
    change(state)
    scores = {"epoch": 3, "val_auroc": np.float64(0.92)}  # as training loops leave them beside the weights
    torch.save({inside: state, **scores} if inside else state, path)
    return own


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_published_file_gives_the_described_tokens(case, tmp_path):
    name, settings, reference, layers, *_ = case
    own = write(tmp_path / "x.pth", case)
    encoder = build(name, weights=str(tmp_path / "x.pth"), **settings)
    clips = torch.randn(2, *encoder.input.shape, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        tokens = encoder(clips, torch.ones(2, 12, dtype=torch.bool))
        torch.testing.assert_close(tokens, reference.forward(own, clips, layers), atol=2e-4, rtol=1e-3)
    assert sum(value.numel() for value in encoder.state_dict().values()) == sum(value.numel() for value in own.values())


@pytest.mark.parametrize(
    ("name", "settings", "count"),
    [
        ("ecg_jepa", {}, 85_374_720),
        ("st_mem", {}, 85_150_614),
        ("ecg_fm", {}, 90_373_248),
        ("melp", {}, 62_021_760),
        ("ecg_coca", {}, 85_596_672),
        ("hubert_ecg", {}, 30_209_152),
        ("hubert_ecg", {"size": "base"}, 92_798_080),
    ],
)
def test_it_has_the_publications_size(name, settings, count):
    with torch.device("meta"):
        encoder = build(name, **settings)
    assert sum(p.numel() for p in encoder.parameters()) == count


def test_sizes_are_those_published_with_what_is_left_out():
    def total(shapes):
        return sum(int(np.prod(shape)) for shape in shapes.values())

    assert round((90_373_248 + total(AROUND)) / 1e6, 1) == 90.9
    around = {key: shape for key, shape in FOUNDER_AROUND.items() if "running" not in key}
    assert total(published.Founder.names(12)) + total(around) == 30_819_014
    final_proj = 256 * 512 + 256  # of HuBERT-ECG small, which pre-training predicts with
    assert round((30_209_152 + final_proj) / 1e6, 1) == 30.3


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("ecg_jepa", (250, 10, (8, 2500))),
        ("st_mem", (250, 10, (12, 2500))),
        ("ecg_fm", (500, 5, (12, 2500))),
        ("melp", (500, 10, (12, 5000))),
        ("ecg_coca", (500, 10, (12, 5000))),
        ("ecg_founder", (500, 10, (12, 5000))),
        ("hubert_ecg", (100, 5, (12, 500))),
    ],
)
def test_it_is_shown_what_it_was_trained_on(name, spec):
    found = encoders[name].input_spec(encoders[name].Config())
    assert (found.fs, found.seconds, found.shape) == spec
    signal = np.random.default_rng(0).normal(1.0, 0.2, (12, round(10 * found.fs))).astype(np.float32)
    made = data.clips(found).make(signal, np.ones(12, bool))
    assert made.shape == (round(10 / found.seconds), *found.shape) and np.isfinite(made).all()


def test_a_band_keeps_what_lies_inside_and_the_time_of_it():
    time = np.arange(2500) / 250
    slow, inside, fast = (np.sin(2 * np.pi * hz * time) for hz in (0.05, 10.0, 100.0))
    seen = band_pass(np.stack([slow + inside + fast]), 250, 0.67, 40)
    assert np.abs(seen[0] - inside)[500:-500].max() < 0.05
    assert band_pass(np.zeros((2, 5)), 250, 0.67, 40).shape == (2, 5)


def test_the_tokens_of_hubert_ecg_are_the_librarys(tmp_path):
    from transformers import HubertModel

    encoder = build("hubert_ecg", layers=1)
    library = HubertModel(encoder.net.config).eval()
    state = {  # as the older files name the weights of positions
        name.replace("parametrizations.weight.original0", "weight_g").replace(
            "parametrizations.weight.original1", "weight_v"
        ): value
        for name, value in library.state_dict().items()
    }
    around = {"masked_spec_embed": torch.zeros(512), "label_embedding.0.weight": torch.zeros(3, 256)}
    torch.save({"model_state_dict": state | around | {"final_proj.0.bias": torch.zeros(256)}}, tmp_path / "x.pt")
    loaded = build("hubert_ecg", layers=1, weights=str(tmp_path / "x.pt"))
    clips = torch.randn(2, 12, 500)
    with torch.inference_mode():
        expected = library(clips.flatten(1)).last_hidden_state
        torch.testing.assert_close(loaded(clips, torch.ones(2, 12, dtype=torch.bool)), expected)
    assert expected.shape == (2, 93, 512)
    with pytest.raises(CheckpointError, match="another shape|has no place|missing"):
        build("hubert_ecg", size="base", layers=1, weights=str(tmp_path / "x.pt"))


def remove(state):
    del state["W_P.bias"]


def add(state):
    state["encoder_blocks.blocks.1.norm1.weight"] = torch.zeros(768)


def bend(state):
    state["pos_embed"] = torch.zeros(400, 384)


@pytest.mark.parametrize(
    ("change", "message"),
    [(remove, "project.bias' is missing"), (add, "norm1.weight' has no place"), (bend, "position' has another shape")],
)
def test_what_does_not_fit_is_named(change, message, tmp_path):
    write(tmp_path / "x.pth", CASES["ecg_jepa"], change)
    with pytest.raises(CheckpointError, match=message):
        build("ecg_jepa", weights=str(tmp_path / "x.pth"), **ONE)


def test_half_precision_and_safetensors_are_read(tmp_path):
    from safetensors.torch import save_file

    case = CASES["melp"]
    own = write(tmp_path / "x.pth", case)
    held = torch.load(tmp_path / "x.pth", weights_only=True)
    save_file({name: value.half() for name, value in held.items()}, tmp_path / "x.safetensors")
    loaded = build("melp", weights=str(tmp_path / "x.safetensors"), **ONE)
    assert torch.allclose(loaded.project.weight, own["post_extract_proj.weight"], atol=1e-3)
    assert loaded.project.weight.dtype == torch.float32


def test_weights_for_no_commercial_use_are_opted_into(tmp_path):
    write(tmp_path / "x.pth", CASES["st_mem"])
    with pytest.raises(ConfigError, match="non_commercial: .*CC BY-NC"):
        encoders["st_mem"].Config(weights=str(tmp_path / "x.pth"), layers=1)
    encoders["st_mem"].Config(layers=1)  # random weights are nobody's


def test_the_whole_file_of_st_mem_is_read_without_its_decoder(tmp_path):
    def whole(state):
        for name in [*state]:
            state[f"encoder.{name}"] = state.pop(name)
        state |= {"decoder_embed.weight": torch.zeros(2), "mask_embedding": torch.zeros(2)}

    write(tmp_path / "x.pth", CASES["st_mem"], whole)
    build("st_mem", weights=str(tmp_path / "x.pth"), **ONE)
