"""The curriculum's objective: next-token loss on the answers."""

from __future__ import annotations

from torch import Tensor

from anyecg.training.stage import Stage
from anyecg.types import ECGBatch


class AnsweringStage(Stage):
    """Language warm-up and Stages 1 to 3 (the paper's Training section): the same loss, other data and trainables."""

    def loss(self, batch: ECGBatch) -> Tensor:
        return self.model(batch)
