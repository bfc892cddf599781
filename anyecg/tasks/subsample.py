"""How many questions of a subset are taken, and which: a user's sizes make Table 2's proportions."""

from __future__ import annotations

import math
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping

from anyecg.data.chance import chance
from anyecg.types import ECGSample

BEYOND = "beyond the size asked for"
# of a subset: positive or not -> split -> class -> the rank of each question
Ranks = dict[bool, dict[str, dict[str, array]]]


def within(
    questions: Callable[[Counter], Iterable[tuple[str, ECGSample]]],
    sizes: Mapping[str, int],
    seed: int,
    dropped: Counter,
) -> Iterator[tuple[str, ECGSample]]:
    """Localization questions, of each subset in `sizes` at most so many over all splits; the others are counted in
    `dropped`.

    As many are positive as negative as far as there are; of either, each split keeps its share, and each class its
    share of the split. Which ones is a matter of the seed and their ids. questions: makes them anew, here twice, so
    that none but their ranks are held in memory.
    """
    ranks: dict[str, Ranks] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(lambda: array("d"))))
    )
    for split, sample in questions(Counter()):
        if sample.subset in sizes:
            ranks[sample.subset][_positive(sample)][split][sample.meta["symbol"]].append(_rank(seed, sample))
    last = {}  # the highest rank that is taken of each stratum
    for subset, found in ranks.items():
        for stratum, count in _taken(found, sizes[subset]).items():
            positive, split, symbol = stratum
            last[subset, *stratum] = sorted(found[positive][split][symbol])[count - 1] if count else -math.inf
    for split, sample in questions(dropped):
        if _rank(seed, sample) <= last.get((sample.subset, _positive(sample), split, sample.meta["symbol"]), math.inf):
            yield split, sample
        else:
            dropped[sample.pool, BEYOND] += 1


def _taken(found: Ranks, size: int) -> dict[tuple[bool, str, str], int]:
    """(positive, split, class) -> how many of its questions are taken."""
    there = {
        positive: sum(len(ranks) for classes in found[positive].values() for ranks in classes.values())
        for positive in (True, False)
    }
    positives = min(there[True], max(-(-size // 2), size - there[False]))
    taken = {}
    for positive, count in ((True, positives), (False, min(there[False], size - positives))):
        splits = found[positive]
        shares = apportioned(count, {split: sum(map(len, classes.values())) for split, classes in splits.items()})
        for split, share in shares.items():
            for symbol, number in apportioned(
                share, {symbol: len(ranks) for symbol, ranks in splits[split].items()}
            ).items():
                taken[positive, split, symbol] = number
    return taken


def apportioned(count: int, there: Mapping[Hashable, int]) -> dict[Hashable, int]:
    """`count` things (all, if there are no more) over groups in proportion to how many each has, by largest
    remainder.
    """
    total = sum(there.values())
    count = min(count, total)
    shares = {group: count * number // total for group, number in there.items() if total}
    left = sorted(shares, key=lambda group: -(count * there[group] % total))  # of equal remainders the first
    for group in left[: count - sum(shares.values())]:
        shares[group] += 1
    return shares


def _positive(sample: ECGSample) -> bool:
    return bool(sample.meta["intervals"])


def _rank(seed: int, sample: ECGSample) -> float:
    return chance(seed, "size", sample.id).random()
