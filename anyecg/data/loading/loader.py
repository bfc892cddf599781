"""The batches of one stage, all settled before its first step: which questions, in what order, in which passes of
which step.
"""

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
from anyecg.config.trainable import samples_a_pass
from anyecg.data.dataset.data import Data
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.data.loading.lengths import UNKNOWN, Lengths
from anyecg.data.loading.sampling import Plan, Turns, cut, divide, evenly, passes_of_packed, passes_that_pay, visits
from anyecg.data.store.store import digest
from anyecg.types import ECGBatch, InputSpec

log = logging.getLogger(__name__)


class Batches(L.LightningDataModule):
    """Batches that a stage's devices take in turn, in an order that depends on nothing but the seed.

    dataset: item by its number; plan: the batches as numbers of items; passes: batches of an optimizer step, over all
    devices;
    collate: items to a batch. `steps` optimizer steps, each of `accumulate` batches a device; rank r of w takes batches
    r, r + w, ...;
    `start`: how many a rank has had already. `counts`: pool -> visits; `skipped`: why -> questions that were drawn and
    cannot be used.

    A step has the same samples however many devices there are.
    """

    def __init__(
        self,
        dataset: Dataset,
        plan: Plan,
        passes: int,
        collate: Callable,
        counts: dict[str, int],
        *,
        devices: int = 1,
        workers: int = 0,
    ) -> None:
        super().__init__()
        self.dataset, self.plan, self.passes, self.collate, self.counts, self.workers = (
            dataset,
            plan,
            passes,
            collate,
            counts,
            workers,
        )
        self.steps, self.accumulate, self.start = len(plan) // passes, passes // devices, 0
        self.skipped: dict[str, int] = {}

    def train_dataloader(self) -> StatefulDataLoader:
        rank, world = (self.trainer.global_rank, self.trainer.world_size) if self.trainer else (0, 1)
        return StatefulDataLoader(
            self.batches(),
            batch_size=None,  # an item is a whole batch
            sampler=Turns(len(self.plan), rank, world, self.start),
            num_workers=self.workers,
            persistent_workers=self.workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def batches(self) -> Dataset:
        """The collated batches by number; a copy of it goes to each worker."""
        return Collated(self.dataset, self.plan, self.collate)


class Collated(Dataset):
    """The batches of a plan by number."""

    def __init__(self, dataset: Dataset, plan: Plan, collate: Callable) -> None:
        self.dataset, self.plan, self.collate = dataset, plan, collate

    def __len__(self) -> int:
        return len(self.plan)

    def __getitem__(self, number: int):
        return self.collate([self.dataset[row] for row in self.plan[number].tolist()])


class StageData(Batches):
    """Batches of questions with answers to learn; each step is a random mixture, and only within it like lengths go
    together.

    collate: items to an ECGBatch; measure: `(sample, clip counts) -> (tokens, learned tokens)`, to pad little and to
    weigh what is accumulated; context: questions with more tokens are passed over, and counted; shortened:
    `(sample, clip counts)` -> whether `collate` cuts it, for the count of those that are; lengths: a folder that keeps
    what was measured, with `reader`, a fingerprint of `measure`, in its file's name; spec: what the encoder takes;
    packs: whether the model computes nothing for padding. Only questions that are drawn are read.

    The loss of a step is the mean over its answer tokens (`learned`), however it is cut into passes: `tokens` or
    `micro_batch` of the stage say how, and where neither does, as many as cost least (`passes_that_pay`,
    `passes_of_packed`).
    """

    def __init__(
        self,
        data: Data,
        stage: StageConfig,
        limits: InputConfig,
        *,
        replay: float,
        seed: int,
        collate: Callable,
        measure: Callable,
        context: int,
        shortened: Callable | None = None,
        split: str = "train",
        devices: int = 1,
        workers: int = 0,
        lengths: Path | None = None,
        reader: str = "",
        spec: InputSpec = InputSpec(),  # noqa: B008
        packs: bool = False,
    ) -> None:
        samples_a_pass(stage, devices)
        dataset = QuestionDataset(
            data.questions, range(len(data.questions)), data.stores, limits, stage.view, spec=spec
        )

        def count(row: int) -> tuple[int, int]:
            sample = dataset.sample(row)
            return measure(sample, dataset.clip_counts(sample))

        made = digest(
            [
                data.fingerprint,
                reader,
                limits.max_seconds,
                limits.max_ecgs,
                stage.view,
                spec.kind,
                spec.fs,
                spec.seconds,
            ]
        )
        measured = Lengths(count, len(data.questions), lengths and lengths / f"{made}.i4", workers)
        asked = np.zeros(len(data.questions), bool)

        def fits(rows: np.ndarray) -> np.ndarray:
            asked[rows] = True
            return measured(rows)[:, 0] <= context

        order, counts = draw(
            data,
            stage,
            replay,
            np.random.default_rng(seed),
            fits,
            "fits into the LLM's context; lower input.max_seconds or choose another LLM",
            split,
        )
        plan, passes = planned(order, measured(order)[:, 0], stage, devices, packs)
        super().__init__(dataset, plan, passes, collate, counts, devices=devices, workers=workers)
        self.learned = plan.sums(measured.known[plan.rows, 1]).reshape(-1, passes).sum(1, dtype=np.int64)
        if too_long := int((measured.known[asked, 0] > context).sum()):
            self.skipped["longer than the LLM's context"] = too_long
            log.warning(
                "%d of %d questions drawn are longer than %d tokens and are passed over", too_long, asked.sum(), context
            )
        if shortened:
            full = np.flatnonzero(asked & (measured.known[:, 0] == context))
            samples = (dataset.sample(int(row)) for row in full)
            cut = sum(shortened(sample, dataset.clip_counts(sample)) for sample in samples)
            self.skipped["cut to max_tokens"] = cut
            log.warning("%d of %d questions drawn are cut to %d tokens", cut, asked.sum(), context)

    def batches(self) -> Dataset:
        return _Weighted(self.dataset, self.plan, self.collate, self.learned, self.passes)


class _Weighted(Collated):
    """Batches with the answer tokens and the passes of their step."""

    def __init__(self, dataset: Dataset, plan: Plan, collate: Callable, learned: np.ndarray, passes: int) -> None:
        super().__init__(dataset, plan, collate)
        self.learned, self.passes = learned, passes

    def __getitem__(self, number: int) -> ECGBatch:
        batch = super().__getitem__(number)
        return replace(
            batch, learned=torch.tensor(int(self.learned[number // self.passes])), passes=torch.tensor(self.passes)
        )


def draw(
    data: Data,
    stage: StageConfig,
    replay: float,
    rng: np.random.Generator,
    fits: Callable[[np.ndarray], np.ndarray],
    why: str,
    split: str = "train",
) -> tuple[np.ndarray, dict[str, int]]:
    """The rows of a split's questions that a stage visits, in whole steps and random order, and pool -> visits;
    fits, why: of `visits`.
    """
    weights = stage.weights(replay)
    pools = {
        pool: data.questions.select(split=split, pool=pool)
        for pool in sorted(data.questions.distinct("pool") | weights.keys())
    }
    order = visits(pools, weights, -(-stage.samples // stage.batch_size) * stage.batch_size, rng, fits, why)
    pool_of = np.full(len(data.questions), UNKNOWN, np.int16)
    for number, rows in enumerate(pools.values()):
        pool_of[rows] = number
    counts = np.bincount(pool_of[order], minlength=len(pools)).tolist()
    return order, {pool: count for pool, count in zip(pools, counts, strict=True) if count}


def planned(
    order: np.ndarray, lengths: np.ndarray, stage: StageConfig, devices: int = 1, packs: bool = False
) -> tuple[Plan, int]:
    """The visits `[n]`, step after step, in batches, and how many batches over all devices make a step; lengths
    `[n]`: their tokens; packs: whether padding costs nothing.
    """
    lengths = lengths.reshape(-1, stage.batch_size)
    if stage.tokens is not None:
        assigned, passes = cut(lengths, stage.tokens, devices)
    elif stage.micro_batch is not None:
        micro = samples_a_pass(stage, devices)
        assigned, passes = evenly(lengths, micro), stage.batch_size // micro
    else:
        passes = (passes_of_packed if packs else passes_that_pay)(lengths, devices)
        assigned = divide(lengths, passes)
    numbers = (assigned + passes * np.arange(len(assigned))[:, None]).ravel()
    return Plan(order[np.argsort(numbers, kind="stable")], np.bincount(numbers)), passes
