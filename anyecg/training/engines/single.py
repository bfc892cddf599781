"""One process on one device."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from anyecg.config.schema import TrainerConfig
from anyecg.training.engines.base import Engine


class Single(Engine):
    """One process on one device."""

    @classmethod
    def problems(cls, cfg: Any, trainer: TrainerConfig) -> Iterator[tuple[str, str]]:
        yield from super().problems(cfg, trainer)
        if trainer.processes > 1:
            yield "strategy", f"single runs on one device, not {trainer.processes}; choose ddp or deepspeed"
