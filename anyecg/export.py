"""Write a finished run as one folder that can be kept, shared and read back, in the Hugging Face convention.

    python -m anyecg.export runs/anyecg_chat --to models/anyecg_chat

The folder holds model.safetensors (encoder, connector, markers), adapter/ (LoRA, as peft has it), llm/ (the LLM, where
its weights were trained in the run; otherwise config.json names the one it goes with), config.json, and README.md: a
model card with the run's own table. In Python: anyecg.load("models/anyecg_chat").
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from anyecg.cli.terminal import guarded, quieten


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m anyecg.export", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", type=Path, metavar="RUN", help="the folder of a finished run, such as runs/anyecg_chat")
    parser.add_argument(
        "--to", type=Path, required=True, metavar="FOLDER", help="the folder to write; it appears when it is whole"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace a model that was exported there before")
    options = parser.parse_args(arguments)

    def command() -> None:
        from anyecg.checkpoints.export import CARD, export  # torch and all that needs it: not for --help

        quieten()
        export(options.run, options.to, options.overwrite)
        for path in sorted(path for path in options.to.rglob("*") if path.is_file()):
            print(f"{path.stat().st_size:>14,}  {path.relative_to(options.to)}")
        print(f"{options.to} is a model: anyecg.load({str(options.to)!r}); its card: {options.to / CARD}")

    return guarded(command)


if __name__ == "__main__":
    sys.exit(main())
