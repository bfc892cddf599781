"""Masked modelling of ECGs and their reports together, in the manner of M3AE and MedViLL (ECG-QA's baselines):
words from the ECG, patches from the report, and whether the two belong together.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast
from zlib import crc32

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from anyecg.config.checks import Checks
from anyecg.config.schema import StageConfig
from anyecg.data.chance import chance
from anyecg.model import ECGLanguageModel
from anyecg.objectives.masked import ClipBatch, ClipDataset, Masked, MaskedConfig, MaskedStage, collate
from anyecg.objectives.masked import masked_loss as signal_loss
from anyecg.training.job import Outlook

LONGEST = 64  # words of a report that are read
PAD, HIDDEN, FIRST = 0, 1, 2  # behind the end, a hidden word, and the first of the others
WORD = re.compile(r"[a-z]+|\d+")


@dataclass(frozen=True)
class MaskedPairsConfig(MaskedConfig):
    """Defaults: M3AE's shares. MedViLL's: signal 0, hidden as little as one patch."""

    words: float = 0.25  # share of a report's words that are hidden
    vocabulary: int = 4096  # kinds of words; two words of one hash are one
    mixing: int = 2  # transformer blocks over tokens and words together
    signal: float = 1.0  # weight of the patches' loss
    text: float = 1.0  # weight of the words' loss
    match: float = 1.0  # weight of whether report and ECG belong together

    def __post_init__(self) -> None:
        super().__post_init__()
        with Checks(self) as check:
            check.number("words", above=0, below=1)
            check.number("vocabulary", "mixing", least=1)
            check.number("signal", "text", "match", least=0)


class MaskedPairs(Masked):
    """Hidden words from the ECG, hidden patches from the report, and whether the two belong together (M3AE, MedViLL).

    The encoder learns; words, the transformer over both and the decoder are the stage's heads.
    """

    Config = MaskedPairsConfig

    @classmethod
    def problems(cls, cfg: Any, stage: StageConfig) -> Iterator[tuple[str, str]]:
        yield from super().problems(cfg, stage)
        if not (cfg.signal or cfg.text or cfg.match):
            yield "objective", "signal, text and match are all 0; give one of them a weight"

    def notes(self, outlook: Outlook) -> Iterable[str]:
        yield (
            "A stage of masked pairs reads one clip and its report a sample; what reads words, mixes and decodes is "
            "told as its heads and is not used after it."
        )

    def _stage(self, model: ECGLanguageModel, cfg: StageConfig, steps: int) -> MaskedPairsStage:
        return MaskedPairsStage(model, cfg, steps, self.cfg)

    def _items(self) -> dict[str, Any]:
        return {"dataset": PairDataset, "collator": Worded(self.cfg.vocabulary)}

    def _example(self, outlook: Outlook, count: int = 2) -> WordedBatch:
        """Of two: the report of one may stand beside the other."""
        plain = super()._example(outlook, count)
        words = torch.full((count, LONGEST), FIRST, device=plain.clips.device)
        return WordedBatch(plain.clips, plain.lead_mask, plain.ids, words)


@dataclass
class WordedBatch(ClipBatch):
    """Clips with their reports: words int64 `[N, W]`, `PAD` behind the end."""

    words: Tensor


class PairDataset(ClipDataset):
    """As `ClipDataset`, with the report of the ECG that was drawn ("" where it has none)."""

    def __getitem__(self, visit: int) -> tuple[np.ndarray, np.ndarray, str, str]:  # type: ignore[override]
        sample = self.questions[int(self.rows[visit])]
        place = sample.records.index(chance(self.seed, "clip", visit).choice(sample.records))  # as drawn there
        report = sample.evidence[place] if place < len(sample.evidence) else ""
        return *super().__getitem__(visit), report


@dataclass(frozen=True)
class Worded:
    """Items of `PairDataset` as a batch. vocabulary: kinds of words."""

    vocabulary: int

    def __call__(self, items: Sequence[tuple[np.ndarray, np.ndarray, str, str]]) -> WordedBatch:
        plain = collate([item[:3] for item in items])
        rows = [self.ids(item[3]) for item in items]
        longest = max(1, *map(len, rows))
        words = torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])
        return WordedBatch(plain.clips, plain.lead_mask, plain.ids, words)

    def ids(self, report: str) -> list[int]:
        """The kinds of a report's first words."""
        words = WORD.findall(report.lower())[:LONGEST]
        return [FIRST + crc32(word.encode()) % self.vocabulary for word in words]


