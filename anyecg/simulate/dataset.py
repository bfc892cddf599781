"""Writes a whole simulated set in the native layout of its source, in parallel and all or nothing."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from itertools import accumulate
from pathlib import Path
from typing import Protocol

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from anyecg.simulate import cpsc2018

from anyecg.simulate import csn

from anyecg.simulate import mimic

from anyecg.simulate import ptbxl
from anyecg.simulate.holter import EUROPEAN_ST_T, MIT_BIH_ARRHYTHMIA, MIT_BIH_ST_CHANGE
from anyecg.types import DataError

VERSION = 2
MARK = "SIMULATED.json"
CHUNK = 8  # patients a task
WORTH = 200  # patients for which one more process repays its start


class Layout(Protocol):
    """What writes one source's files: a module or an object."""

    def records(self, seed: int, index: int) -> int: ...
    def write(self, root: Path, seed: int, index: int, first: int, seconds: float | None) -> list[dict]: ...
    def finish(self, root: Path, rows: list[dict]) -> None: ...


LAYOUTS: dict[str, Layout] = {
    "mimic": mimic, "ptbxl": ptbxl, "cpsc2018": cpsc2018, "csn": csn,
    "mit_bih_arrhythmia": MIT_BIH_ARRHYTHMIA, "european_st_t": EUROPEAN_ST_T, "mit_bih_st_change": MIT_BIH_ST_CHANGE,
}


def simulate(layout: str, root: Path, *, patients: int, seed: int = 0, seconds: float | None = None, workers: int = 0,
             progress: bool = True) -> None:
    """Write a simulated data set that the source's real readers read.

    The same arguments give the same files whatever the number of workers. The set appears at `root` complete or not
    at all; if it is already there, nothing is done.

    Args:
        layout: a key of `LAYOUTS`.
        root: the folder to make.
        patients: how many patients; the 12-lead layouts have one or more records a patient.
        seed: of everything random.
        seconds: length of a record; None for the source's own 10 s (6 to 60 s in CPSC2018), or 180 s in the annotated long layouts.
        workers: processes; 0 for one a core where the set is large enough to repay their start.
        progress: show a bar.

    Raises:
        DataError: for an unknown layout, or no patients, or when something else is at `root`.
    """
    if layout not in LAYOUTS:
        raise DataError(f"no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    if patients < 1:
        raise DataError(f"patients must be at least 1, not {patients}")
    root = Path(root)
    mark = {"layout": layout, "patients": patients, "seed": seed, "seconds": seconds, "version": VERSION}
    if _present(root, mark):
        return
    part = root.with_name(f".{root.name}.part-{os.getpid()}")
    part.mkdir(parents=True)
    try:
        rows = _write(layout, part, patients, seed, seconds, workers, progress)
        LAYOUTS[layout].finish(part, rows)
        (part / MARK).write_text(json.dumps(mark, indent=2) + "\n")
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
    found = json.loads((root / MARK).read_text()) if (root / MARK).is_file() else None
    if found == mark:
        return True
    what = f"another simulated set ({found})" if found else "something that anyecg did not simulate"
    raise DataError(f"{root} holds {what}; delete it, or choose another folder for {mark}")


def _write(layout: str, root: Path, patients: int, seed: int, seconds: float | None, workers: int,
           progress: bool) -> list[dict]:
    writer = LAYOUTS[layout]
    firsts = list(accumulate((writer.records(seed, index) for index in range(patients)), initial=0))
    tasks = [(layout, root, seed, seconds, [(i, firsts[i]) for i in range(at, min(at + CHUNK, patients))])
             for at in range(0, patients, CHUNK)]
    workers = min(workers or min(len(os.sched_getaffinity(0)), 1 + patients // WORTH), len(tasks))
    rows: list[dict] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not progress) as bar:
        shown = bar.add_task(f"simulating {layout}", total=patients)

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


def _patients(task: tuple[str, Path, int, float | None, list[tuple[int, int]]]) -> list[dict]:
    layout, root, seed, seconds, numbered = task
    return [row for index, first in numbered for row in LAYOUTS[layout].write(root, seed, index, first, seconds)]
