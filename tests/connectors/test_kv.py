"""MEIT's projector: unit vectors, a copy for each head, norms."""

import pytest
import torch

from anyecg.connectors.kv import KV, KVConfig
from anyecg.types import ConfigError
from tests.conftest import make_model


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_a_unit_vector_in_every_head(norm):
    torch.manual_seed(0)
    connector = KV(KVConfig(8, norm), 16, 32)
    x = connector(torch.randn(5, 3, 16)).view(5, 4, 8)
    torch.testing.assert_close(x.norm(dim=-1), torch.ones(5, 4))
    assert torch.equal(x[:, 0], x[:, 3])


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
def test_a_record_of_several_clips_is_a_unit_vector_too(norm):
    connector = KV(KVConfig(8, norm), 16, 32).eval()
    x, owner = torch.randn(4, 1, 16), torch.tensor([0, 0, 0, 1])
    y = connector.records(x, 1, owner, [3, 1])
    assert y.shape == (2, 32)
    torch.testing.assert_close(y.view(2, 4, 8).norm(dim=-1), torch.ones(2, 4))


@pytest.mark.parametrize("norm", ["batch", "layer", "none"])
@pytest.mark.parametrize("n", [0, 1, 3])
def test_any_number_of_clips_in_train_mode(norm, n):
    """A last micro-batch of one clip has no statistics of its own; MEIT's batch norm would stop the run there."""
    connector = KV(KVConfig(8, norm), 16, 32).train()
    x = torch.randn(n, 1, 16, requires_grad=True)
    (connector(x) * torch.randn(n, 1, 32)).sum().backward()
    assert x.grad.isfinite().all() and (not n or (x.grad != 0).any())


def test_its_width_is_the_llms_head():
    model = make_model(connector="kv", fusion="kv")
    assert model.connector.width == model.llm.head_size() == 16 and model.connector.copies == 2
    with pytest.raises(ConfigError, match="connector.width: 8, but a head of tiny has 16"):
        KV.of(KVConfig(8), model.encoder, model.llm)
    with pytest.raises(ConfigError, match="norm: 'group' is unknown"):
        KVConfig(norm="group")
    with pytest.raises(ConfigError, match="connector.width: 5 does not divide"):
        KV(KVConfig(5), 16, 32)
