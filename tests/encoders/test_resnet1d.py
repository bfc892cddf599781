"""The residual network: its size, its lengths, its place as an ordinary encoder."""

import pytest
import torch

from anyecg.connectors.kv import KV, KVConfig
from anyecg.encoders.resnet1d import ResNet1d, ResNet1dConfig
from anyecg.types import ConfigError, InputSpec


def count(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


@pytest.mark.parametrize("norm", ["batch", "layer"])
def test_meits_size(norm):
    """Section 1 of the spec: the encoder, and with the projector at a head size of 128 what the paper calls 20.4 M."""
    with torch.device("meta"):
        encoder = ResNet1d(ResNet1dConfig())
        projector = KV(KVConfig(128, norm), encoder.dim, 4096)
    assert (encoder.dim, encoder.prefix, encoder.patches) == (2048, 1, 0)
    assert count(encoder) == 15_959_168 and count(encoder, projector) == 20_422_144


@pytest.mark.parametrize(("depth", "channels"), [(18, 512), (34, 512), (50, 2048)])
def test_lengths_are_those_of_ten_seconds_at_500_hz(depth, channels):
    with torch.device("meta"):
        encoder = ResNet1d(ResNet1dConfig(depth=depth))
        assert encoder.input == InputSpec(fs=500, scaling="minmax")
        x, lengths = encoder.stem(torch.empty(2, 12, 5000)), []
        assert x.shape == (2, 64, 2500)
        for block in encoder.blocks:
            x = block(x)
            lengths.append(x.shape[-1])
    assert sorted({*lengths}, reverse=True) == [2500, 1250, 625, 313] and x.shape[1] == encoder.dim == channels


@pytest.mark.parametrize("depth", [18, 50])
def test_it_learns_in_train_mode_from_a_clip_alone(depth):
    torch.manual_seed(0)
    encoder = ResNet1d(ResNet1dConfig(depth=depth, width=8, fs=100)).train()
    clips = torch.randn(1, 12, 1000, requires_grad=True)
    encoder(clips, torch.ones(1, 12, dtype=torch.bool)).square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.parameters())
    assert (clips.grad != 0).any(-1).all()


def test_a_depth_that_is_none():
    with pytest.raises(ConfigError, match="depth: one of 18, 34, 50, not 101"):
        ResNet1dConfig(depth=101)
