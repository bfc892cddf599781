"""Which questions a stage visits, in what order and in which batches: a pure function of seed and length."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

from anyecg.types import ConfigError

PASS_COST = (
    256  # tokens that could be computed in the time that a pass takes beside its tokens (calls, launches), roughly
)
MOST_PASSES = 8  # a device, where nothing says how a step is cut
LOOKED_AT = 256  # steps from which the number of passes is chosen
PACKED = 4096  # tokens a pass, on average over the steps, where rows are packed and padding costs nothing


def visits(
    pools: Mapping[str, np.ndarray],
    weights: Mapping[str, float],
    samples: int,
    rng: np.random.Generator,
    fits: Callable[[np.ndarray], np.ndarray] = lambda rows: np.ones(len(rows), bool),
    why: str = "can be used",
) -> np.ndarray:
    """`samples` rows drawn from pools in proportion to their weights, every row of a pool once before any twice.

    pools: name -> row numbers; weights: name -> share (any positive scale); fits: rows -> bool, asked of no more rows
    than are drawn: another row of its pool is visited in place of one that does not fit; why: "not one of the questions
    ..." in the message of a pool in which nothing fits. Raises ConfigError for such a pool and for an empty one.
    """
    weights = {name: weight for name, weight in weights.items() if weight > 0}
    empty = [name for name in weights if len(pools.get(name, ())) == 0]
    if empty or not weights:
        have = ", ".join(f"{name} ({len(rows)})" for name, rows in sorted(pools.items()) if len(rows)) or "none"
        raise ConfigError(
            f"the mixture asks for {', '.join(empty) or 'nothing'}, the data has these pools of questions: {have}; "
            f"check stages.*.tasks and corpora"
        )
    total = sum(weights.values())
    edges = np.round(np.cumsum([0.0, *weights.values()]) / total * samples).astype(int)
    drawn = [
        _drawn(name, pools[name], count, rng, fits, why)
        for name, count in zip(weights, np.diff(edges).tolist(), strict=True)
    ]
    return rng.permutation(np.concatenate(drawn))


def _drawn(
    name: str,
    rows: np.ndarray,
    count: int,
    rng: np.random.Generator,
    fits: Callable[[np.ndarray], np.ndarray],
    why: str,
) -> np.ndarray:
    """`count` rows that fit: all of the pool in random order, then all again."""
    drawn, left = [rows[:0]], count
    while left:
        order, before = rng.permutation(rows), left
        while left and len(order):
            asked, order = order[:left], order[left:]
            drawn.append(asked[fits(asked)])
            left -= len(drawn[-1])
        if left == before:
            raise ConfigError(f"not one of the {len(rows)} questions of the pool {name} {why}")
    return np.concatenate(drawn)


def cut(lengths: np.ndarray, budget: int, ranks: int = 1) -> tuple[np.ndarray, int]:
    """Every step's samples in as few passes as a budget of padded tokens allows: (int32 `[steps, size]`, the passes of
    a step).

    lengths `[steps, size]`; the array says which pass a sample is in (`divide`); the passes are a multiple of `ranks`.
    Raises ConfigError where a sample alone has more tokens.
    """
    if lengths.max() > budget:
        raise ConfigError(
            f"stages.*.tokens: {budget} are fewer than the longest question's {lengths.max()}; allow more, or lower "
            f"input.max_seconds"
        )
    falling = -np.sort(-lengths, axis=1)
    passes = int(_filled(falling, np.full(len(falling), budget))[:, -1].max()) + 1
    passes = -(-passes // ranks) * ranks
    if passes > lengths.shape[1]:
        raise ConfigError(
            f"stages.*.tokens: {budget} need {passes} passes for the {lengths.shape[1]} samples of a step; allow more "
            f"tokens"
        )
    return divide(lengths, passes, budget), passes


def divide(lengths: np.ndarray, passes: int, bound: int | None = None) -> np.ndarray:
    """Every step's samples in so many passes, `1 <= passes <= size`: int32 `[steps, size]`, which pass a sample is in.

    lengths `[steps, size]`. In a pass, samples of like length are together, and the largest pass of a step is as small
    as it can be, so that passes, and ranks, do about the same work. Passes are numbered from the longest samples down.
    bound: padded tokens that `passes` passes are known to keep to (None: not known).
    """
    order = np.argsort(-lengths, axis=1, kind="stable")
    falling = np.take_along_axis(lengths, order, axis=1)
    size = lengths.shape[1]
    low, high = falling[:, 0].copy(), falling[:, 0] * size if bound is None else np.full(len(falling), bound)
    while (low < high).any():  # the smallest bound that `passes` passes keep to
        middle = (low + high) // 2
        enough = _filled(falling, middle)[:, -1] < passes
        low, high = np.where(enough, low, middle + 1), np.where(enough, middle, high)
    filled = _filled(falling, low)
    for step in np.flatnonzero(filled[:, -1] + 1 < passes):
        filled[step] = _halved(filled[step], falling[step], passes)
    assigned = np.empty_like(filled)
    np.put_along_axis(assigned, order, filled, axis=1)
    return assigned


def evenly(lengths: np.ndarray, micro: int) -> np.ndarray:
    """Every step's samples in passes of `micro` samples each, like lengths together, the longest first: int32
    `[steps, size]`.
    """
    return (np.argsort(np.argsort(-lengths, axis=1, kind="stable"), axis=1) // micro).astype(np.int32)


def passes_that_pay(lengths: np.ndarray, ranks: int = 1) -> int:
    """How many passes of a step, a multiple of `ranks`, cost least: padding saved against what a pass costs by itself.

    lengths `[steps, size]`, of which the first steps are looked at; size is at least `ranks`.
    """
    some = lengths[:LOOKED_AT]
    choices = range(ranks, min(some.shape[1], MOST_PASSES * ranks) + 1, ranks)
    return min(choices, key=lambda passes: padded(some, divide(some, passes)).mean() + passes * PASS_COST)


def passes_of_packed(lengths: np.ndarray, ranks: int = 1) -> int:
    """How many passes of a step, a multiple of `ranks`, where rows are packed: padding costs nothing, so as few as
    memory allows (`PACKED`). lengths as in `passes_that_pay`.
    """
    wanted = -(-int(lengths[:LOOKED_AT].sum(1).mean()) // (PACKED * ranks)) * ranks
    return min(wanted, lengths.shape[1] // ranks * ranks)


def padded(lengths: np.ndarray, assigned: np.ndarray) -> np.ndarray:
    """Tokens of each step with their padding, int64 `[steps]`; lengths and assigned `[steps, size]`, each sample's
    tokens and pass.
    """
    steps, passes = len(lengths), int(assigned.max()) + 1
    numbers = (assigned + passes * np.arange(steps)[:, None]).ravel()
    longest = np.zeros(steps * passes, np.int64)
    np.maximum.at(longest, numbers, lengths.ravel())
    return (longest * np.bincount(numbers, minlength=steps * passes)).reshape(steps, passes).sum(1)


def _filled(falling: np.ndarray, bound: np.ndarray) -> np.ndarray:
    """int32 `[steps, size]`: the pass of each sample if passes are filled in turn up to `bound` `[steps]` padded
    tokens.
    """
    found = np.zeros(falling.shape, np.int32)
    first, count, number = falling[:, 0].copy(), np.zeros(len(falling), np.int64), np.zeros(len(falling), np.int32)
    for at in range(falling.shape[1]):
        full = first * (count + 1) > bound
        first, count, number = np.where(full, falling[:, at], first), np.where(full, 1, count + 1), number + full
        found[:, at] = number
    return found


def _halved(filled: np.ndarray, falling: np.ndarray, passes: int) -> np.ndarray:
    """A step's passes with the largest halved until there are `passes`."""
    sizes = np.bincount(filled).tolist()
    while len(sizes) < passes:
        starts = np.cumsum([0, *sizes[:-1]])
        costs = [falling[start] * size if size > 1 else 0 for start, size in zip(starts, sizes)]
        largest = int(np.argmax(costs))
        sizes[largest : largest + 1] = [sizes[largest] // 2, sizes[largest] - sizes[largest] // 2]
    return np.repeat(np.arange(passes, dtype=np.int32), sizes)


class Plan:
    """Batches of rows, of one size or several: `len(plan)`, `plan[n]` int64 rows.

    rows: of every visit, batch after batch; sizes: of the batches.
    """

    def __init__(self, rows: np.ndarray, sizes: np.ndarray) -> None:
        self.rows, self.edges = rows, np.concatenate([[0], np.cumsum(sizes)])

    def __len__(self) -> int:
        return len(self.edges) - 1

    def __getitem__(self, batch: int) -> np.ndarray:
        if not 0 <= batch < len(self):
            raise IndexError(f"batch {batch} of {len(self)}")
        return self.rows[self.edges[batch] : self.edges[batch + 1]]

    def sums(self, values: np.ndarray) -> np.ndarray:
        """A value of each visit, summed over each batch."""
        return np.add.reduceat(values, self.edges[:-1])


class Turns:
    """A sampler over the batches of a plan, one slice a rank: rank r of w takes batches r, r + w, ..., from its
    `start`-th on.
    """

    def __init__(self, batches: int, rank: int = 0, world: int = 1, start: int = 0) -> None:
        self.numbers, self.start = range(rank, batches, world), start

    def __len__(self) -> int:
        return len(self.numbers)

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers[self.start :])
