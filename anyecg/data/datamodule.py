"""The questions of one stage as batches: mixture, order and lengths are settled before the first step."""

from __future__ import annotations

import logging
from collections.abc import Callable

import lightning as L
import numpy as np
from torchdata.stateful_dataloader import StatefulDataLoader

from anyecg.experiment import InputConfig, StageConfig
from anyecg.data.build import Data
from anyecg.data.dataset import QuestionDataset
from anyecg.data.mixture import Batches, batches, visits
from anyecg.types import ConfigError

log = logging.getLogger(__name__)


class StageData(L.LightningDataModule):
    """Training batches of a stage.

    collate: items to a batch; length: `(sample, clip counts) -> tokens`, to batch like with like; context: samples
    with more tokens are left out, counted in `too_long` and told. `steps` is the number of optimizer steps.
    """

    def __init__(self, data: Data, stage: StageConfig, limits: InputConfig, *, replay: float, seed: int, collate: Callable,
                 length: Callable, context: int, devices: int = 1, workers: int = 0) -> None:
        super().__init__()
        self.collate, self.workers = collate, workers
        micro = stage.micro_batch or stage.batch_size // devices
        if stage.batch_size % (micro * devices):
            raise ConfigError(f"batch_size {stage.batch_size} is not a multiple of micro_batch {micro} times {devices} device(s)")
        self.accumulate = stage.batch_size // (micro * devices)
        self.steps = -(-stage.samples // stage.batch_size)

        weights = stage.tasks | {pool: weight * replay for pool, weight in stage.replay.items()}
        rows = data.questions.select(split="train")
        pool_of = np.asarray(data.questions.column("pool"))[rows]
        dataset = QuestionDataset(data.questions, rows, data.stores, limits, stage.view)
        lengths = np.zeros(len(rows), int)
        for position in np.flatnonzero(np.isin(pool_of, [name for name, weight in weights.items() if weight > 0])):
            sample = dataset.sample(position)
            lengths[position] = length(sample, dataset.clip_counts(sample))
        fits = lengths <= context
        self.too_long = int((~fits).sum())
        if self.too_long:
            log.warning("%d of %d questions are longer than the LLM's context of %d tokens and are left out", self.too_long, len(rows), context)
        positions = np.arange(len(rows))
        pools = {str(name): positions[(pool_of == name) & fits] for name in np.unique(pool_of)}

        rng = np.random.default_rng(seed)
        self.order = visits(pools, weights, self.steps * stage.batch_size, rng)
        self.counts = {str(name): int(count) for name, count in zip(*np.unique(pool_of[self.order], return_counts=True), strict=True)}
        plan = batches(lengths[self.order], micro, rng)
        self.plan = [self.order[batch].tolist() for batch in plan]
        self.dataset = dataset

    def train_dataloader(self) -> StatefulDataLoader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return StatefulDataLoader(
            self.dataset,
            batch_sampler=Batches(self.plan, rank, world),
            collate_fn=self.collate,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
        )
