"""The questions of one stage as batches: mixture, order, lengths and weights are settled before the first step."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import lightning as L
import numpy as np
import torch
from torch.utils.data import Dataset
from torchdata.stateful_dataloader import StatefulDataLoader

from anyecg.config.schema import InputConfig, StageConfig
from anyecg.data.dataset.data import Data
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.data.loading.lengths import UNKNOWN, Lengths
from anyecg.data.loading.sampling import Plan, Turns, batches, cut, visits
from anyecg.tasks.questions import POOLS
from anyecg.data.store.store import digest
from anyecg.config.trainable import samples_a_pass
from anyecg.types import ECGBatch

log = logging.getLogger(__name__)


class StageData(L.LightningDataModule):
    """Training batches of a stage.

    collate: items to a batch; measure: `(sample, clip counts) -> (tokens, learned tokens)`, to batch like with like and to
    weigh what is accumulated; context: questions with more tokens are passed over, counted in `too_long` and told;
    lengths: a folder that keeps what was measured, with `reader`, a fingerprint of `measure`, in its file's name.
    `steps` is the number of optimizer steps, each of exactly `batch_size` samples in `accumulate` batches a device, `plan`
    the batches in order (rank r of w takes each w-th, of about equal length), `start` how many a rank has had already, `counts` the visits to each pool, `visited` the rows of the
    questions visited, each once. Only questions that are drawn are read.

    A step has the same samples, and its loss is the mean over their answer tokens (`learned`, each step's), however many devices there are.
    """

    def __init__(self, data: Data, stage: StageConfig, limits: InputConfig, *, replay: float, seed: int, collate: Callable, measure: Callable,
                 context: int, devices: int = 1, workers: int = 0, lengths: Path | None = None, reader: str = "") -> None:
        super().__init__()
        self.collate, self.workers, self.start = collate, workers, 0
        self.steps = -(-stage.samples // stage.batch_size)
        samples_a_pass(stage, devices)

        weights = stage.tasks | {pool: weight * replay for pool, weight in stage.replay.items()}
        pools = {pool: data.questions.select(split="train", pool=pool) for pool in POOLS}
        self.dataset = QuestionDataset(data.questions, range(len(data.questions)), data.stores, limits, stage.view)

        def count(row: int) -> tuple[int, int]:
            sample = self.dataset.sample(row)
            return measure(sample, self.dataset.clip_counts(sample))

        made = digest([data.fingerprint, reader, limits.max_seconds, limits.max_ecgs, stage.view])
        measured = Lengths(count, len(data.questions), lengths and lengths / f"{made}.i4", workers)
        asked = np.zeros(len(data.questions), bool)

        def fits(rows: np.ndarray) -> np.ndarray:
            asked[rows] = True
            return measured(rows)[:, 0] <= context

        rng = np.random.default_rng(seed)
        order = visits(pools, weights, self.steps * stage.batch_size, rng, fits)
        self.plan, passes = _planned(order, measured(order)[:, 0], stage, devices, rng)
        self.accumulate = passes // devices
        self.passes = passes
        self.learned = self.plan.sums(measured.known[self.plan.rows, 1]).reshape(-1, passes).sum(1, dtype=np.int64)
        self.visited = np.unique(order)
        pool_of = np.full(len(data.questions), UNKNOWN, np.int8)
        for number, rows in enumerate(pools.values()):
            pool_of[rows] = number
        counts = np.bincount(pool_of[order], minlength=len(pools)).tolist()
        self.counts = {pool: count for pool, count in sorted(zip(pools, counts, strict=True)) if count}
        self.too_long = int((measured.known[asked, 0] > context).sum())
        if self.too_long:
            log.warning("%d of %d questions drawn are longer than the LLM's context of %d tokens and are passed over",
                        self.too_long, asked.sum(), context)

    def train_dataloader(self) -> StatefulDataLoader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return StatefulDataLoader(
            _Collated(self.dataset, self.plan, self.learned, self.passes, self.collate),
            batch_size=None,  # an item is a whole batch
            sampler=Turns(len(self.plan), rank, world, self.start),
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )


class _Collated(Dataset):
    """The batches of a plan by number, each with the answer tokens and the passes of its step."""

    def __init__(self, dataset: QuestionDataset, plan: Plan, learned: np.ndarray, passes: int, collate: Callable) -> None:
        self.dataset, self.plan, self.learned, self.passes, self.collate = dataset, plan, learned, passes, collate

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, number: int):
        batch = self.collate([self.dataset[row] for row in self.plan[number].tolist()])
        if not isinstance(batch, ECGBatch):
            return batch
        return replace(batch, learned=torch.tensor(int(self.learned[number // self.passes])), passes=torch.tensor(self.passes))


def _planned(order: np.ndarray, lengths: np.ndarray, stage: StageConfig, devices: int, rng: np.random.Generator) -> tuple[Plan, int]:
    """The visits in batches, and how many batches over all devices make a step."""
    micro = samples_a_pass(stage, devices)
    if micro is not None:
        made = batches(lengths, stage.micro_batch or stage.batch_size, rng)
        made = made.reshape(len(made), micro, -1).transpose(0, 2, 1).reshape(-1, micro)  # devices that share one take each so-manieth: like lengths
        passes = stage.batch_size // micro
        longest = lengths[made].max(1).reshape(-1, passes)
        made = np.take_along_axis(made.reshape(-1, passes, micro), np.argsort(-longest, axis=1, kind="stable")[..., None], axis=1)
        return Plan(order[made.ravel()], np.full(made.size // micro, micro)), passes
    assigned, passes = cut(lengths.reshape(-1, stage.batch_size), stage.tokens, devices)
    numbers = (assigned + passes * np.arange(len(assigned))[:, None]).ravel()
    return Plan(order[np.argsort(numbers, kind="stable")], np.bincount(numbers)), passes
