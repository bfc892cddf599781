"""What a build took: its time, its disk, and the memory of its processes at their most."""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from anyecg.files import atomic_write

MEASURED = "measured.json"
EVERY = 0.2  # s between two looks at the worker processes


class Watch:
    """Watches a build within it; `keep` leaves what it took in its folder's measured.json, for `stats --project`.

    Only a build from nothing is kept: one that goes on where another stopped took a part of the time, not the whole.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.whole, self.began = folder, not (folder / "stores").exists(), time.monotonic()
        self._peaks: dict[int, int] = {}
        self._over = threading.Event()
        self._eye = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Watch:
        self._eye.start()
        return self

    def __exit__(self, *exception) -> None:
        self._over.set()
        self._eye.join()

    def keep(self, records: int, workers: int) -> None:
        """Write measured.json of a build that is at its end."""
        if not self.whole:
            return
        measured = {
            "records": records,
            "seconds": round(time.monotonic() - self.began, 1),
            "workers": workers,
            "bytes": size(self.folder),
            "peak_bytes": _peak(os.getpid()),
            "peak_bytes_worker": max(self._peaks.values(), default=0),
        }
        with atomic_write(self.folder / MEASURED) as part:
            part.write_text(json.dumps(measured, indent=1))

    def _look(self) -> None:
        while not self._over.wait(EVERY):
            for process in _descendants(os.getpid()):
                self._peaks[process] = max(self._peaks.get(process, 0), _peak(process))


def size(folder: Path) -> int:
    """Bytes of a dataset's stores and questions (not of simulated corpora, which a real source does not need)."""
    files = [*(folder / "stores").rglob("*"), *folder.glob("questions.*")]
    return sum(file.stat().st_size for file in files if file.is_file() and file.name != ".lock")


def _descendants(process: int) -> Iterator[int]:
    """Every process that a process has started, and theirs."""
    try:
        children = [
            int(child)
            for task in Path(f"/proc/{process}/task").iterdir()
            for child in (task / "children").read_text().split()
        ]
    except OSError:  # it ended while we looked
        return
    for child in children:
        yield child
        yield from _descendants(child)


def _peak(process: int) -> int:
    """Bytes of memory a process held at its most; the kernel's own count (rusage would count its parent's before
    exec, too).
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
