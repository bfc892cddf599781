"""What a simulator of one source's layout is: patients written in parallel, a set that is complete or not there."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from abc import ABC, abstractmethod
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import ClassVar

from anyecg.files import SIMULATED
from anyecg.progress_bar import progress_bar
from anyecg.types import DataError

CHUNK = 8  # patients a task
WORTH = 200  # patients for which one more process repays its start


class Simulator(ABC):
    """Writes a simulated data set in one source's native layout, which the source's real reader reads.

    name: the layout's, as a corpus says it (`Corpus.layout`); version: raised where the same arguments give other
    files.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 2

    @abstractmethod
    def records(self, seed: int, index: int) -> int:
        """How many records the patient `index` has."""

    @abstractmethod
    def write(self, root: Path, seed: int, index: int, first: int, seconds: float | None) -> list[dict]:
        """Write the records of the patient `index`, the first of which is the set's number `first`; returns rows for
        `finish`.
        """

    @abstractmethod
    def finish(self, root: Path, rows: list[dict]) -> None:
        """Write the tables of the whole set from every patient's rows."""

    def simulate(
        self,
        root: Path | str,
        *,
        patients: int,
        seed: int = 0,
        seconds: float | None = None,
        workers: int = 0,
        progress: bool = True,
    ) -> None:
        """Write the set at `root`, complete or not at all; if it is already there, nothing is done.

        The same arguments give the same files whatever the number of workers.

        Args:
            root: the folder to make.
            patients: how many patients; the 12-lead layouts have one or more records a patient.
            seed: of everything random.
            seconds: length of a record; None for the source's own 10 s (6 to 60 s in CPSC2018), or 180 s in the
            annotated long layouts.
            workers: processes; 0 for one a core where the set is large enough to repay their start.
            progress: show a bar.

        Raises:
            DataError: for no patients, or when something else is at `root`.
        """
        if patients < 1:
            raise DataError(f"patients must be at least 1, not {patients}")
        root = Path(root)
        mark = {"layout": self.name, "patients": patients, "seed": seed, "seconds": seconds, "version": self.version}
        if _present(root, mark):
            return
        part = root.with_name(f".{root.name}.part-{os.getpid()}")
        part.mkdir(parents=True)
        try:
            self.finish(part, _write(self, part, patients, seed, seconds, workers, progress))
            (part / SIMULATED).write_text(json.dumps(mark, indent=2) + "\n")
            if root.exists() and not _present(root, mark):
                root.rmdir()
            if not root.exists():
                part.rename(root)
        finally:
            shutil.rmtree(part, ignore_errors=True)


def _present(root: Path, mark: dict) -> bool:
    """Whether this very set is at `root`; an empty folder counts as nothing."""
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return False
    found = json.loads((root / SIMULATED).read_text()) if (root / SIMULATED).is_file() else None
    if found == mark:
        return True
    what = f"another simulated set ({found})" if found else "something that anyecg did not simulate"
    raise DataError(f"{root} holds {what}; delete it, or choose another folder for {mark}")


def _write(
    simulator: Simulator, root: Path, patients: int, seed: int, seconds: float | None, workers: int, progress: bool
) -> list[dict]:
    firsts = list(accumulate((simulator.records(seed, index) for index in range(patients)), initial=0))
    tasks = [
        (simulator, root, seed, seconds, [(i, firsts[i]) for i in range(at, min(at + CHUNK, patients))])
        for at in range(0, patients, CHUNK)
    ]
    workers = min(workers or min(len(os.sched_getaffinity(0)), 1 + patients // WORTH), len(tasks))
    rows: list[dict] = []
    with progress_bar(progress) as bar:
        shown = bar.add_task(f"simulating {simulator.name}", total=patients)

        def gather(results) -> None:
            for task, found in zip(tasks, results):
                rows.extend(found)
                bar.advance(shown, len(task[4]))

        if workers == 1:
            gather(map(_patients, tasks))
        else:
            with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
                gather(pool.map(_patients, tasks))
    return rows


def _patients(task: tuple[Simulator, Path, int, float | None, list[tuple[int, int]]]) -> list[dict]:
    simulator, root, seed, seconds, numbered = task
    return [row for index, first in numbered for row in simulator.write(root, seed, index, first, seconds)]
