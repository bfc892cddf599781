"""Contrastive ECG-text pre-training: each ECG's [CLS] against the embedding of its report."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from anyecg.config.checks import Checks
from anyecg.config.schema import Experiment, InputConfig, StageConfig, to_dict
from anyecg.config.trainable import samples_a_pass
from anyecg.data.dataset.data import Data
from anyecg.data.loading.dataset import Item, QuestionDataset
from anyecg.data.loading.lengths import Lengths
from anyecg.data.loading.loader import Batches, draw
from anyecg.data.loading.sampling import Plan
from anyecg.data.store.shards import locked
from anyecg.data.store.store import digest
from anyecg.model import ECGLanguageModel
from anyecg.objectives.augment import Augmentation, shift
from anyecg.objectives.base import EncoderObjective
from anyecg.text_encoders.base import TextEncoder
from anyecg.training.flops import Forward
from anyecg.training.job import Cost, Depends, Outlook, StageJob
from anyecg.training.stage import Stage
from anyecg.types import AnyECGError, Batch, ECGSample, InputSpec

log = logging.getLogger(__name__)

UNCUT = 1e9  # seconds: a longer ECG is seen as it is, and passed over
TOGETHER = 1024  # reports embedded between two writes
PAPERS_HEAD = 512  # outputs of the head that the published encoder of 85.6 M parameters holds


@dataclass(frozen=True)
class ContrastiveConfig(Augmentation):
    """As every augmentation; shift: s by which a clip is moved in time at most, its end coming in at its beginning."""

    shift: float = 0.0

    def checks(self, check: Checks) -> None:
        super().checks(check)
        check.number("shift", least=0)

    @property
    def any(self) -> bool:
        return super().any or self.shift > 0

    def __call__(self, clips: Tensor, lead_mask: Tensor, fs: float) -> tuple[Tensor, Tensor]:
        return super().__call__(shift(clips, fs, self.shift), lead_mask, fs)


class Contrastive(EncoderObjective):
    """Sigmoid loss between each ECG and the reports of a random batch (the paper's ECG Encoder section)."""

    Config = ContrastiveConfig
    compares = True
    called, piece = "a contrastive stage", "the pairs that are held against each other"

    def settings(self, stage: StageConfig) -> dict:
        return {key: value for key, value in to_dict(stage).items() if key not in ("tokens", "view")}

    def depends(self, experiment: Experiment, stage: StageConfig, tuned: bool) -> Depends:
        """Neither the LLM nor how questions are phrased: pairs are drawn at random."""
        depends = super().depends(experiment, stage, tuned)
        parts = depends.parts | {"text_encoder": to_dict(experiment.text_encoder)}
        return replace(depends, parts=parts, code=(*depends.code, *experiment.text_encoder.components))

    def batches(self, job: StageJob) -> PairData:
        experiment, spec = job.experiment, job.model.encoder.input
        self.cfg.require(spec)
        return PairData(
            job.data,
            job.cfg,
            job.text_encoder,
            job.scratch,
            split=job.split,
            replay=experiment.replay,
            seed=job.seed,
            counted=Path(experiment.cache) / "lengths",
            devices=experiment.trainer.processes,
            workers=experiment.trainer.workers,
            spec=spec,
        )

    def module(self, job: StageJob, steps: int) -> ContrastiveStage:
        return ContrastiveStage(job.model, job.cfg, steps, job.text_encoder.dim, self.cfg)

    def trains(self, outlook: Outlook) -> dict[str, int]:
        text = outlook.experiment.text_encoder.component.outline(outlook.experiment.text_encoder.config)
        with torch.device("meta"):
            stage = ContrastiveStage(outlook.model, outlook.cfg, 1, text or 1)
        return stage.trainable if text else stage.declared

    def cost(self, outlook: Outlook) -> Cost:
        return Cost(clips=1.0, tokens=0.0, answers=0.0, flops=contrastive_flops(outlook.forward))

    def notes(self, outlook: Outlook) -> Iterable[str]:
        encoder = sum(p.numel() for p in outlook.model.encoder.parameters()) + outlook.model.encoder.dim * PAPERS_HEAD
        yield (
            f"A contrastive stage reads one clip a sample and no text. The paper counts a head of {PAPERS_HEAD} "
            f"outputs among its encoder's parameters "
            f"({encoder / 1e6:.1f} M with it). Here the heads (two projections, a scale and a bias) are no part of "
            f"the encoder: they learn in that stage "
            "alone. What the reports' embeddings cost is not counted."
        )
        slot = outlook.experiment.text_encoder
        if not slot.component.outline(slot.config):
            yield (
                f"How many parameters the heads have is not known before text_encoder '{slot.name}' is loaded; they "
                f"are left out."
            )


class PairData(Batches):
    """Random batches of ECGs with their reports: a batch is the set of negatives, so nothing of a report decides which
    meet.

    folder: keeps the reports' embeddings; counted: a folder that keeps which questions are one ECG of one clip with a
    report (None: not kept); spec: what the encoder takes. The others are passed over and counted; ConfigError for a
    pool that has no such question.
    """

    def __init__(
        self,
        data: Data,
        stage: StageConfig,
        text_encoder: TextEncoder,
        folder: Path,
        *,
        replay: float,
        seed: int,
        split: str = "train",
        counted: Path | None = None,
        devices: int = 1,
        workers: int = 0,
        spec: InputSpec = InputSpec(),  # noqa: B008
    ) -> None:
        micro = samples_a_pass(stage, devices)
        dataset = QuestionDataset(
            data.questions, range(len(data.questions)), data.stores, InputConfig(max_seconds=UNCUT), spec=spec
        )

        def count(row: int) -> tuple[int, int]:
            """Clips of a question's one ECG, 0 where it has several, and characters of its report."""
            sample = dataset.sample(row)
            return (sum(dataset.clip_counts(sample)) if len(sample.records) == 1 else 0), sum(map(len, sample.evidence))

        known = Lengths(
            count,
            len(data.questions),
            counted and counted / f"pairs-{digest([data.fingerprint, spec.kind, spec.seconds])}.i4",
            workers,
        )
        asked = np.zeros(len(data.questions), bool)

        def fits(rows: np.ndarray) -> np.ndarray:
            asked[rows] = True
            clips, characters = known(rows).T
            return (clips == 1) & (characters > 0)

        order, counts = draw(
            data,
            stage,
            replay,
            np.random.default_rng(seed),
            fits,
            "is about one ECG of at most one clip that has a report, as a contrastive stage needs; name another pool "
            "in stages.*.tasks",
            split,
        )
        collate = PairCollator(data.questions, np.unique(order), text_encoder, folder)
        super().__init__(
            dataset,
            Plan(order, np.full(len(order) // micro, micro)),
            stage.batch_size // micro,
            collate,
            counts,
            devices=devices,
            workers=workers,
        )
        if left := int(asked.sum() - fits(np.flatnonzero(asked)).sum()):
            self.skipped = {"not one ECG of one clip with a report": left}
            log.warning(
                "%d of %d questions drawn are not about one ECG of at most one clip with a report and are passed over",
                left,
                asked.sum(),
            )


@dataclass
class PairBatch(Batch):
    """ECGs and their reports: signal `[N, *shape]`, lead_mask `[N, 12]`, text `[N, d_text]`, report int64 `[N]`;
    ids: N strings.

    Two pairs with the same `report` say the same, so each counts as the other's match.
    """

    signal: Tensor
    lead_mask: Tensor
    text: Tensor
    report: Tensor
    ids: tuple[str, ...]


class PairCollator:
    """Items with one ECG each become pairs; every distinct report is embedded once, before training.

    questions, rows: whose reports; folder: keeps their embeddings in a file, float32 `[reports, d_text]`, which is
    there whole or not at all; where a process was killed, the next one goes on. In memory a report is 8 bytes, a hash
    whose rank says where in the file its embedding lies. AnyECGError where the file cannot be written.
    """

    def __init__(
        self, questions: Sequence[ECGSample], rows: Sequence[int], text_encoder: TextEncoder, folder: Path
    ) -> None:
        rows = np.asarray(rows)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder):
                self.hashes, first = np.unique(_hashes(questions, rows, folder), return_index=True)
                self.dim, self.path = (
                    text_encoder.dim,
                    folder / f"reports-{blake2b(self.hashes, digest_size=8).hexdigest()}.f32",
                )
                if not self.path.exists():
                    self._embed(questions, rows[first], text_encoder)
        except OSError as error:
            raise AnyECGError(
                f"{folder}: the reports' embeddings could not be written ({error}). Free some disk and give the same "
                f"command again: "
                "it goes on where it stopped"
            ) from error

    def _embed(self, questions: Sequence[ECGSample], rows: np.ndarray, text_encoder: TextEncoder) -> None:
        """Write the file, from where a killed process left it."""
        partial, console = self.path.with_suffix(".part"), Console(stderr=True)
        with partial.open("ab") as file:
            done = file.tell() // (4 * self.dim * TOGETHER) * TOGETHER
            file.truncate(4 * self.dim * done)
            starts = range(done, len(rows), TOGETHER)
            for start in track(
                starts, "embedding reports", console=console, transient=True, disable=not console.is_terminal
            ):
                texts = [questions[int(row)].evidence[0] for row in rows[start : start + TOGETHER]]
                file.write(text_encoder.encode(texts).numpy().tobytes())
        partial.rename(self.path)

    def __call__(self, items: Sequence[Item]) -> PairBatch:
        report = np.searchsorted(self.hashes, np.array([_hash(item.sample.evidence[0]) for item in items], np.uint64))
        # mapped for this batch alone, so that its pages do not add up
        stored = np.memmap(self.path, np.float32, "r").reshape(-1, self.dim)
        return PairBatch(
            signal=torch.from_numpy(np.stack([item.clips[0][0] for item in items])),
            lead_mask=torch.from_numpy(np.stack([item.lead_masks[0] for item in items])),
            text=torch.from_numpy(stored[report]),
            report=torch.from_numpy(report),
            ids=tuple(item.sample.id for item in items),
        )


def _hashes(questions: Sequence[ECGSample], rows: np.ndarray, folder: Path) -> np.ndarray:
    """The hash of each row's report: uint64 `[rows]`, kept in the folder, so that a resumed stage reads no report."""
    path = folder / f"hashes-{blake2b(rows.astype(np.int64).tobytes(), digest_size=8).hexdigest()}.u64"
    if not path.exists():
        partial = path.with_suffix(".part")
        np.fromiter((_hash(questions[int(row)].evidence[0]) for row in rows), np.uint64, len(rows)).tofile(partial)
        partial.rename(path)
    return np.fromfile(path, np.uint64)


def _hash(report: str) -> int:
    """64 bits of a report; that any two of a million reports share them has a chance of 3e-8."""
    return int.from_bytes(blake2b(report.encode(), digest_size=8).digest(), "little")


class ContrastiveStage(Stage):
    """Sigmoid loss between pooled ECGs and frozen report embeddings (the paper's ECG Encoder section).

    The projections and the scale live here, not in the model: no later stage uses them, a ranker does (they are kept).
    Negatives are the other pairs of a `micro_batch`; without one, of the whole batch, over however many devices it is
    spread: each device meets its own ECGs with the reports of all. So the loss is the same on any number of devices.
    """

    def __init__(
        self,
        model: ECGLanguageModel,
        cfg: StageConfig,
        steps: int,
        text_dim: int,
        augmentation: Augmentation = Augmentation(),  # noqa: B008
    ) -> None:
        super().__init__(model, cfg, steps)
        self.augmentation = augmentation
        self.ecg_head = nn.Linear(model.encoder.dim, text_dim)
        self.text_head = nn.Linear(text_dim, text_dim)
        self.scale = nn.Parameter(torch.tensor(10.0).log())
        self.bias = nn.Parameter(torch.tensor(-10.0))

    def loss(self, batch: PairBatch) -> Tensor:
        signal, lead_mask = batch.signal, batch.lead_mask
        if self.training and self.augmentation.any:
            signal, lead_mask = self.augmentation(signal, lead_mask, self.model.encoder.input.fs)
        ecg = self.ecg_head(self.model.encoder.pooled(self.model.encoder(signal, lead_mask)))
        text, report = batch.text, batch.report
        if (
            self.cfg.micro_batch is None and torch.distributed.is_initialized()
        ):  # embeddings are frozen: no gradient has to travel
            text, report = (self.all_gather(value).flatten(0, 1) for value in (text, report))
        return sigmoid_loss(ecg, self.text_head(text), batch.report, self.scale.exp(), self.bias, report)


def sigmoid_loss(
    ecg: Tensor, text: Tensor, report: Tensor, scale: Tensor, bias: Tensor, others: Tensor | None = None
) -> Tensor:
    """SigLIP's pairwise loss over all N x M pairs, in float32, summed a row and averaged over rows; ecg `[N, d]`, text
    `[M, d]`.

    report `[N]`, others `[M]` (None: the same): which report each ECG and each text is of.
    """
    others = report if others is None else others
    sign = torch.where(report[:, None] == others[None, :], 1.0, -1.0)
    with torch.autocast(ecg.device.type, enabled=False):  # in 16 bits a step at -10 is 0.06, and N of them are summed
        logits = F.normalize(ecg.float(), dim=-1) @ F.normalize(text.float(), dim=-1).T * scale.float() + bias.float()
        return -F.logsigmoid(sign * logits).sum(1).mean()


def contrastive_flops(forward: Forward) -> float:
    """FLOPs of one sample: an ECG of one clip, the encoder learning; the two projections are left out."""
    return 3 * forward.encoder
