"""Write a simulated data set in the native layout of its source, for readers and tests without the real one."""

from __future__ import annotations

import argparse
from pathlib import Path

from anyecg.data.simulate import LAYOUTS, simulate


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("layout", choices=list(LAYOUTS), help="the source whose native layout is written")
    parser.add_argument("root", type=Path, help="the folder to make")
    parser.add_argument("--patients", type=int, default=100, help="how many patients (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    parser.add_argument("--seconds", type=float, default=None, help="length of a record (default 10; 6 to 60 in cpsc2018; 180 in the annotated long layouts)")
    parser.add_argument("--workers", type=int, default=0, help="processes (default 0: one a core for large sets)")


def run(options: argparse.Namespace) -> None:
    simulate(options.layout, options.root, patients=options.patients, seed=options.seed, seconds=options.seconds, workers=options.workers)
    print(f"{options.layout}: {options.patients} patients in {options.root}")
