"""Write a simulated data set in the native layout of its source, for readers and tests without the real one."""

from __future__ import annotations

import argparse
import math

from anyecg.cli.terminal import place, whole
from anyecg.simulate import simulate, simulators
from anyecg.types import DataError

SHORTEST, LONGEST = 1.0, 86_400.0  # s of a simulated record: a beat or two, a day


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("layout", choices=list(simulators.table()), help="the source whose native layout is written")
    parser.add_argument("root", type=place, help="the folder to make")
    parser.add_argument("--patients", type=whole(1), default=100, help="how many patients (default 100)")
    parser.add_argument("--seed", type=whole(0), default=0, help="of everything random (default 0)")
    parser.add_argument(
        "--seconds",
        type=length,
        default=None,
        help="length of a record (default 10; 6 to 60 in cpsc2018; 180 in the annotated long layouts)",
    )
    parser.add_argument("--workers", type=whole(0), default=0, help="processes (default 0: one a core for large sets)")


def length(text: str) -> float:
    """Seconds of a record, as an argument of the command says them."""
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not SHORTEST <= seconds <= LONGEST:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no length of a record; give {SHORTEST:g} to {LONGEST:,.0f} seconds"
        )
    return seconds


def run(options: argparse.Namespace) -> None:
    try:
        simulate(
            options.layout,
            options.root,
            patients=options.patients,
            seed=options.seed,
            seconds=options.seconds,
            workers=options.workers,
        )
    except (FileExistsError, ValueError) as error:
        raise DataError(str(error)) from error
    except (NotADirectoryError, PermissionError) as error:
        raise DataError(f"{options.root} cannot be made a folder ({error.strerror}); choose another") from error
    print(f"{options.layout}: {options.patients} patients in {options.root}")
