"""DDP: every process holds the whole model, gradients are averaged."""

from __future__ import annotations

from collections.abc import Mapping

from lightning.pytorch.strategies import DDPStrategy, Strategy

from anyecg.model import ECGLanguageModel
from anyecg.training.engines.base import ADAM, HALF, Engine, Estimate

BUCKETS = 4  # bytes of a parameter in the buffers that gradients are averaged in


class DDP(Engine):
    """PyTorch's DistributedDataParallel: the whole model on every device."""

    def strategy(self, model: ECGLanguageModel) -> Strategy | str:
        # the LLM does not use the ViT's last norm, nor a batch of text the encoder
        return DDPStrategy(find_unused_parameters=True)

    @classmethod
    def estimates(cls) -> Mapping[str, Estimate]:
        return {"ddp": lambda learning, frozen, largest, gpus: (ADAM + BUCKETS * (gpus > 1)) * learning + HALF * frozen}
