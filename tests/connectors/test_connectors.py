"""Every registered connector keeps the contract; the paper's has the paper's size."""

import pytest
import torch

from anyecg.connectors import connectors


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
