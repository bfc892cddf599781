"""A U-Net over the signal as answerer of localization: a channel for each abnormality of the training questions."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from anyecg.answerers.base import Answerer, Fitting
from anyecg.answerers.learned import descend, learn_once, seed_of, view_of, visits
from anyecg.answerers.unet import Double, UNet
from anyecg.config.checks import Checks
from anyecg.config.code import Code
from anyecg.config.fingerprint import fingerprint
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.tasks.localization.build import POOLS, answer_text
from anyecg.tasks.localization.intervals import inside, iou, runs
from anyecg.types import DataError, ECGSample, InputSpec, Prediction

ALIKE = 16  # batches' worth of windows that are sorted by length together
LEVELS, PEAKS, SHORTEST = (0.3, 0.4, 0.5, 0.6, 0.7), (0.3, 0.5, 0.7, 0.8, 0.9), (0.0, 0.2, 0.5, 1.0)


class Segmenter(Answerer):
    """U-Net with a channel for each abnormality that training questions ask for; windows of any length, uncut."""

    label, knows, tasks = "U-Net", "training labels", frozenset({"localization"})

    @dataclass(frozen=True)
    class Config:
        """Size of the network and how it learns; the sizes are the publication's."""

        channels: list[int] = field(default_factory=lambda: [4, 8, 16, 32, 64])  # of each level, from the top
        kernel: int = 9  # samples of a convolution
        pools: list[str] = field(default_factory=lambda: list(POOLS))  # whose training questions are learnt from
        lead_dropout: float = 0.0  # share of training windows that lose one of their leads
        scaling: str = "lead_zscore"  # of a window
        steps: int = 1500  # of the optimizer
        batch_size: int = 32  # windows a step
        lr: float = 0.01  # peak learning rate of AdamW
        tune: int = 600  # validation questions that level, peak and shortest run are chosen by

        def __post_init__(self) -> None:
            with Checks(self) as check:
                check.among("pools", POOLS)
                check.number("lead_dropout", least=0, most=1)
                check.number("kernel", "steps", "batch_size", "tune", least=1)
                check.number("lr", above=0)
                check.registered("scaling", "scaling")
                if len(self.channels) < 2 or self.kernel % 2 == 0:
                    check.wrong("channels", "two or more, and an odd kernel")

    def fit(self, fitting: Fitting) -> None:
        experiment, task = fitting.experiment, next(iter(fitting.tasks))
        self.stores, self.limits, self.seed = fitting.stores, experiment.input, experiment.evaluation.seed
        self.spec = InputSpec(fs=fitting.stores.fs, seconds=experiment.input.max_seconds, scaling=self.cfg.scaling)
        train = [one for one in fitting.training.samples(task) if one.pool in self.cfg.pools]
        val = [one for one in fitting.training.samples(task, "val") if one.pool in self.cfg.pools]
        if not train or not val:
            raise DataError(f"the segmenter learns from {', '.join(self.cfg.pools)}, which has no training questions")
        self.names = sorted({str(one.meta["name"]) for one in train})
        code = Code([Segmenter, UNet, Double, QuestionDataset]).fingerprint
        self.key = fingerprint(
            "segmenter", self.cfg, experiment.seed, fitting.training.fingerprint, self.limits, self.spec.fs, code
        )
        torch.manual_seed(seed_of("segmenter", experiment.seed))
        self.net = UNet(len(self.spec.leads), len(self.names), self.cfg.channels, self.cfg.kernel)
        facts = learn_once(
            self.net, experiment.cache, "segmenter", self.key, lambda: self._learn(train, val, experiment.seed)
        )
        self.level, self.peak, self.shortest = facts["level"], facts["peak"], facts["shortest"]

    def answer(
        self, samples: Sequence[ECGSample], view: str, answered: Collection[str] = frozenset()
    ) -> Iterator[Prediction]:
        """One window at a time: no answer depends on its company."""
        left = [one for one in samples if one.id not in answered]
        for sample, likely in self._probabilities(left, view):
            found = runs(likely, self.spec.fs, self.level, self.peak, self.shortest)
            text = answer_text(str(sample.meta["name"]), [(a, b) for a, b in np.round(found, 1).tolist() if b > a])
            yield Prediction(sample.id, text, {"present": float(likely.max(initial=0.0))})

    @torch.inference_mode()
    def _probabilities(self, samples: Sequence[ECGSample], view: str) -> Iterator[tuple[ECGSample, np.ndarray]]:
        """Each question with the probability of what it asks for, float `[T]`; zero for a name never learnt."""
        dataset = view_of(samples, view, self.stores, self.limits, self.spec, self.seed)
        for place, sample in enumerate(samples):
            name, signal = str(sample.meta["name"]), self._signal(dataset, place)
            known = name in self.names
            logits = self.net(torch.from_numpy(signal)[None])[0, self.names.index(name)] if known else None
            yield sample, np.zeros(signal.shape[1]) if logits is None else logits.sigmoid().numpy()

    def _signal(self, dataset: QuestionDataset, place: int) -> np.ndarray:
        """The window of a question, float32 `[12, T]`."""
        window = dataset.sample(place).records[0]
        return dataset[place].clips[0][0][:, : round(self.stores.seconds(window) * self.spec.fs)]

    def _learn(self, train: list[ECGSample], val: list[ECGSample], seed: int) -> Mapping[str, float]:
        rng, cfg = np.random.default_rng(seed), self.cfg
        dataset = view_of(train, "signal", self.stores, self.limits, self.spec)
        seconds = np.array([self.stores.seconds(dataset.sample(place).records[0]) for place in range(len(train))])

        def batches() -> Iterator[np.ndarray]:
            for drawn in visits(len(train), ALIKE * cfg.batch_size, -(-cfg.steps // ALIKE), rng):
                together = drawn[seconds[drawn].argsort(kind="stable")].reshape(ALIKE, -1)
                yield from together[rng.permutation(ALIKE)]

        def losses() -> Iterator[Tensor]:
            self.net.train()
            for places in batches():
                samples = round(seconds[places].min() * self.spec.fs)  # windows of like length, cut to the shortest
                x = np.stack([self._signal(dataset, place)[:, :samples] for place in places])
                self._drop_leads(x, rng)
                true = np.stack([inside(train[place].meta["intervals"], samples, self.spec.fs) for place in places])
                asked = torch.tensor([self.names.index(str(train[place].meta["name"])) for place in places])
                logits = self.net(torch.from_numpy(x))[torch.arange(len(places)), asked]
                yield F.binary_cross_entropy_with_logits(logits, torch.from_numpy(true))

        loss = descend(self.net, losses(), cfg.steps, cfg.lr)
        self.net.eval()
        return {"loss": loss, "windows": len(train), **self._tuned(val, rng)}

    def _drop_leads(self, x: np.ndarray, rng: np.random.Generator) -> None:
        for window in x:
            present = np.flatnonzero(window.any(axis=1))
            if len(present) > 1 and rng.random() < self.cfg.lead_dropout:
                window[rng.choice(present)] = 0.0

    def _tuned(self, val: list[ECGSample], rng: np.random.Generator) -> dict[str, float]:
        """Level, peak and shortest run of the highest balanced IoU over validation questions."""
        few = [val[place] for place in rng.permutation(len(val))[: self.cfg.tune]]
        found = list(self._probabilities(few, "signal"))
        true = [np.asarray(sample.meta["intervals"], float).reshape(-1, 2) for sample, _ in found]
        groups = [(str(sample.meta["name"]), len(wanted) > 0) for sample, wanted in zip(few, true)]

        def balanced(level: float, peak: float, shortest: float) -> float:
            scores = [
                iou(runs(likely, self.spec.fs, level, peak, shortest), wanted)
                for (_, likely), wanted in zip(found, true)
            ]
            return float(np.mean([np.mean([s for s, g in zip(scores, groups) if g == one]) for one in set(groups)]))

        choices = [one for one in product(LEVELS, PEAKS, SHORTEST) if one[1] >= one[0]]
        values = [balanced(*one) for one in choices]
        best = int(np.argmax(values))
        return dict(zip(("level", "peak", "shortest"), choices[best]), validation_iou=values[best])
