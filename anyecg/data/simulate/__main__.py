"""`python -m anyecg.data.simulate LAYOUT ROOT`: write a simulated data set."""

from __future__ import annotations

import argparse
from pathlib import Path

from anyecg.data.simulate import LAYOUTS, simulate


def main() -> None:
    """Parse the command line and write the set."""
    parser = argparse.ArgumentParser(prog="python -m anyecg.data.simulate", description=__doc__)
    parser.add_argument("layout", choices=list(LAYOUTS), help="the source whose native layout is written")
    parser.add_argument("root", type=Path, help="the folder to make")
    parser.add_argument("--patients", type=int, default=100, help="how many patients (default 100)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (default 0)")
    parser.add_argument("--seconds", type=float, default=None,
                        help="length of a record (default 10, or 180 in the annotated long layouts)")
    parser.add_argument("--workers", type=int, default=0, help="processes (default 0: one a core for large sets)")
    args = parser.parse_args()
    try:
        simulate(args.layout, args.root, patients=args.patients, seed=args.seed, seconds=args.seconds,
                 workers=args.workers)
    except (FileExistsError, ValueError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
