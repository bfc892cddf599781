"""How many tokens each question takes and how many of them are learned: counted once, kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader, Dataset

from anyecg.data.store.shards import locked
from anyecg.files import atomic_write

UNKNOWN = -1  # of a question that no one has asked for
TOGETHER = 512  # questions a worker counts at a time
KEPT_EVERY = 100_000  # questions counted between two writes of the file


class Lengths:
    """`lengths(rows)`: int32 `[n, 2]`, tokens and learned tokens of these rows; what is not known yet is counted.

    count: a row -> (tokens, learned tokens); rows: of the question file; path: a file `[rows, 2]` that keeps them
    (None: not kept), named after everything they depend on; workers: processes that count. The first of several
    processes counts, the others wait and read; where one was killed, the next goes on.
    """

    def __init__(
        self, count: Callable[[int], tuple[int, int]], rows: int, path: Path | None = None, workers: int = 0
    ) -> None:
        self.count, self.path, self.workers = count, path, workers
        self.known = np.full((rows, 2), UNKNOWN, np.int32)
        self._read()

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        if self._missing(rows).size:
            if self.path:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            with locked(self.path.parent) if self.path else nullcontext():
                self._read()
                self._fill(self._missing(rows))
        return self.known[rows]

    def _missing(self, rows: np.ndarray) -> np.ndarray:
        return np.unique(rows[self.known[rows, 0] == UNKNOWN])

    def _fill(self, rows: np.ndarray) -> None:
        workers = min(self.workers, len(rows) // (8 * TOGETHER))  # a process is not worth starting for less
        own = torch.Generator()  # so that counting or not leaves training's random numbers as they are
        loader = DataLoader(
            _Counted(self.count, rows), batch_size=TOGETHER, num_workers=workers, collate_fn=np.array, generator=own
        )
        console, done, written = Console(stderr=True), 0, 0
        for counted in track(
            loader, "lengths of questions", console=console, transient=True, disable=not console.is_terminal
        ):
            self.known[rows[done : done + len(counted)]] = counted
            done += len(counted)
            if done - written >= KEPT_EVERY:
                self._write()
                written = done
        if done > written:
            self._write()

    def _read(self) -> None:
        if self.path and self.path.exists():
            kept = np.fromfile(self.path, np.int32)
            if kept.size == self.known.size:
                self.known = kept.reshape(self.known.shape)

    def _write(self) -> None:
        if self.path:
            with atomic_write(self.path) as part:
                part.write_bytes(self.known.tobytes())


class _Counted(Dataset):
    """Rows as a loader's workers count them."""

    def __init__(self, count: Callable[[int], tuple[int, int]], rows: np.ndarray) -> None:
        self.count, self.rows = count, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[int, int]:
        return self.count(int(self.rows[index]))
