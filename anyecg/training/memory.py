"""Memory a GPU for a stage's weights, gradients and optimizer, by DeepSpeed's own estimators."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping

PER_NODE = 8  # GPUs
HALF = 2  # bytes of a 16-bit weight

Estimate = Callable[[int, int, int, int], float]


def estimators() -> Mapping[str, Estimate] | None:
    """Engine -> (parameters that train, frozen ones, those of the largest layer, GPUs) -> bytes a GPU; None without DeepSpeed.

    DeepSpeed's estimators take every parameter to train: 16-bit weights and gradients, and in float32 the weights, the
    gradients and Adam's two states. Here they are asked about those that do. Frozen 16-bit weights are added: whole on
    every GPU under ZeRO-2, a share under ZeRO-3, none where the weights are on the CPU. Activations are in none of it, nor is fragmentation.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # its import talks
            from deepspeed.runtime.zero.stage3 import estimate_zero3_model_states_mem_needs as zero3
            from deepspeed.runtime.zero.stage_1_and_2 import estimate_zero2_model_states_mem_needs as zero2
    except ImportError:
        return None

    def second(offload: bool) -> Estimate:
        return lambda trained, frozen, largest, gpus: zero2(trained, *nodes(gpus), cpu_offload=offload)[1] + HALF * frozen

    def third(offload: bool) -> Estimate:
        return lambda trained, frozen, largest, gpus: (
            zero3(trained, largest, *nodes(gpus), cpu_offload=offload, cpu_offload_params=False)[1] + HALF * frozen / gpus
        )

    def all_on_cpu(trained: int, frozen: int, largest: int, gpus: int) -> float:
        return zero3(trained, largest, *nodes(gpus), cpu_offload=True, cpu_offload_params=True)[1]

    return {
        "ZeRO-2": second(False), "ZeRO-2, optimizer on CPU": second(True),
        "ZeRO-3": third(False), "ZeRO-3, optimizer on CPU": third(True), "ZeRO-3, all on CPU": all_on_cpu,
    }


def nodes(gpus: int) -> tuple[int, int]:
    """GPUs a node, and nodes."""
    return min(gpus, PER_NODE), -(-gpus // PER_NODE)
