"""The questions of one stage as batches: mixture, order and lengths are settled before the first step."""

from __future__ import annotations

import logging
from collections.abc import Callable

import lightning as L
import numpy as np
from rich.console import Console
from rich.progress import track
from torchdata.stateful_dataloader import StatefulDataLoader

from anyecg.experiment import InputConfig, StageConfig
from anyecg.data.build import Data
from anyecg.data.dataset import QuestionDataset
from anyecg.data.mixture import Batches, batches, visits
from anyecg.data.questions import POOLS
from anyecg.types import ConfigError

log = logging.getLogger(__name__)

UNKNOWN = -1  # the length of a question that was not drawn


class StageData(L.LightningDataModule):
    """Training batches of a stage.

    collate: items to a batch; length: `(sample, clip counts) -> tokens`, to batch like with like; context: questions with
    more tokens are passed over, counted in `too_long` and told. `steps` is the number of optimizer steps, `counts` the
    visits to each pool, `visited` the rows of the questions visited, each once. Only questions that are drawn are read.
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
        pools = {pool: data.questions.select(split="train", pool=pool) for pool in POOLS}
        self.dataset = QuestionDataset(data.questions, range(len(data.questions)), data.stores, limits, stage.view)
        lengths = np.full(len(data.questions), UNKNOWN, np.int32)

        def fits(rows: np.ndarray) -> np.ndarray:
            new, console = np.sort(rows[lengths[rows] == UNKNOWN]), Console(stderr=True)
            for row in track(new, "lengths of questions", console=console, transient=True, disable=not console.is_terminal):
                sample = self.dataset.sample(row)
                lengths[row] = length(sample, self.dataset.clip_counts(sample))
            return lengths[rows] <= context

        rng = np.random.default_rng(seed)
        order = visits(pools, weights, self.steps * stage.batch_size, rng, fits)
        self.plan = order[batches(lengths[order], micro, rng)]  # [batches, micro]
        self.visited = np.unique(order)
        self.counts = {pool: int(count) for pool, rows in sorted(pools.items()) if (count := np.isin(order, rows).sum())}
        self.too_long = int((lengths > context).sum())
        if self.too_long:
            log.warning("%d of %d questions drawn are longer than the LLM's context of %d tokens and are passed over",
                        self.too_long, (lengths != UNKNOWN).sum(), context)

    def train_dataloader(self) -> StatefulDataLoader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return StatefulDataLoader(
            self.dataset,
            batch_sampler=Batches(self.plan, rank, world),
            collate_fn=self.collate,
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
        )
