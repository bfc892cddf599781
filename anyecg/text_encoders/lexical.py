"""Hashed counts of words and word pairs: a text encoder that needs no weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from anyecg.config.checks import Checks
from anyecg.text_encoders.base import TextEncoder
from anyecg.types import ConfigError


@dataclass(frozen=True)
class LexicalConfig:
    dim: int = 512  # buckets the words and pairs are hashed into

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("dim", least=1)


class LexicalEncoder(TextEncoder):
    """Hashed words and word pairs, no weights: where no sentence encoder is at hand."""

    Config = LexicalConfig

    def __init__(self, cfg: LexicalConfig) -> None:
        super().__init__()
        try:
            from sklearn.feature_extraction.text import HashingVectorizer
        except ModuleNotFoundError as error:
            raise ConfigError("text encoder 'lexical' needs scikit-learn: pip install scikit-learn") from error
        self.dim = cfg.dim
        self.hash = HashingVectorizer(n_features=cfg.dim, ngram_range=(1, 2), norm="l2")

    @classmethod
    def outline(cls, cfg: LexicalConfig) -> int:
        return cfg.dim

    def _encode(self, texts: list[str]) -> Tensor:
        return torch.from_numpy(self.hash.transform(texts).toarray()).float()
