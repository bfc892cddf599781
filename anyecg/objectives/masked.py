"""Masked ECG modelling in the manner of ST-MEM (arXiv 2402.09450): the encoder learns, without text, to complete
ECGs of which it sees a part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset
from torch.utils.flop_counter import FlopCounterMode

from anyecg.config.checks import Checks
from anyecg.config.schema import StageConfig
from anyecg.config.trainable import samples_a_pass
from anyecg.data.chance import chance
from anyecg.data.clips import clips
from anyecg.data.dataset.data import Data
from anyecg.data.loading.loader import Batches, draw
from anyecg.data.loading.sampling import Plan
from anyecg.model import ECGLanguageModel
from anyecg.objectives.base import EncoderObjective
from anyecg.training.flops import CPU_ATTENTION
from anyecg.training.job import Cost, Outlook, StageJob
from anyecg.training.stage import Stage
from anyecg.types import CANONICAL_LEADS, Batch, ConfigError, InputSpec, Window

FLAT = 1e-6  # variance of a patch (of a clip in [-1, 1]) below which it is not scaled up


@dataclass(frozen=True)
class MaskedConfig:
    """Defaults: ST-MEM's."""

    hidden: float = 0.75  # share of a clip's patches that the encoder does not see
    width: int = 256  # of the decoder
    layers: int = 4  # of the decoder: transformer blocks
    heads: int = 4  # of an attention

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("hidden", above=0, below=1)
            check.number("width", "layers", "heads", least=1)
            if not check.problems and self.width % self.heads:
                check.wrong("width", f"{self.width} is not a multiple of heads: {self.heads}")


class Masked(EncoderObjective):
    """Hidden patches of each lead from the others: the encoder learns without text (masked ECG modelling)."""

    Config = MaskedConfig
    called, piece = "a masked stage", "the clips of a pass"

    def batches(self, job: StageJob) -> ClipData:
        trainer = job.experiment.trainer
        return ClipData(
            job.data,
            job.cfg,
            job.model.encoder.input,
            split=job.split,
            replay=job.experiment.replay,
            seed=job.seed,
            devices=trainer.processes,
            workers=trainer.workers,
            **self._items(),
        )

    def module(self, job: StageJob, steps: int) -> MaskedStage:
        return self._stage(job.model, job.cfg, steps)

    def trains(self, outlook: Outlook) -> dict[str, int]:
        return self._outline(outlook).trainable

    def cost(self, outlook: Outlook) -> Cost:
        """Three forward passes over the patches that are seen and the decoder."""
        stage, batch = self._outline(outlook), self._example(outlook)
        with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=CPU_ATTENTION) as counter:
            stage.loss(batch)
        return Cost(clips=1.0, tokens=0.0, answers=0.0, flops=3 * counter.get_total_flops() / len(batch.ids))

    def notes(self, outlook: Outlook) -> Iterable[str]:
        yield (
            "A masked stage reads one clip a sample and no text; its decoder is told as its heads and is not used "
            "after it."
        )

    def _outline(self, outlook: Outlook) -> MaskedStage:
        with next(outlook.model.parameters()).device:
            return self._stage(outlook.model, outlook.cfg, 1)

    def _stage(self, model: ECGLanguageModel, cfg: StageConfig, steps: int) -> MaskedStage:
        return MaskedStage(model, cfg, steps, self.cfg)

    def _items(self) -> dict[str, Any]:
        """Of `ClipData`: the dataset and the collator, where they are others than its own."""
        return {}

    def _example(self, outlook: Outlook, count: int = 1) -> ClipBatch:
        """A batch of so many samples, to count the work of."""
        with next(outlook.model.parameters()).device:
            clips = torch.empty(count, *outlook.model.encoder.input.shape)
            return ClipBatch(clips, torch.ones(count, len(CANONICAL_LEADS), dtype=torch.bool), ("",) * count)


@dataclass
class ClipBatch(Batch):
    """Clips `[N, *shape]` and lead_mask bool `[N, 12]`, False where a canonical lead is absent; ids: N strings."""

    clips: Tensor
    lead_mask: Tensor
    ids: tuple[str, ...]


