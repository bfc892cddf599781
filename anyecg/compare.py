"""Compare runs: `python -m anyecg.compare runs/A runs/B ...` prints what differs in them and what it did."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from anyecg.cli.terminal import guarded
from anyecg.files import atomic_write
from anyecg.types import DataError


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m anyecg.compare", description="Compare runs with the first one.")
    parser.add_argument(
        "runs", nargs="+", metavar="RUN", help="folder of a finished run; the others are compared with the first"
    )
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the tables there as well, as markdown")
    parser.add_argument(
        "--bootstrap", type=int, default=1000, metavar="N", help="resamples of patients (default: 1000)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    options = parser.parse_args(arguments)

    def command() -> None:
        from rich.console import Console

        from anyecg.evaluation.comparison import compare, read_run  # pandas and scipy: not for --help

        if len(options.runs) < 2:
            raise DataError("give at least two runs to compare")
        grids = compare([read_run(folder) for folder in options.runs], options.bootstrap, options.seed)
        if options.out:
            with atomic_write(options.out) as part:
                part.write_text("\n".join(grid.markdown() for grid in grids), encoding="utf-8")
        for grid in grids:
            Console().print(grid.rich())

    return guarded(command)


if __name__ == "__main__":
    sys.exit(main())
