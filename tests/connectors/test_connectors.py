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
        y.square().sum().backward()
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
