"""Contrastive ECG-text pre-training: each ECG's [CLS] against the embedding of its report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyecg.experiment import StageConfig
from anyecg.data.dataset import Item
from anyecg.model import ECGLanguageModel
from anyecg.training.stage import Stage


@dataclass
class PairBatch:
    """ECGs and their reports: signal `[N, 12, 1000]`, lead_mask `[N, 12]`, text `[N, d_text]`, report int64 `[N]`.

    Two pairs with the same `report` say the same, so each counts as the other's match.
    """

    signal: Tensor
    lead_mask: Tensor
    text: Tensor
    report: Tensor

    def to(self, device, non_blocking: bool = False) -> PairBatch:
        return PairBatch(*(v.to(device, non_blocking=non_blocking) for v in vars(self).values()))


class PairCollator:
    """Items with one ECG each become pairs; every distinct report is embedded once, before training."""

    def __init__(self, reports: Sequence[str], text_encoder) -> None:
        self.number = {report: i for i, report in enumerate(dict.fromkeys(reports))}
        self.embeddings = text_encoder.encode(list(self.number))

    def __call__(self, items: Sequence[Item]) -> PairBatch:
        report = torch.tensor([self.number[item.sample.evidence[0]] for item in items])
        return PairBatch(
            signal=torch.from_numpy(np.stack([item.clips[0][0] for item in items])),
            lead_mask=torch.from_numpy(np.stack([item.lead_masks[0] for item in items])),
            text=self.embeddings[report],
            report=report,
        )


class ContrastiveStage(Stage):
    """Sigmoid loss between pooled ECGs and frozen report embeddings (the paper's ECG Encoder section).

    The projections and the scale live here, not in the model: they are not used after this stage.
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
        return sigmoid_loss(ecg, self.text_head(batch.text), batch.report, self.scale.exp(), self.bias)


def drop_leads(signal: Tensor, lead_mask: Tensor, share: float, kept: int = 2) -> tuple[Tensor, Tensor]:
    """About `share` of the clips with all but `kept` random leads absent; signal `[N, 12, T]`, lead_mask `[N, 12]`."""
    if not share:
        return signal, lead_mask
    rank = torch.rand(lead_mask.shape, device=signal.device).argsort(1).argsort(1)
    whole = torch.rand(len(signal), 1, device=signal.device) >= share
    seen = whole | (rank < kept)
    return signal * seen[..., None], lead_mask & seen


def sigmoid_loss(ecg: Tensor, text: Tensor, report: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """SigLIP's pairwise loss over all N x N pairs, summed a row and averaged over rows; ecg, text `[N, d]`."""
    logits = F.normalize(ecg, dim=-1) @ F.normalize(text, dim=-1).T * scale + bias
    sign = torch.where(report[:, None] == report[None, :], 1.0, -1.0)
    return -F.logsigmoid(sign * logits).sum(1).mean()
