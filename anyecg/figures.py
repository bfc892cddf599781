"""Figures of finished runs, as PNG and PDF, from their `metrics.json` alone: `python -m anyecg.figures RUN...`.

    python -m anyecg.figures runs/anyecg_chat                           into runs/anyecg_chat/figures
    python -m anyecg.figures runs/anyecg_chat runs/ablation_no_replay   and what each changes, compared with the first
    python -m anyecg.figures runs/anyecg_chat --to paper/figures

loss (a panel a stage), controls (every task in every view), iou (localization by subset and abnormality, leads withheld
among the views), scores (distributions over several ECGs), localization_1 ... (on the trace: truth and answer); of
several runs also differences, with paired 95 % intervals by patient.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from anyecg.cli.terminal import guarded


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m anyecg.figures", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "runs",
        nargs="+",
        type=Path,
        metavar="RUN",
        help="folder of a finished run; the others are compared with the first",
    )
    parser.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="where to (default: figures/ in each run; with several runs a folder a run there)",
    )
    options = parser.parse_args(arguments)

    def command() -> None:
        from anyecg.cli.figures import draw  # matplotlib: not for --help

        draw(options)

    return guarded(command)


if __name__ == "__main__":
    sys.exit(main())
