"""An objective that trains the encoder to tell the answers of its questions apart."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from anyecg.config.schema import Experiment, InputConfig, StageConfig, to_dict
from anyecg.data.loading.dataset import Item, QuestionDataset
from anyecg.data.loading.loader import Batches, draw
from anyecg.data.loading.sampling import Plan
from anyecg.objectives.base import Objective
from anyecg.training.job import Cost, Depends, Outlook, StageJob
from anyecg.training.stage import Stage
from anyecg.types import Batch


@dataclass
class Labelled(Batch):
    """clips `[N, *shape]`, lead_mask `[N, 12]`, classes int64 `[N]`; ids: N strings."""

    clips: Tensor
    lead_mask: Tensor
    classes: Tensor
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Collate:
    """Items with one ECG of one clip; a class is the index of the answer among `answers`."""

    answers: tuple[str, ...]

    def __call__(self, items: Sequence[Item]) -> Labelled:
        return Labelled(
            torch.from_numpy(np.stack([item.clips[0][0] for item in items])),
            torch.from_numpy(np.stack([item.lead_masks[0] for item in items])),
            torch.tensor([self.answers.index(item.sample.answer) for item in items]),
            tuple(item.sample.id for item in items),
        )


class Supervised(Objective):
    """Cross-entropy over the answers that the training questions have."""

    @dataclass(frozen=True)
    class Config:
        """smoothing: of the labels."""

        smoothing: float = 0.0

    def depends(self, experiment: Experiment, stage: StageConfig, tuned: bool) -> Depends:
        return Depends(
            {"encoder": to_dict(experiment.encoder)}, frozenset({"encoder"}), (experiment.encoder.component,)
        )

    def batches(self, job: StageJob) -> Batches:
        data, size = job.data, job.cfg.batch_size
        rng = np.random.default_rng(job.seed)
        order, counts = draw(data, job.cfg, 1.0, rng, lambda rows: np.ones(len(rows), bool), "can be used", job.split)
        dataset = QuestionDataset(
            data.questions,
            range(len(data.questions)),
            data.stores,
            InputConfig(max_seconds=10),
            spec=job.model.encoder.input,
        )
        return Batches(dataset, Plan(order, np.full(len(order) // size, size)), 1, Collate(self.answers(job)), counts)

    def answers(self, job: StageJob) -> tuple[str, ...]:
        rows = [row for pool in job.cfg.tasks for row in job.data.questions.select(split="train", pool=pool)]
        return tuple(sorted({job.data.questions[int(row)].answer for row in rows}))

    def module(self, job: StageJob, steps: int) -> Stage:
        return SupervisedStage(job.model, job.cfg, steps, len(self.answers(job)), self.cfg.smoothing)

    def cost(self, outlook: Outlook) -> Cost:
        return Cost(clips=1.0, tokens=0.0, answers=0.0, flops=3.0 * outlook.forward.encoder)


class SupervisedStage(Stage):
    """The encoder's pooled clip through one linear layer."""

    def __init__(self, model: nn.Module, cfg: StageConfig, steps: int, classes: int, smoothing: float) -> None:
        super().__init__(model, cfg, steps)
        self.head, self.smoothing = nn.Linear(model.encoder.dim, classes), smoothing

    def loss(self, batch: Labelled) -> Tensor:
        pooled = self.model.encoder.pooled(self.model.encoder(batch.clips, batch.lead_mask))
        return nn.functional.cross_entropy(self.head(pooled).float(), batch.classes, label_smoothing=self.smoothing)
