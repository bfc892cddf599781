"""`python -m anyecg convert OLD.pth NEW.safetensors`: the tensors of a file that holds other things too."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from anyecg.cli.terminal import guarded
from anyecg.types import CheckpointError


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m anyecg convert",
        description="Take the tensors out of a checkpoint that torch.load refuses to read as tensors alone. Nothing of "
        "the file is run, and whatever is no tensor is left out. Whether its weights are what they are said to be, no "
        "program can tell: take files from their authors only.",
    )
    parser.add_argument("source", type=Path, help="the .pth, .pt or .bin")
    parser.add_argument("target", type=Path, help="the .safetensors to write")
    options = parser.parse_args(arguments)

    def command() -> None:
        from anyecg.checkpoints.convert import convert  # torch: not for --help

        if options.target.suffix != ".safetensors":
            raise CheckpointError(f"{options.target}: give a name that ends in .safetensors")
        tensors = convert(options.source, options.target)
        print(f"{options.target}: {len(tensors)} tensors, {sum(t.numel() for t in tensors.values()):,} numbers")

    return guarded(command)
