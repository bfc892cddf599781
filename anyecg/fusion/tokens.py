"""The paper's fusion: ECG tokens stand in the text, each ECG between two markers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from anyecg.fusion.base import Fusion
from anyecg.types import ECGBatch, Places


@dataclass(frozen=True)
class TokensConfig:
    """Nothing to set: the connector says how many tokens an ECG has."""


class Tokens(Fusion):
    """ECG tokens in the text, between markers (the paper's, LLaVA's).

    An ECG is <ECG_start>, its [CLS] averaged over its clips, the patch tokens of its clips one after the other,
    <ECG_end> (the paper's Dynamic ECG Input); with another connector, what that gives in the place of these tokens.
    """

    Config = TokensConfig

    def __init__(self, cfg: TokensConfig, llm: Any, record: int, clip: int) -> None:
        super().__init__(cfg, llm, record, clip)
        llm.pack()

    @classmethod
    def places_of(cls, cfg: TokensConfig, record: int, clip: int) -> Places:
        return Places(record, clip, cls.marked)

    def embed(self, llm: Any, batch: ECGBatch, tokens: Tensor) -> Tensor:
        embeds = super().embed(llm, batch, tokens)
        if not len(batch.places):
            return embeds
        return embeds.flatten(0, 1).index_copy(0, batch.places, tokens.to(embeds.dtype)).view_as(embeds)
