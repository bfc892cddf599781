"""What passes between a stage and its objective: what the stage is trained from, what its outcome depends on, what
it costs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anyecg.config.schema import Experiment, StageConfig
from anyecg.data.dataset.data import Data
from anyecg.model import ECGLanguageModel
from anyecg.text_encoders.base import TextEncoder
from anyecg.training.flops import Forward, Shape


@dataclass(frozen=True)
class StageJob:
    """What a stage is trained from. scratch: a folder that is there while it trains, over kills too, and dropped after;
    seed: of its order;
    split: of its questions ("val": for the validation loss, with as many `cfg.samples` as one validation takes)."""

    experiment: Experiment
    cfg: StageConfig
    seed: int
    model: ECGLanguageModel
    data: Data
    text_encoder: TextEncoder | None
    scratch: Path
    split: str = "train"


@dataclass(frozen=True)
class Depends:
    """What a stage's outcome depends on beside its name, seed and data.

    parts: settings, by any name; groups: of parameters that its loss is computed with (`schema.GROUPS`); code: classes
    whose source it computes with.
    """

    parts: dict[str, Any]
    groups: frozenset[str]
    code: tuple[type, ...]


@dataclass(frozen=True)
class Outlook:
    """What `--plan` knows of a stage. model: on the meta device; forward: its FLOPs; shapes: (pool, view) -> some of
    its samples.
    """

    experiment: Experiment
    cfg: StageConfig
    model: ECGLanguageModel
    forward: Forward
    shapes: Callable[[str, str], list[Shape]]


@dataclass(frozen=True)
class Cost:
    """A sample on average: 10 s clips, tokens that the LLM reads, tokens learned, FLOPs, and FLOPs that are computed
    twice.
    """

    clips: float
    tokens: float
    answers: float
    flops: float
    recomputed: float = 0.0
