"""The engine that fits the number of devices."""

from __future__ import annotations

from collections.abc import Mapping

from lightning.pytorch.strategies import Strategy

from anyecg.model import ECGLanguageModel
from anyecg.training.engines.base import Estimate
from anyecg.training.engines.ddp import DDP


class Auto(DDP):
    """`single` on one device, `ddp` on several."""

    def strategy(self, model: ECGLanguageModel) -> Strategy | str:
        return super().strategy(model) if self.trainer.processes > 1 else "auto"

    @classmethod
    def estimates(cls) -> Mapping[str, Estimate]:
        return {}  # those of single and ddp are theirs
