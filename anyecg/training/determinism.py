"""Training to the bit on a GPU, where some kernels sum in an order that varies."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import torch

WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@contextlib.contextmanager
def deterministic(setting: bool | str) -> Iterator[None]:
    """Within it torch takes deterministic kernels only (`trainer.deterministic`).

    True: an operation that has none raises RuntimeError; "warn": it warns and is computed as ever; False: nothing
    changes. cuBLAS gets a fixed workspace, unless `CUBLAS_WORKSPACE_CONFIG` is set; it reads it when it is first used
    in a process.
    """
    if setting is False:
        yield
        return
    os.environ.setdefault(WORKSPACE, ":4096:8")
    before, warned, benchmark = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
    )
    torch.use_deterministic_algorithms(True, warn_only=setting == "warn")
    torch.backends.cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before, warn_only=warned)
        torch.backends.cudnn.benchmark = benchmark
