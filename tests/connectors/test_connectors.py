"""Every registered connector keeps the contract; the paper's has the paper's size."""

import pytest
import torch

from anyecg.connectors import connectors
from anyecg.types import ConfigError


@pytest.mark.parametrize("name", sorted(connectors.table()))
def test_contract(name):
    cls = connectors[name]
    connector = cls(cls.Config(), 16, 24)
    assert connector.enters in ("tokens", "kv", "cross")
    prefix, patches = connector.tokens(1, 60)
    for n in (0, 3):
        x = torch.randn(n, 61, 16, requires_grad=True)
        y = connector(x)
        assert y.shape == (n, prefix + patches, 24)
        (y * torch.randn_like(y)).sum().backward()  # a square would be a constant of unit vectors
        assert x.grad.isfinite().all() and (n == 0 or (x.grad != 0).any())
    assert torch.equal(connector(x), connector(x))


def test_paper_size():
    cls = connectors["mlp"]
    with torch.device("meta"):
        count = sum(p.numel() for p in cls(cls.Config(), 768, 4096).parameters())
    assert count == 768 * 4096 + 4096 + 4096 * 4096 + 4096  # 19.9 M


def test_queries_are_all_that_a_clip_leaves_and_each_sees_the_whole_clip():
    cls = connectors["qformer"]
    connector = cls(cls.Config(queries=5, heads=2), 16, 24)
    assert connector.tokens(1, 60) == (0, 5)
    x = torch.randn(1, 61, 16, requires_grad=True)
    connector(x)[0, 3].sum().backward()
    assert (x.grad.abs().sum(-1) > 0).all()


def test_the_library_leaves_no_parameter_of_the_queries_without_use():
    cls = connectors["qformer"]
    connector = cls(cls.Config(queries=5, heads=2, layers=3, cross_every=2), 16, 24)
    connector(torch.randn(2, 61, 16)).square().sum().backward()
    assert [name for name, p in connector.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("settings", [{"queries": 0}, {"dim": 10, "heads": 4}, {"dropout": 1.0}])
def test_a_qformer_that_cannot_be_is_told(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        connectors["qformer"].Config(**settings)


def test_heads_that_do_not_divide_the_encoder_s_width():
    cls = connectors["qformer"]
    with pytest.raises(ConfigError, match="connector.heads: 8 do not divide the encoder's width of 12"):
        cls(cls.Config(), 12, 24)


@pytest.mark.parametrize("name", sorted(connectors.table()))
def test_records_of_several_clips(name):
    """Each record's tokens are its own, in its order, and the same in any company; a record of one clip is that
    clip.
    """
    cls = connectors[name]
    torch.manual_seed(0)
    connector = cls(cls.Config(), 16, 24).eval()
    once, each = connector.tokens(1, 60)
    x, counts = torch.randn(7, 61, 16), [1, 3, 1, 2]
    owner = torch.repeat_interleave(torch.tensor(counts))
    with torch.no_grad():
        together = connector.records(x, 1, owner, counts)
        assert together.shape == (sum(once + each * count for count in counts), 24)
        parts = together.split([once + each * count for count in counts])
        for part, clips, count in zip(parts, x.split(counts), counts, strict=True):
            alone = connector.records(clips, 1, torch.zeros(count, dtype=torch.long), [count])
            torch.testing.assert_close(part, alone, atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(parts[0], connector(x[:1])[0], atol=1e-5, rtol=1e-4)
    assert connector.records(x[:0], 1, owner[:0], []).shape == (0, 24)


@pytest.mark.parametrize("name", sorted(connectors.table()))
def test_records_read_nothing_back_from_the_device(name):
    cls = connectors[name]
    connector = cls(cls.Config(), 16, 24).to("meta")
    once, each = connector.tokens(1, 60)
    owner = torch.empty(6, dtype=torch.long, device="meta")
    assert connector.records(torch.empty(6, 61, 16, device="meta"), 1, owner, [1, 3, 2]).shape == (
        3 * once + 6 * each,
        24,
    )


def test_a_resampler_knows_when_a_clip_is_and_gives_as_many_tokens_for_any_length():
    cls = connectors["resampler"]
    torch.manual_seed(0)
    connector = cls(cls.Config(latents=5, heads=2), 16, 24).eval()
    assert connector.tokens(1, 60) == (5, 0)
    x, owner = torch.randn(2, 61, 16), torch.zeros(2, dtype=torch.long)
    with torch.no_grad():
        forth, back = connector.records(x, 1, owner, [2]), connector.records(x.flip(0), 1, owner, [2])
    assert forth.shape == back.shape == (5, 24) and not torch.allclose(forth, back, atol=1e-4)
    x.requires_grad_()
    connector.records(x, 1, owner, [2])[3].sum().backward()
    assert (x.grad.abs().sum(-1) > 0).all()  # a latent sees all of both clips


@pytest.mark.parametrize("settings", [{"latents": 0}, {"dim": 10, "heads": 4}])
def test_a_resampler_that_cannot_be(settings):
    with pytest.raises(ConfigError, match=next(iter(settings))):
        connectors["resampler"].Config(**settings)