class MaskedPairsStage(MaskedStage):
    """The tokens of an ECG's visible patches and the words of its report, some hidden, mix in a transformer; from what
    comes out of it the decoder completes the patches, one layer the words, and another says whether they belong
    together.

    A half of the ECGs stand beside another's report, of a batch of two or more; these teach the last question only.
    """

    def __init__(self, model: ECGLanguageModel, cfg: StageConfig, steps: int, settings: MaskedPairsConfig) -> None:
        super().__init__(model, cfg, steps, settings)
        width, self.settings = settings.width, settings
        self.words = nn.Embedding(FIRST + settings.vocabulary, width, padding_idx=PAD)
        self.place = nn.Parameter(0.02 * torch.randn(LONGEST, width))
        dim = cast(Any, model.encoder).dim
        self.into, self.back = nn.Linear(dim, width), nn.Linear(width, dim)
        layer = nn.TransformerEncoderLayer(
            width, settings.heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.mix = nn.TransformerEncoder(layer, settings.mixing, nn.LayerNorm(width), enable_nested_tensor=False)
        self.word = nn.Linear(width, FIRST + settings.vocabulary)
        self.belong = nn.Linear(width, 1)

    def loss(self, batch: WordedBatch) -> Tensor:  # type: ignore[override]
        encoder, cfg = cast(Any, self.model).encoder, self.settings
        noise = torch.rand(len(batch.clips), encoder.patches, device=batch.clips.device)
        seen = noise.argsort(1)[:, : self.shown].sort(1).values
        words, alike = self.paired(batch.words)
        hidden = (torch.rand(words.shape, device=words.device) < cfg.words) & (words != PAD)
        tokens = encoder.encode_seen(batch.clips, batch.lead_mask, seen)
        ecg, text, whole = self.mixed(tokens, words.masked_fill(hidden, HIDDEN))
        own = alike & (words != PAD).any(1)  # whose report is its own
        parts = []
        if cfg.signal:
            present = self.present(batch.lead_mask) & alike[:, None]
            parts.append(cfg.signal * signal_loss(self.completed(ecg, seen), self.targets(batch.clips), seen, present))
        if cfg.text:
            asked = hidden & own[:, None]
            lost = F.cross_entropy(self.word(text).float().flatten(0, 1), words.flatten(), reduction="none")
            parts.append(cfg.text * (lost * asked.flatten()).sum() / asked.sum().clamp(min=1))
        if cfg.match:
            belong = self.belong(whole)[:, 0].float()
            parts.append(cfg.match * F.binary_cross_entropy_with_logits(belong, alike.float()))
        return torch.stack(parts).sum()

    def paired(self, words: Tensor) -> tuple[Tensor, Tensor]:
        """Reports, those of a half exchanged for their neighbours', and whether each says what the ECG's own does:
        int64 `[N, W]`, bool `[N]`.
        """
        other = words.roll(1, 0)
        exchanged = torch.rand(len(words), device=words.device) < 0.5
        if len(words) < 2 or not self.settings.match:
            exchanged = torch.zeros_like(exchanged)
        given = torch.where(exchanged[:, None], other, words)
        return given, (given == words).all(1)

    def mixed(self, tokens: Tensor, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """ECG tokens `[N, K, dim]` and words int64 `[N, W]` -> the tokens with what the words add, `[N, K, dim]`, the
        words' states `[N, W, width]`, and the mean of the tokens' states `[N, width]`.
        """
        ecg = self.into(tokens)
        text = self.words(words) + self.place[: words.shape[1]]
        padded = torch.cat([torch.zeros_like(tokens[..., 0], dtype=torch.bool), words == PAD], dim=1)
        x = self.mix(torch.cat([ecg, text.to(ecg.dtype)], dim=1), src_key_padding_mask=padded)
        states, text = x[:, : tokens.shape[1]], x[:, tokens.shape[1] :]
        return tokens + self.back(states), text, states.mean(1)
