"""Where the abnormality of a localization question is, read off the encoder's tokens: no text is learned."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyecg.config.checks import Checks
from anyecg.config.schema import Experiment, InputConfig, StageConfig, to_dict
from anyecg.config.trainable import samples_a_pass
from anyecg.data.dataset.data import Data
from anyecg.data.loading.dataset import Item, QuestionDataset
from anyecg.data.loading.loader import Batches, draw
from anyecg.data.loading.sampling import Plan
from anyecg.encoders.base import Encoder
from anyecg.model import ECGLanguageModel
from anyecg.objectives.augment import Augmentation
from anyecg.objectives.base import EncoderObjective
from anyecg.training.job import Cost, Depends, Outlook, StageJob
from anyecg.training.stage import Stage
from anyecg.types import Batch, ConfigError, ECGSample, InputSpec

BIN = 0.1  # s: localization answers have one decimal
CODE = 64  # signs that stand for the name of an abnormality: no two of some hundred names share them


@dataclass(frozen=True)
class SpansConfig(Augmentation):
    """As every augmentation; none of it moves a clip in time. width: of what a token is compared with a name by."""

    width: int = 64

    def checks(self, check: Checks) -> None:
        super().checks(check)
        check.number("width", least=1)


class Spans(EncoderObjective):
    """The intervals of localization questions, tenth of a second by tenth, as a U-Net learns them: the encoder alone
    learns.
    """

    Config = SpansConfig
    called, piece = "a stage over spans", "samples"

    def depends(self, experiment: Experiment, stage: StageConfig, tuned: bool) -> Depends:
        """As much of a window as the model is shown is what it learns from."""
        depends = super().depends(experiment, stage, tuned)
        return replace(depends, parts=depends.parts | {"input": to_dict(experiment.input)})

    def batches(self, job: StageJob) -> SpanData:
        spec, trainer = cast(Encoder, job.model.encoder).input, job.experiment.trainer
        self.cfg.require(spec)
        return SpanData(
            job.data,
            job.cfg,
            job.experiment.input,
            spec,
            replay=job.experiment.replay,
            seed=job.seed,
            split=job.split,
            devices=trainer.processes,
            workers=trainer.workers,
        )

    def module(self, job: StageJob, steps: int) -> SpansStage:
        return SpansStage(job.model, job.cfg, steps, self.cfg)

    def trains(self, outlook: Outlook) -> dict[str, int]:
        with next(outlook.model.parameters()).device:
            return SpansStage(outlook.model, outlook.cfg, 1, self.cfg).trainable

    def cost(self, outlook: Outlook) -> Cost:
        """Of a window of one clip; the heads are left out."""
        return Cost(clips=1.0, tokens=0.0, answers=0.0, flops=3 * outlook.forward.encoder)

    def notes(self, outlook: Outlook) -> Iterable[str]:
        yield "A stage over spans is counted as one clip a sample; it reads no text. Its heads are not used after it."


@dataclass
class SpanBatch(Batch):
    """Clips `[N, *shape]` with lead_mask bool `[N, 12]`; code `[N, CODE]`: of the name that is asked for, -1 and 1;
    inside bool `[N, bins]`: whether it is there in each tenth of a second; counts bool `[N, bins]`: those that lie in
    the window; ids: a string a question.
    """

    clips: Tensor
    lead_mask: Tensor
    code: Tensor
    inside: Tensor
    counts: Tensor
    ids: tuple[str, ...]


class SpanData(Batches):
    """Random batches of localization questions: those with one ECG, an abnormality by name and its true intervals.

    ConfigError for a pool without such a question.
    """

    def __init__(
        self,
        data: Data,
        stage: StageConfig,
        limits: InputConfig,
        spec: InputSpec,
        *,
        replay: float,
        seed: int,
        split: str = "train",
        devices: int = 1,
        workers: int = 0,
    ) -> None:
        micro = samples_a_pass(stage, devices) or stage.batch_size
        order, counts = draw(
            data,
            stage,
            replay,
            np.random.default_rng(seed),
            lambda rows: np.array([asks_for_spans(data.questions[int(row)]) for row in rows], bool),
            "asks where something is in one ECG, as a stage over spans needs; name a pool of localization in "
            "stages.*.tasks",
            split,
        )
        super().__init__(
            QuestionDataset(data.questions, cast(Sequence[int], order), data.stores, limits, spec=spec),
            Plan(np.arange(len(order)), np.full(len(order) // micro, micro)),
            stage.batch_size // micro,
            SpanCollator(data, spec),
            counts,
            devices=devices,
            workers=workers,
        )


class SpanCollator:
    """Questions of localization become clips with the tenths of a second that their answer names."""

    def __init__(self, data: Data, spec: InputSpec) -> None:
        self.stores, self.spec = data.stores, spec

    def __call__(self, items: Sequence[Item]) -> SpanBatch:
        bins = round(self.spec.seconds / BIN)
        inside, counts, codes = [], [], []
        for item in items:
            clips, meta = len(item.clips[0]), item.sample.meta
            centres = BIN * (np.arange(clips * bins) + 0.5)
            there = [(start <= centres) & (centres < end) for start, end in meta["intervals"]]
            inside.append(np.logical_or.reduce([np.zeros(len(centres), bool), *there]).reshape(clips, bins))
            counts.append((centres < self.stores.seconds(item.sample.records[0])).reshape(clips, bins))
            codes.append(np.repeat(code(str(meta["name"]))[None], clips, axis=0))
        masks = [np.repeat(item.lead_masks[0][None], len(item.clips[0]), axis=0) for item in items]
        return SpanBatch(
            clips=torch.from_numpy(np.concatenate([item.clips[0] for item in items])),
            lead_mask=torch.from_numpy(np.concatenate(masks)),
            code=torch.from_numpy(np.concatenate(codes)),
            inside=torch.from_numpy(np.concatenate(inside)),
            counts=torch.from_numpy(np.concatenate(counts)),
            ids=tuple(item.sample.id for item in items),
        )


def asks_for_spans(sample: ECGSample) -> bool:
    """Whether a question is about one ECG and has the name and the true intervals of what it asks for."""
    return len(sample.records) == 1 and {"name", "intervals"} <= sample.meta.keys()


def code(name: str) -> np.ndarray:
    """The signs that stand for a name, float32 `[CODE]`, the same on every machine."""
    bits = np.unpackbits(np.frombuffer(blake2b(name.encode(), digest_size=CODE // 8).digest(), np.uint8))
    return 2.0 * bits.astype(np.float32) - 1.0


class SpansStage(Stage):
    """Every token says of the tenths of a second that it stands for whether what is asked for is there; a token of an
    encoder that has one for each lead says so for its lead, and the leads are averaged. Binary cross-entropy, in
    float32, over the tenths inside the window.
    """

    def __init__(self, model: ECGLanguageModel, cfg: StageConfig, steps: int, settings: SpansConfig) -> None:
        super().__init__(model, cfg, steps)
        encoder, self.augmentation = cast(Encoder, model.encoder), settings
        self.bins = round(encoder.input.seconds / BIN)
        try:  # tokens that are patches of single leads
            with torch.no_grad():
                self.leads = encoder.patch_samples(torch.zeros(1, *encoder.input.shape)).shape[1]
        except ConfigError:
            self.leads = 1
        self.times = encoder.patches // self.leads
        self.each = -(-self.bins // self.times)  # bins a token speaks of
        self.look = nn.Linear(encoder.dim, self.each * settings.width)
        self.ask = nn.Linear(CODE, settings.width)
        self.bias = nn.Linear(CODE, 1)

    def loss(self, batch: SpanBatch) -> Tensor:
        clips, lead_mask = batch.clips, batch.lead_mask
        if self.training and self.augmentation.any:
            clips, lead_mask = self.augmentation(clips, lead_mask, cast(Encoder, self.model.encoder).input.fs)
        logits = self.logits(clips, lead_mask, batch.code).float()
        each = F.binary_cross_entropy_with_logits(logits, batch.inside.float(), reduction="none")
        counts = batch.counts.float()
        return (each * counts).sum() / counts.sum().clamp(min=1.0)

    def logits(self, clips: Tensor, lead_mask: Tensor, code: Tensor) -> Tensor:
        """clips `[N, *shape]`, lead_mask `[N, 12]`, code `[N, CODE]` -> `[N, bins]`."""
        encoder = cast(Encoder, self.model.encoder)
        tokens = encoder(clips, lead_mask)[:, encoder.prefix :]
        tokens = tokens.view(len(tokens), self.leads, self.times, -1).mean(1)
        seen = self.look(tokens).view(len(tokens), self.times * self.each, -1)
        logits = (seen * self.ask(code)[:, None]).sum(-1) * seen.shape[-1] ** -0.5 + self.bias(code)
        if logits.shape[1] == self.bins:
            return logits
        return F.interpolate(logits[:, None], size=self.bins, mode="linear", align_corners=False)[:, 0]