class ClipData(Batches):
    """Random batches of clips: of each question that is drawn one clip of one of its ECGs, another one at each
    visit; nothing is cut from long ECGs.

    dataset, collator: another dataset of the same arguments as `ClipDataset`, and what makes batches of its items.
    """

    def __init__(
        self,
        data: Data,
        stage: StageConfig,
        spec: InputSpec,
        *,
        replay: float,
        seed: int,
        split: str = "train",
        devices: int = 1,
        workers: int = 0,
        dataset: Callable[..., Dataset] | None = None,
        collator: Callable[[Sequence[Any]], Batch] | None = None,
    ) -> None:
        dataset, collator = dataset or ClipDataset, collator or collate
        micro = samples_a_pass(stage, devices)
        order, counts = draw(
            data,
            stage,
            replay,
            np.random.default_rng(seed),
            lambda rows: np.ones(len(rows), bool),
            "can be used",
            split,
        )
        plan = Plan(np.arange(len(order)), np.full(len(order) // micro, micro))
        super().__init__(
            dataset(data, order, spec, seed),
            plan,
            stage.batch_size // micro,
            collator,
            counts,
            devices=devices,
            workers=workers,
        )


class ClipDataset(Dataset):
    """A clip `[*shape]`, its lead mask `[12]` and its question's id, by the number of the visit; reads no more than
    the clip.
    """

    def __init__(self, data: Data, rows: np.ndarray, spec: InputSpec, seed: int) -> None:
        self.questions, self.stores, self.rows, self.spec, self.seed = data.questions, data.stores, rows, spec, seed
        self.clips = clips(spec)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, visit: int) -> tuple[np.ndarray, np.ndarray, str]:
        sample, drawn = self.questions[int(self.rows[visit])], chance(self.seed, "clip", visit)
        window = drawn.choice(sample.records)
        seconds = self.stores.seconds(window)
        if (count := self.clips.count(seconds)) > 1:
            start = drawn.randrange(count) * self.spec.seconds
            window = Window(window.record, window.start + start, window.start + min(seconds, start + self.spec.seconds))
        signal, mask = self.stores.read(window)
        return self.clips.make(signal, mask)[0], mask, sample.id


def collate(items: Sequence[tuple[np.ndarray, np.ndarray, str]]) -> ClipBatch:
    made, masks, ids = zip(*items)
    return ClipBatch(torch.from_numpy(np.stack(made)), torch.from_numpy(np.stack(masks)), ids)


class MaskedStage(Stage):
    """The encoder reads a random part of each clip's patches; a light decoder completes each lead by itself (ST-MEM's
    lead-wise decoder).

    The decoder, which lives here and not in the model, gets of a lead the tokens that the encoder made of its visible
    patches, the [CLS] where there is one, and a learned token in place of each hidden patch, each with its time's and
    its lead's embedding. The loss is the mean squared error over hidden patches of leads that are there, each patch
    scaled to mean 0 and deviation 1; all clips count alike.
    """

    def __init__(self, model: ECGLanguageModel, cfg: StageConfig, steps: int, settings: MaskedConfig) -> None:
        super().__init__(model, cfg, steps)
        spec, width = model.encoder.input, settings.width
        with torch.no_grad():
            self.leads, self.times, samples = model.encoder.patch_samples(torch.zeros(1, *spec.shape)).shape[1:]
        if self.leads != len(spec.leads) or self.leads * self.times != model.encoder.patches:
            raise ConfigError(
                f"encoder: patch_samples gives {self.leads} leads of {self.times} patches, the encoder has "
                f"{len(spec.leads)} leads and {model.encoder.patches} patches"
            )
        self.rows = [CANONICAL_LEADS.index(lead) for lead in spec.leads]
        self.shown = min(max(1, round(model.encoder.patches * (1 - settings.hidden))), model.encoder.patches - 1)
        self.join = nn.Linear(model.encoder.dim, width)
        self.blank = nn.Parameter(0.02 * torch.randn(width))
        self.time = nn.Parameter(0.02 * torch.randn(self.times, width))
        self.lead = nn.Parameter(0.02 * torch.randn(self.leads, 1, width))
        layer = nn.TransformerEncoderLayer(
            width, settings.heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.decoder = nn.TransformerEncoder(layer, settings.layers, nn.LayerNorm(width), enable_nested_tensor=False)
        self.complete = nn.Linear(width, samples)

    def loss(self, batch: ClipBatch) -> Tensor:
        encoder = self.model.encoder
        noise = torch.rand(len(batch.clips), encoder.patches, device=batch.clips.device)
        seen = noise.argsort(1)[:, : self.shown].sort(1).values
        completed = self.completed(encoder.encode_seen(batch.clips, batch.lead_mask, seen), seen)
        return masked_loss(completed, self.targets(batch.clips), seen, self.present(batch.lead_mask))

    def completed(self, tokens: Tensor, seen: Tensor) -> Tensor:
        """Every patch as the decoder makes it, `[N, patches, samples]`, from the tokens `[N, prefix + K, dim]` of
        those `seen`, `[N, K]`.
        """
        prefix, n = self.model.encoder.prefix, len(tokens)
        tokens = self.join(tokens)
        patches = self.blank.to(tokens.dtype).expand(n, self.leads * self.times, -1)
        patches = patches.scatter(1, seen[..., None].expand(-1, -1, tokens.shape[2]), tokens[:, prefix:])
        x = patches.view(n, self.leads, self.times, -1) + self.time + self.lead
        # [CLS], with the lead that it is asked about
        whole = tokens[:, None, :prefix].expand(-1, self.leads, -1, -1) + self.lead
        x = self.decoder(torch.cat([whole.to(x.dtype), x], dim=2).flatten(0, 1))[:, prefix:]
        return self.complete(x).view(n, self.leads * self.times, -1)

    def targets(self, clips: Tensor) -> Tensor:
        """Every patch scaled to mean 0 and deviation 1, float32 `[N, patches, samples]`; a flat one is zero."""
        samples = self.model.encoder.patch_samples(clips).flatten(1, 2).float()
        centred = samples - samples.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + FLAT).sqrt()

    def present(self, lead_mask: Tensor) -> Tensor:
        """Whether each patch is of a lead that is there, bool `[N, patches]`."""
        return lead_mask[:, self.rows].repeat_interleave(self.times, dim=1)


def masked_loss(completed: Tensor, targets: Tensor, seen: Tensor, present: Tensor) -> Tensor:
    """Mean over clips of the mean squared error of the patches that are not `seen` and `present`; completed, targets
    `[N, P, samples]`, seen int64 `[N, K]`, present bool `[N, P]`. In float32."""
    counts = present.float().scatter(1, seen, 0.0)
    error = F.mse_loss(completed.float(), targets.float(), reduction="none").mean(-1)
    return ((error * counts).sum(1) / counts.sum(1).clamp(min=1.0)).mean()
