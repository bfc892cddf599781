"""Every registered encoder keeps the contract; the paper's has the paper's size."""

import pytest
import torch

from anyecg import config
from anyecg.data import clips as data
from anyecg.encoders import encoders
from anyecg.encoders.vit import ViT, ViTConfig
from anyecg.types import ConfigError, InputSpec

TINY = {"model": "vit_tiny_patch16_224", "height": 64, "width": 64, "dropout": 0.1}
SMALL = {
    "vit": {"size": "tiny"},
    "xresnet1d": {"depth": 50, "width": 8},
    "timm": {"model": "vit_tiny_patch16_224"},
    "page_vit": {"height": 64, "width": 96, "dim": 32},
    "timm_image": TINY,
    "clip": TINY,
    "siglip2": TINY,
    "resnet1d": {"depth": 18, "width": 8},
    "pair": {"trace": {"name": "vit", "size": "tiny"}, "page": {"name": "page_vit", "height": 64, "width": 96}, "dim": 32},
    **{name: {"layers": 1} for name in ("ecg_jepa", "ecg_fm", "melp", "ecg_coca", "st_mem", "hubert_ecg")},
}


def build_config(name, **changes):
    return config.build(encoders[name].Config, SMALL.get(name, {}) | changes, "the test")


def build(name, **changes):
    torch.manual_seed(0)
    return encoders[name](build_config(name, **changes))


