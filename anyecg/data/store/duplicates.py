"""Recordings of a store whose samples are the same to the bit though their ids differ: told, and loudly where splits
share them.
"""

from __future__ import annotations

import hashlib
import logging
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

log = logging.getLogger(__name__)

LISTED = "alike.csv"


def signature(leads: int, stored: np.ndarray) -> int:
    """64 bits of a recording as it is stored: its mask of leads and its int16 samples `[leads, T]`."""
    hashed = hashlib.blake2b(leads.to_bytes(2, "little"), digest_size=8)
    hashed.update(np.ascontiguousarray(stored))
    return int.from_bytes(hashed.digest(), "little")


class Alike:
    """The recordings of a store that are alike, gathered while its shards are joined.

    signatures: of the recordings of each shard, in order; 8 bytes a recording are held.
    """

    def __init__(self, signatures: Iterable[list[int]]) -> None:
        self._signatures = [np.array(shard, np.uint64) for shard in signatures]
        values, counts = np.unique(np.concatenate([*self._signatures, np.array([], np.uint64)]), return_counts=True)
        self._several, self._shard = values[counts > 1], 0
        self._found: dict[int, list[tuple[str, str]]] = defaultdict(list)

    def add(self, table: pa.Table) -> None:
        """Note those of the next shard's recordings (`id`, `split`) that others are like."""
        signatures, self._shard = self._signatures[self._shard], self._shard + 1
        for row in np.flatnonzero(np.isin(signatures, self._several)):
            self._found[int(signatures[row])].append((table["id"][row].as_py(), table["split"][row].as_py()))

    def told(self, folder: Path, corpus: str) -> dict[str, int]:
        """List them in alike.csv of a store's folder, and warn; what its summary says: nothing where there are none."""
        (folder / LISTED).unlink(missing_ok=True)
        groups = list(self._found.values())
        if not groups:
            return {}
        rows = [(number, id, split) for number, group in enumerate(groups, 1) for id, split in group]
        pd.DataFrame(rows, columns=["group", "id", "split"]).to_csv(folder / LISTED, index=False)
        across = sum(len({split for _, split in group}) > 1 for group in groups)
        log.warning(
            "corpus %s: %d recordings have the same samples as another (%s)%s",
            corpus,
            len(rows),
            folder / LISTED,
            f"; {across} such groups lie in several splits, which shows training recordings to a test: leave them out "
            f"of the source"
            if across
            else "",
        )
        return {"alike": len(rows), "alike_across_splits": across}
