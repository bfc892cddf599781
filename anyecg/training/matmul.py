"""Matrix products of float32 on a CPU through oneDNN, where torch's own library for them (MKL) leaves half of the
machine unused.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

CPUINFO = Path("/proc/cpuinfo")
# oneDNN's and torch's, read when the first kernel is made
CACHES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")
KEPT = "128"  # kernels each; every length of a batch has its own, and the usual 1024 grow to 1 GB and save no time

aten = torch.ops.aten


@contextlib.contextmanager
def matmul_by(kernel: str) -> Iterator[None]:
    """Within it, `mm` and `addmm` of float32 on the CPU run by `kernel` in every forward and backward pass
    (`trainer.matmul`).

    torch: as torch does them. onednn: torch's oneDNN, the same to float32's rounding. auto: onednn on an AMD CPU with
    AVX-512, for which MKL takes its AVX2 kernels (docs/performance.md).
    """
    if kernel == "torch" or (kernel == "auto" and not (has_onednn() and _mkl_takes_avx2())):
        yield
        return
    for name in CACHES:
        os.environ.setdefault(name, KEPT)
    with torch.library._scoped_library("aten", "IMPL") as library:
        library.impl("mm", _mm, "CPU", allow_override=True)
        library.impl("addmm", _addmm, "CPU", allow_override=True)
        yield


def has_onednn() -> bool:
    """Whether this torch was built with it."""
    return torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")


def _mkl_takes_avx2() -> bool:
    return (
        torch.backends.cpu.get_cpu_capability() == "AVX512"
        and CPUINFO.exists()
        and "AuthenticAMD" in CPUINFO.read_text()
    )


def _mm(a: Tensor, b: Tensor) -> Tensor:
    if _fits(a, b):
        return _product(a, b, None)
    # torch's own: the name alone would end here again
    return aten.mm.out(a, b, out=a.new_empty(a.shape[0], b.shape[1]))


def _addmm(bias: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    if _fits(a, b, bias) and bias.shape == b.shape[1:] and beta == alpha == 1:
        return _product(a, b, bias)
    return aten.addmm.out(bias, a, b, beta=beta, alpha=alpha, out=a.new_empty(a.shape[0], b.shape[1]))


def _fits(*operands: Tensor) -> bool:
    """Whether oneDNN can be asked: all of float32, none empty, and a first of as many columns as the second has
    rows.
    """
    a, b = operands[:2]
    return all(x.dtype == torch.float32 and x.numel() > 0 for x in operands) and a.shape[1] == b.shape[0]


def _product(a: Tensor, b: Tensor, bias: Tensor | None) -> Tensor:
    return torch.ops.mkldnn._linear_pointwise(a, b.t(), bias, "none", [], "")
