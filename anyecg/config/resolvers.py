"""What `${...}` can compute in an experiment file. What is no number counts as 0 here: it is reported where it
stands.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from omegaconf import OmegaConf


def add(*values: Any) -> int | float:
    """`${add:${a},${b}}`: the sum."""
    return sum(map(_number, values))


def mixture(*stages: str, _root_: Any) -> dict[str, float]:
    """`${mixture:stage1,stage2}`: pool of questions -> its share of the visits that these stages make together, replay
    included.

    The factor `replay` beside the stages does not enter: a stage that mixes everything at once replays nothing.
    """
    shares: dict[str, float] = {}
    for name in stages:
        stage = _mapping(_mapping(_root_.get("stages")).get(name))
        weights = {
            pool: _number(weight) for part in ("tasks", "replay") for pool, weight in _mapping(stage.get(part)).items()
        }
        for pool, weight in weights.items():
            shares[pool] = shares.get(pool, 0.0) + _number(stage.get("samples")) * weight / (sum(weights.values()) or 1)
    return {pool: round(share / (sum(shares.values()) or 1), 6) for pool, share in shares.items()}


def _number(value: Any) -> float:
    return value if isinstance(value, (int, float)) else 0


def _mapping(value: Any) -> Mapping:
    return value if isinstance(value, Mapping) else {}


def register() -> None:
    """Make them known to OmegaConf."""
    OmegaConf.register_resolver("add", add, replace=True)
    OmegaConf.register_resolver("mixture", mixture, replace=True)