def clips(n, requires_grad=False, spec=InputSpec()):  # noqa: B008
    shown = torch.randn(n, *spec.shape, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    return shown.requires_grad_(requires_grad), torch.ones(n, 12, dtype=torch.bool)


def of(encoder, n, requires_grad=False):
    """Clips as an encoder takes them."""
    shown, mask = clips(n, spec=encoder.input)
    if encoder.input.kind == "pair":  # its last two numbers say that both sides are there
        shown[:, -2:] = 1.0
    return shown.requires_grad_(requires_grad), mask


@pytest.mark.parametrize("name", sorted(encoders.table()))
def test_contract(name):
    encoder = build(name).eval()
    assert encoder.input == encoder.input_spec(build_config(name)) and encoder.prefix in (0, 1)
    assert encoder.prefix + encoder.patches > 0
    data.clips(encoder.input)  # which data can make
    for n in (0, 3):
        signal, lead_mask = of(encoder, n, requires_grad=True)
        tokens = encoder(signal, lead_mask)
        assert tokens.shape == (n, encoder.prefix + encoder.patches, encoder.dim)
        assert encoder.pooled(tokens).shape == (n, encoder.dim)
        tokens.square().sum().backward()
        assert signal.grad.shape == signal.shape and signal.grad.isfinite().all()
        assert all(p.grad is None or p.grad.isfinite().all() for p in encoder.parameters())
    assert (
        signal.grad.abs().flatten(2).sum(dim=2) > 0 if signal.ndim > 2 else signal.grad.abs().sum(dim=1) > 0
    ).all()  # of three clips, every lead (or colour) reaches the tokens


@pytest.mark.parametrize("name", [name for name in sorted(encoders.table()) if hasattr(build_config(name), "dropout")])
def test_dropout_only_in_training(name):
    encoder = build(name)
    batch = of(encoder, 2)
    assert not torch.equal(encoder(*batch), encoder(*batch))
    encoder.eval()
    assert torch.equal(encoder(*batch), encoder(*batch))


@pytest.mark.parametrize("name", sorted(encoders.table()))
def test_clips_do_not_see_each_other(name):
    encoder = build(name).eval()
    signal, lead_mask = of(encoder, 3)
    torch.testing.assert_close(
        encoder(signal, lead_mask)[1:2], encoder(signal[1:2], lead_mask[1:2]), atol=1e-5, rtol=1e-4
    )


@pytest.mark.parametrize("name", ["timm", "vit"])
def test_an_absent_lead_is_finite_and_keeps_its_embedding(name):
    signal, lead_mask = clips(1)
    signal[:, 3:], lead_mask[:, 3:] = 0, False
    with_lead = build(name).eval().embed(signal)[0, 1:].view(12, 5, -1)
    without = build(name, lead_embedding=False).eval().embed(signal)[0, 1:].view(12, 5, -1)
    assert with_lead.isfinite().all()
    assert not torch.allclose(with_lead[5], with_lead[6])  # zero leads differ by their embedding
    torch.testing.assert_close(without[5], without[6])  # and are the same without


def test_patches_are_lead_major():
    encoder = build("vit").eval()
    signal, _ = clips(1)
    changed = signal.clone()
    changed[0, 2, 400:600] *= -1  # lead III, third patch
    moved = (encoder.embed(signal) != encoder.embed(changed))[0].any(dim=1).nonzero().flatten().tolist()
    assert moved == [1 + 2 * 5 + 2]


def test_a_stem_sees_a_waveform_alike_wherever_it_is_and_in_its_own_lead_alone():
    stem = build("vit", stem=4).embed.stem
    signal = torch.zeros(2, 12, 1000)
    signal[0, 2, 300:330] = torch.hann_window(30)
    signal[1, 2, 440:470] = torch.hann_window(30)  # 1.4 s later: 14 features
    out = stem(signal)
    assert out.shape == (2, 12, 5, stem.width) and stem.width == 200 + 4 * 20
    torch.testing.assert_close(out[..., :200].reshape(2, 12, 1000), signal)  # the paper's patch is still there
    features = out[..., 200:].reshape(2, 12, 100, 4)
    torch.testing.assert_close(features[0, 2, 10:60], features[1, 2, 24:74])
    assert features[0, 2].abs().max() > 0.01 and not features[:, 3].any()


def test_an_encoder_with_a_stem_keeps_the_contract():
    encoder = build("vit", stem=4).eval()
    signal, lead_mask = clips(3)
    tokens = encoder(signal, lead_mask)
    assert tokens.shape == (3, 61, encoder.dim) and encoder(signal[:0], lead_mask[:0]).shape == (0, 61, encoder.dim)
    torch.testing.assert_close(tokens[1:2], encoder(signal[1:2], lead_mask[1:2]), atol=1e-5, rtol=1e-4)


def test_masked_absent_leads_change_nothing_else():
    encoder = build("vit", mask_absent=True).eval()
    signal, lead_mask = clips(1)
    lead_mask[:, 6:] = False
    noisy = signal.clone()
    noisy[:, 6:] = 0.5 * torch.randn(6, 1000)
    torch.testing.assert_close(encoder(signal, lead_mask)[:, :31], encoder(noisy, lead_mask)[:, :31])


@pytest.mark.parametrize("name", ["timm", "vit"])
@pytest.mark.parametrize("fs", [100, 250, 500])
def test_a_patch_is_the_same_time_at_every_rate(name, fs):
    encoder = build(name, fs=fs, scaling="gain", **({"stem": 4} if name == "vit" else {})).eval()
    assert encoder.input == InputSpec(fs=fs, scaling="gain") and encoder.patches == 60
    shown, lead_mask = of(encoder, 1)
    assert shown.shape == (1, 12, 10 * fs) and encoder(shown, lead_mask).shape == (1, 61, encoder.dim)
    changed = shown.clone()
    changed[0, 2, 4 * fs : 6 * fs] *= -1  # lead III, from 4 to 6 s
    moved = (encoder.embed(shown) != encoder.embed(changed))[0].any(dim=1).nonzero().flatten().tolist()
    # its third patch; a stem sees a little beyond it
    assert 1 + 2 * 5 + 2 in moved and all(11 <= place <= 15 for place in moved)


def test_paper_size():
    with torch.device("meta"):
        count = sum(p.numel() for p in ViT(ViTConfig()).parameters())
    assert 85.1e6 < count < 86.1e6


def test_initial_scale():
    encoder = build("vit")
    for name, module in encoder.named_modules():
        if isinstance(module, torch.nn.Linear):
            assert 0.5 < module.weight.std() * module.in_features**0.5 < 0.8, name
    for embedding in (encoder.embed.position, encoder.embed.lead):
        assert 0.8 < embedding.std() < 1.2


def test_sizes_are_overridable():
    encoder = build("vit", dim=32, layers=2, heads=2, mlp=64, patch=100)
    assert (encoder.dim, len(encoder.blocks), encoder.patches) == (32, 2, 120)


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("vit", {"size": "huge"}, "size: 'huge' is unknown .known: base, small, tiny"),
        ("vit", {"patch": 300}, "patch: 300"),
        ("vit", {"fs": 128, "patch": 20}, "patch: 20 .*25.6 samples at 128 Hz"),
        ("vit", {"fs": 0}, "fs: at least 50"),
        ("vit", {"scaling": "gian"}, "scaling: .*did you mean 'gain'"),
        ("timm", {"scaling": "loud", "dropout": 2.0}, "(?s)scaling: .*'loud'.*dropout"),
        ("vit", {"patch": 125, "stem": 4}, "stem: .*125"),
        ("vit", {"dim": 130}, "dim: 130 is not a multiple of heads"),
        ("timm", {"model": "vit_of_nobody"}, "model: .*vit_of_nobody"),
        ("timm", {"model": "resnet18"}, "encoder.model.*resnet18"),
    ],
)
def test_bad_settings_name_their_key(name, changes, message):
    with pytest.raises(ConfigError, match=message):
        build(name, **changes)


def test_xresnet1d101_has_the_benchmarks_shape():
    with torch.device("meta"):
        encoder = build("xresnet1d", depth=101, width=64)
    layers = [module for module in encoder.modules() if isinstance(module, torch.nn.Conv1d)]
    assert (encoder.dim, encoder.patches) == (256, 32)
    assert len(layers) == 3 + 3 * 33 + 1  # stem, blocks, and the one shortcut that changes the width
    assert sum(p.numel() for p in encoder.parameters()) == 1_804_672
