"""One side of a comparison in a process of its own, so that its peak memory is its own."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]


def run(module: str, *arguments: object) -> dict:
    """`python -m MODULE ARGUMENTS`, which ends with `report`; its numbers. SystemExit with what it said where it
    fails.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    print(f"  {' '.join(command[2:])} ...", file=sys.stderr, flush=True)
    done = subprocess.run(  # noqa: PLW1510
        command, cwd=REPOSITORY, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"}
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def report(**numbers: object) -> None:
    """Print numbers for `run`, with this process's peak memory in GiB."""
    print(json.dumps({**numbers, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20}))


def machine() -> str:
    """Cores and load, for the line beside a figure."""
    return f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} over the last minute"
