"""Which questions a stage visits, in what order and in which batches: a pure function of seed and length."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from anyecg.types import ConfigError

POOLED_BATCHES = 32  # batches sorted by length together


def visits(pools: Mapping[str, np.ndarray], weights: Mapping[str, float], samples: int, rng: np.random.Generator) -> np.ndarray:
    """`samples` rows drawn from pools in proportion to their weights, every row of a pool once before any twice.

    pools: name -> row numbers; weights: name -> share (any positive scale). Raises ConfigError for an empty pool.
    """
    weights = {name: weight for name, weight in weights.items() if weight > 0}
    empty = [name for name in weights if len(pools.get(name, ())) == 0]
    if empty or not weights:
        have = ", ".join(f"{name} ({len(rows)})" for name, rows in sorted(pools.items())) or "none"
        raise ConfigError(f"the mixture asks for {', '.join(empty) or 'nothing'}, the data has these pools of questions: {have}; check stages.*.tasks and corpora")
    total = sum(weights.values())
    edges = np.round(np.cumsum([0.0, *weights.values()]) / total * samples).astype(int)
    drawn = []
    for name, count in zip(weights, np.diff(edges), strict=True):
        rows = np.asarray(pools[name])
        rounds = -(-int(count) // len(rows))
        drawn.append(np.concatenate([rng.permutation(rows) for _ in range(rounds)] or [rows[:0]])[:count])
    order = np.concatenate(drawn)
    return rng.permutation(order)


def batches(lengths: Sequence[int], size: int, rng: np.random.Generator) -> list[list[int]]:
    """Positions 0..n-1 grouped into batches of `size` of like length, in random order; n is a multiple of `size`."""
    lengths = np.asarray(lengths)
    groups = []
    for start in range(0, len(lengths), size * POOLED_BATCHES):
        block = np.arange(start, min(start + size * POOLED_BATCHES, len(lengths)))
        block = block[np.argsort(lengths[block], kind="stable")]
        groups.append([block[i : i + size].tolist() for i in range(0, len(block), size)])
    return [group[i] for group in groups for i in rng.permutation(len(group))]


class Batches:
    """A batch sampler over a fixed list, one slice a rank: rank r of w takes batches r, r + w, ..."""

    def __init__(self, plan: Sequence[list[int]], rank: int = 0, world: int = 1) -> None:
        self.plan = plan[rank::world]

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.plan)
