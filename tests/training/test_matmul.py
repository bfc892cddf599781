"""Matrix products by oneDNN: torch's numbers, for every product a step makes, and torch's own kernels again
afterwards.
"""

import os
from unittest import mock

import pytest
import torch

from anyecg import config
from anyecg.config.schema import TrainerConfig
from anyecg.training import matmul
from anyecg.training.machine import check_machine
from anyecg.training.matmul import matmul_by
from anyecg.types import ConfigError
from tests.conftest import collator, make_item, make_model

pytestmark = pytest.mark.skipif(not matmul.has_onednn(), reason="this torch was built without oneDNN")


def calls(within) -> int:
    """How many products oneDNN is asked for."""
    with mock.patch.object(matmul, "_product", wraps=matmul._product) as product:
        within()
    return product.call_count


@pytest.mark.parametrize(("n", "k", "m"), [(1, 1, 1), (5, 7, 3), (1, 64, 8), (61, 48, 1), (504, 576, 192)])
def test_products_are_torchs_to_rounding(n, k, m):
    a, b, bias = torch.randn(n, k), torch.randn(m, k), torch.randn(m)
    operands = [
        (a, b.t()),
        (b.t().contiguous().t(), a.t()),
        (a.repeat(1, 2)[:, ::2][:, :k], b.t()),
        (torch.randn(1, k).expand(n, k), b.t()),
    ]
    own = [x @ y for x, y in operands] + [torch.addmm(bias, a, b.t())]
    with matmul_by("onednn"):
        ours = [x @ y for x, y in operands] + [torch.addmm(bias, a, b.t())]
    for mine, theirs in zip(ours, own, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "product",
    [
        lambda: torch.randn(4, 3).double() @ torch.randn(3, 2).double(),
        lambda: torch.randn(4, 3).bfloat16() @ torch.randn(3, 2).bfloat16(),
        lambda: torch.ones(4, 3, dtype=torch.long) @ torch.ones(3, 2, dtype=torch.long),
        lambda: torch.randn(0, 3) @ torch.randn(3, 2),
        lambda: torch.randn(4, 0) @ torch.randn(0, 2),
        lambda: torch.addmm(torch.randn(4, 2), torch.randn(4, 3), torch.randn(3, 2)),
        lambda: torch.addmm(torch.randn(1), torch.randn(4, 3), torch.randn(3, 2)),
        lambda: torch.addmm(torch.randn(2), torch.randn(4, 3), torch.randn(3, 2), beta=0.5, alpha=2),
    ],
    ids=["float64", "bfloat16", "integers", "no rows", "nothing to sum", "a bias a row", "one bias", "scaled"],
)
def test_what_onednn_is_not_asked_for_is_torchs_to_the_bit(product):
    torch.manual_seed(0)
    own = product()
    torch.manual_seed(0)
    with matmul_by("onednn"):
        assert torch.equal(product(), own)


def test_operands_that_do_not_fit_are_told_as_torch_tells_them():
    with matmul_by("onednn"), pytest.raises(RuntimeError, match="shape"):
        torch.randn(4, 3) @ torch.randn(4, 2)
    with matmul_by("onednn"), pytest.raises(RuntimeError, match="same dtype"):
        torch.addmm(torch.randn(2).double(), torch.randn(4, 3), torch.randn(3, 2))


def test_a_training_step_has_the_same_loss_and_gradients():
    model, item = make_model().train(), make_item(clips=(1, 2))
    batch, found = collator(model)([item]), {}
    for kernel in ("torch", "onednn"):
        model.zero_grad()
        torch.manual_seed(0)  # dropout
        with matmul_by(kernel):
            loss = model(batch)
            loss.backward()
        found[kernel] = (
            loss.detach(),
            {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None},
        )
    torch.testing.assert_close(found["onednn"][0], found["torch"][0], rtol=1e-5, atol=1e-5)
    assert found["torch"][1].keys() == found["onednn"][1].keys() and found["torch"][1]
    for name, gradient in found["torch"][1].items():
        torch.testing.assert_close(found["onednn"][1][name], gradient, rtol=1e-4, atol=1e-5, msg=name)


def test_forward_and_backward_go_through_it_and_nothing_after_it():
    layer, x = torch.nn.Linear(6, 4), torch.randn(3, 6, requires_grad=True)

    def step():
        layer(x).sum().backward()

    def within():
        with matmul_by("onednn"):
            step()

    assert calls(within) == 3  # the layer, its input's gradient, its weight's
    assert calls(step) == 0


def test_it_ends_with_an_error_inside_too():
    with pytest.raises(KeyError), matmul_by("onednn"):
        raise KeyError
    assert calls(lambda: torch.randn(2, 2) @ torch.randn(2, 2)) == 0


def test_kernels_kept_are_few_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    with matmul_by("onednn"):
        assert [os.environ[name] for name in matmul.CACHES] == [matmul.KEPT, "7"]


@pytest.mark.parametrize(
    ("maker", "capability", "kernels"),
    [("AuthenticAMD", "AVX512", 1), ("AuthenticAMD", "AVX2", 0), ("GenuineIntel", "AVX512", 0), (None, "AVX512", 0)],
)
def test_auto_takes_it_where_mkl_falls_short(monkeypatch, tmp_path, maker, capability, kernels):
    if maker:
        (tmp_path / "cpuinfo").write_text(f"vendor_id\t: {maker}\n")
    monkeypatch.setattr(matmul, "CPUINFO", tmp_path / "cpuinfo")
    monkeypatch.setattr("torch.backends.cpu.get_cpu_capability", lambda: capability)

    def within():
        with matmul_by("auto"):
            torch.randn(2, 2) @ torch.randn(2, 2)

    assert calls(within) == kernels


def test_a_torch_without_onednn_is_told(monkeypatch):
    monkeypatch.setattr("torch.backends.mkldnn.is_available", lambda: False)
    with pytest.raises(ConfigError, match="trainer.matmul: this torch was built without oneDNN"):
        check_machine(config.build(TrainerConfig, {"matmul": "onednn"}, "test"))
    check_machine(config.build(TrainerConfig, {}, "test"))
    with matmul_by("auto"):
        assert torch.ones(1, 2) @ torch.ones(2, 1) == 2
