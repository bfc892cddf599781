"""The training of two checkouts, a few optimizer steps of one and as many of the other in turn, in one run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.side import REPOSITORY, machine
from benchmarks.timed_run import MARK

EXPERIMENT = "experiments/anyecg_chat.yaml"
STAGES = ("language", "contrastive", "stage1", "stage2", "stage3")  # of EXPERIMENT at scale=cpu, in order
PATIENTS = {"mimic": 150, "ptbxl": 150, "mit_bih_arrhythmia": 60, "mit_bih_st": 60, "european_st_t": 60}
WARM = 1  # stops at the beginning of a stage that are not counted: kernels are made, the first batches are drawn
DRAWS = 2000  # of the bootstrap


class Side:
    """One checkout's training as a process that does nothing but what it is let to."""

    def __init__(self, folder: Path, cache: Path, overrides: Sequence[str]) -> None:
        shutil.rmtree(cache / "stages", ignore_errors=True)  # they would be reused
        cache.mkdir(parents=True, exist_ok=True)
        self.log, self.peak = cache / "log.txt", 0.0
        own = [f"cache={cache}", f"output={cache / 'runs'}", *overrides]
        timed = str(REPOSITORY / "benchmarks" / "timed_run.py")
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, timed, STAGES[-1], EXPERIMENT, *own],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONPATH": str(folder), "HF_HUB_OFFLINE": "1"},
            )

    def event(self) -> dict:
        """What it did until its next stop. SystemExit with its last words where it failed."""
        for line in self.process.stdout:
            if line.startswith(MARK):
                return json.loads(line.removeprefix(MARK))
        raise SystemExit(f"training failed:\n{self.log.read_text()[-3000:]}")

    def go(self) -> dict:
        """Let it go on to its next stop."""
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return self.event()


def compare(other: Path, steps: int, cache: Path | None = None, overrides: Sequence[str] = ()) -> dict[str, dict]:
    """Stage -> `ratio` and what it is of; prints it. other: the checkout that this one is held against."""
    with tempfile.TemporaryDirectory() as scratch:
        cache = (cache or Path(scratch)).resolve()
        here = [f"stages.{stage}.validate.questions=0" for stage in STAGES]  # a key that the other may not have
        shared = [f"stages.{stage}.samples={16 * steps}" for stage in STAGES]
        shared += [f"corpora.{corpus}.patients={count}" for corpus, count in PATIENTS.items()]
        print(f"training step, {EXPERIMENT} at scale=cpu: {REPOSITORY} against {other}; {machine()}", flush=True)
        # one builds its data, then the other
        sides, first = [], []
        for folder, name, own in ((REPOSITORY, "this", here), (other.resolve(), "other", [])):
            sides.append(Side(folder, cache / name, [*shared, *overrides, *own]))
            first.append(sides[-1].event())
        found: dict[str, dict] = {stage: {"passes": [], "turns": ([], [])} for stage in STAGES}
        events, turn = first, 0
        while all("stage" in event for event in events):
            for number, event in enumerate(events):
                row = found[event["stage"]]
                row["turns"][number].append(event) if "wall" in event else row["passes"].append(event["passes"])
            order = (0, 1) if turn % 2 else (1, 0)
            done = {number: sides[number].go() for number in order}
            events, turn = [done[0], done[1]], turn + 1
    summed = {stage: summary(row["turns"], row["passes"]) for stage, row in found.items()}
    report(summed)
    print(f"  peak memory {events[0]['peak']:.2f} GiB against {events[1]['peak']:.2f} GiB")
    return summed


def summary(turns: tuple[list[dict], list[dict]], passes: Sequence[int]) -> dict:
    """Samples a second of both sides by the wall and by the processor, and the ratio with its 95 % interval over
    pairs of turns.
    """
    ours, theirs = (turn[WARM:] for turn in turns)
    found: dict = {"passes": tuple(passes)}
    for clock in ("wall", "processor"):
        a, b = (np.array([event[clock] / event["samples"] for event in side]) for side in (ours, theirs))
        drawn = np.random.default_rng(0).integers(0, len(a), (DRAWS, len(a)))
        interval = np.percentile(b[drawn].sum(1) / a[drawn].sum(1), [2.5, 97.5])
        found[clock] = {"rates": (1 / a.mean(), 1 / b.mean()), "ratio": b.sum() / a.sum(), "interval": interval}
    return found


def report(summed: Mapping[str, dict]) -> None:
    """A line a stage."""
    print(f"  {'':12} {'passes':>8}   samples a processor second     ratio              samples/s     ratio")
    for stage, row in summed.items():
        processor, wall = row["processor"], row["wall"]
        print(
            f"  {stage:12} {'{} / {}'.format(*row['passes']):>8}   "
            f"{processor['rates'][0]:10.1f} / {processor['rates'][1]:6.1f}   {processor['ratio']:8.2f} "
            f"[{processor['interval'][0]:.2f}, {processor['interval'][1]:.2f}]   "
            f"{wall['rates'][0]:6.1f} / {wall['rates'][1]:6.1f} {wall['ratio']:6.2f}"
        )
