"""Questions in batches of like length."""

from __future__ import annotations

from collections.abc import Collection, Sequence

GROUP = 4  # batches' worth of questions that are sorted by length together


def grouped(lengths: Sequence[int], ids: Sequence[str], size: int, leave_out: Collection[int] = ()) -> list[list[int]]:
    """Positions in batches of at most `size`, the longest first: those of `by_length` of each `GROUP` batches' worth
    of positions, in order.
    """
    left_out, found = set(leave_out), []
    for start in range(0, len(lengths), GROUP * size):
        places = [place for place in range(start, min(start + GROUP * size, len(lengths))) if place not in left_out]
        batches = by_length([lengths[place] for place in places], [ids[place] for place in places], size)
        found += [[places[position] for position in batch] for batch in batches]
    return sorted(found, key=lambda batch: -lengths[batch[0]])


def by_length(lengths: Sequence[int], ids: Sequence[str], size: int) -> list[list[int]]:
    """Positions in batches of like length, the longest first, so that what does not fit into memory is known at
    once; ties by id.
    """
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], ids[index]))
    return [order[start : start + size] for start in range(0, len(order), size)]
