"""Contrastive ECG-text pre-training: each ECG's [CLS] against the embedding of its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch.nn import functional as F

from anyecg.config.schema import StageConfig
from anyecg.data.loading.dataset import Item
from anyecg.data.store.shards import locked
from anyecg.model import ECGLanguageModel
from anyecg.text_encoders.base import TextEncoder
from anyecg.training.stage import Stage
from anyecg.types import AnyECGError, ECGSample

TOGETHER = 1024  # reports embedded between two writes


@dataclass
class PairBatch:
    """ECGs and their reports: signal `[N, 12, 1000]`, lead_mask `[N, 12]`, text `[N, d_text]`, report int64 `[N]`;
    ids: N strings.

    Two pairs with the same `report` say the same, so each counts as the other's match.
    """

    signal: Tensor
    lead_mask: Tensor
    text: Tensor
    report: Tensor
    ids: tuple[str, ...]

    def pin_memory(self) -> PairBatch:
        return replace(self, **{name: value.pin_memory() for name, value in vars(self).items() if name != "ids"})

    def to(self, device, non_blocking: bool = False) -> PairBatch:
        moved = {name: value.to(device, non_blocking=non_blocking) for name, value in vars(self).items() if name != "ids"}
        return replace(self, **moved)


class PairCollator:
    """Items with one ECG each become pairs; every distinct report is embedded once, before training.

    questions, rows: whose reports; folder: keeps their embeddings in a file, float32 `[reports, d_text]`, which is there
    whole or not at all; where a process was killed, the next one goes on. In memory a report is 8 bytes, a hash whose
    rank says where in the file its embedding lies. AnyECGError where the file cannot be written.
    """

    def __init__(self, questions: Sequence[ECGSample], rows: Sequence[int], text_encoder: TextEncoder, folder: Path) -> None:
        rows = np.asarray(rows)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with locked(folder):
                self.hashes, first = np.unique(_hashes(questions, rows, folder), return_index=True)
                self.dim, self.path = text_encoder.dim, folder / f"reports-{blake2b(self.hashes, digest_size=8).hexdigest()}.f32"
                if not self.path.exists():
                    self._embed(questions, rows[first], text_encoder)
        except OSError as error:
            raise AnyECGError(
                f"{folder}: the reports' embeddings could not be written ({error}). Free some disk and give the same command again: "
                "it goes on where it stopped"
            ) from error

    def _embed(self, questions: Sequence[ECGSample], rows: np.ndarray, text_encoder: TextEncoder) -> None:
        """Write the file, from where a killed process left it."""
        partial, console = self.path.with_suffix(".part"), Console(stderr=True)
        with partial.open("ab") as file:
            done = file.tell() // (4 * self.dim * TOGETHER) * TOGETHER
            file.truncate(4 * self.dim * done)
            starts = range(done, len(rows), TOGETHER)
            for start in track(starts, "embedding reports", console=console, transient=True, disable=not console.is_terminal):
                texts = [questions[int(row)].evidence[0] for row in rows[start : start + TOGETHER]]
                file.write(text_encoder.encode(texts).numpy().tobytes())
        partial.rename(self.path)

    def __call__(self, items: Sequence[Item]) -> PairBatch:
        report = np.searchsorted(self.hashes, np.array([_hash(item.sample.evidence[0]) for item in items], np.uint64))
        stored = np.memmap(self.path, np.float32, "r").reshape(-1, self.dim)  # mapped for this batch alone, so that its pages do not add up
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

    The projections and the scale live here, not in the model: they are not used after this stage.
    Negatives are the other pairs of a `micro_batch`; without one, of the whole batch, over however many devices it is spread:
    each device meets its own ECGs with the reports of all. So the loss is the same on any number of devices.
    """

    def __init__(self, model: ECGLanguageModel, cfg: StageConfig, steps: int, text_dim: int) -> None:
        super().__init__(model, cfg, steps)
        self.ecg_head = nn.Linear(model.encoder.dim, text_dim)
        self.text_head = nn.Linear(text_dim, text_dim)
        self.scale = nn.Parameter(torch.tensor(10.0).log())
        self.bias = nn.Parameter(torch.tensor(-10.0))

    def loss(self, batch: PairBatch) -> Tensor:
        signal, lead_mask = drop_leads(batch.signal, batch.lead_mask, self.cfg.lead_dropout)
        ecg = self.ecg_head(self.model.encoder.pooled(self.model.encoder(signal, lead_mask)))
        text, report = batch.text, batch.report
        if self.cfg.micro_batch is None and torch.distributed.is_initialized():  # embeddings are frozen: no gradient has to travel
            text, report = (self.all_gather(value).flatten(0, 1) for value in (text, report))
        return sigmoid_loss(ecg, self.text_head(text), batch.report, self.scale.exp(), self.bias, report)


def drop_leads(signal: Tensor, lead_mask: Tensor, share: float, kept: int = 2) -> tuple[Tensor, Tensor]:
    """About `share` of the clips with all but `kept` random leads absent; signal `[N, 12, T]`, lead_mask `[N, 12]`."""
    if not share:
        return signal, lead_mask
    rank = torch.rand(lead_mask.shape, device=signal.device).argsort(1).argsort(1)
    whole = torch.rand(len(signal), 1, device=signal.device) >= share
    seen = whole | (rank < kept)
    return signal * seen[..., None], lead_mask & seen


def sigmoid_loss(ecg: Tensor, text: Tensor, report: Tensor, scale: Tensor, bias: Tensor, others: Tensor | None = None) -> Tensor:
    """SigLIP's pairwise loss over all N x M pairs, summed a row and averaged over rows; ecg `[N, d]`, text `[M, d]`.

    report `[N]`, others `[M]` (None: the same): which report each ECG and each text is of.
    """
    others = report if others is None else others
    logits = F.normalize(ecg, dim=-1) @ F.normalize(text, dim=-1).T * scale + bias
    sign = torch.where(report[:, None] == others[None, :], 1.0, -1.0)
    return -F.logsigmoid(sign * logits).sum(1).mean()
