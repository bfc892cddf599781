"""Which questions a stage visits, in what order and in which batches: a pure function of seed and length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from anyecg.types import ConfigError

POOLED_BATCHES = 32  # batches sorted by length together


def visits(pools: Mapping[str, np.ndarray], weights: Mapping[str, float], samples: int, rng: np.random.Generator,
           fits: Callable[[np.ndarray], np.ndarray] = lambda rows: np.ones(len(rows), bool)) -> np.ndarray:
    """`samples` rows drawn from pools in proportion to their weights, every row of a pool once before any twice.

    pools: name -> row numbers; weights: name -> share (any positive scale); fits: rows -> bool, asked of no more rows than
    are drawn: another row of its pool is visited in place of one that does not fit. Raises ConfigError for a pool that
    is empty or in which nothing fits.
    """
    weights = {name: weight for name, weight in weights.items() if weight > 0}
    empty = [name for name in weights if len(pools.get(name, ())) == 0]
    if empty or not weights:
        have = ", ".join(f"{name} ({len(rows)})" for name, rows in sorted(pools.items()) if len(rows)) or "none"
        raise ConfigError(f"the mixture asks for {', '.join(empty) or 'nothing'}, the data has these pools of questions: {have}; check stages.*.tasks and corpora")
    total = sum(weights.values())
    edges = np.round(np.cumsum([0.0, *weights.values()]) / total * samples).astype(int)
    drawn = [_drawn(name, pools[name], count, rng, fits) for name, count in zip(weights, np.diff(edges).tolist(), strict=True)]
    return rng.permutation(np.concatenate(drawn))


def _drawn(name: str, rows: np.ndarray, count: int, rng: np.random.Generator, fits: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """`count` rows that fit: all of the pool in random order, then all again."""
    drawn, left = [rows[:0]], count
    while left:
        order, before = rng.permutation(rows), left
        while left and len(order):
            asked, order = order[:left], order[left:]
            drawn.append(asked[fits(asked)])
            left -= len(drawn[-1])
        if left == before:
            raise ConfigError(f"not one of the {len(rows)} questions of the pool {name} fits into the LLM's context; lower input.max_seconds or choose another LLM")
    return np.concatenate(drawn)


def batches(lengths: Sequence[int], size: int, rng: np.random.Generator) -> np.ndarray:
    """Positions 0..n-1 in batches of like length, in random order: int64 `[n / size, size]`; n is a multiple of `size`."""
    lengths = np.asarray(lengths)
    groups = []
    for start in range(0, len(lengths), size * POOLED_BATCHES):
        block = np.arange(start, min(start + size * POOLED_BATCHES, len(lengths)))
        block = block[np.argsort(lengths[block], kind="stable")].reshape(-1, size)
        groups.append(block[rng.permutation(len(block))])
    return np.concatenate(groups)


class Batches:
    """A batch sampler over a fixed plan `[batches, size]`, one slice a rank: rank r of w takes batches r, r + w, ..."""

    def __init__(self, plan: np.ndarray, rank: int = 0, world: int = 1) -> None:
        self.plan = plan[rank::world]

    def __len__(self) -> int:
        return len(self.plan)

    def __iter__(self) -> Iterator[list[int]]:
        return (batch.tolist() for batch in self.plan)
