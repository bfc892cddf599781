"""`anyecg COMMAND ...`, the same as `python -m anyecg COMMAND ...`; every command has --help."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

COMMANDS = {  # name -> (module with `main`, arguments before the user's, one line): a new command is a line here
    "run": ("anyecg.run", (), "train and evaluate an experiment or a suite of them"),
    "ask": ("anyecg.cli.ask", (), "ask a model about one's own ECGs, the trace drawn with what the answer names"),
    "chat": ("anyecg.cli.chat", (), "a page to ask a model about one's own ECGs, beside their trace"),
    "compare": ("anyecg.compare", (), "compare finished runs with the first of them"),
    "convert": ("anyecg.cli.convert", (), "take the tensors out of a .pth file, running nothing of it"),
    "data": ("anyecg.data.__main__", (), "build, check, show, download and exchange datasets"),
    "export": ("anyecg.export", (), "write a finished run's model as one folder with a card"),
    "figures": ("anyecg.figures", (), "draw the figures of finished runs"),
    "human": ("anyecg.human", (), "answers for people to score, and how far they agree with the judges"),
    "keys": ("anyecg.cli.keys", (), "explain the keys of an experiment and the settings of its components"),
    "list": ("anyecg.run", ("--list",), "name every registered component"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status. Only the module of the command that is given is imported."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    name = arguments[0] if arguments else ""
    if name not in COMMANDS:
        overview().parse_args(arguments)  # --help, or the error that names the commands
    if os.getcwd() not in sys.path:  # "my_encoder:ConvEncoder" is found in the current folder, as with python -m
        sys.path.insert(0, os.getcwd())
    module, first, _ = COMMANDS[name]
    return importlib.import_module(module).main([*first, *arguments[1:]])


def overview() -> argparse.ArgumentParser:
    """A parser that knows the names of the commands, and a line about each."""
    parser = argparse.ArgumentParser(prog="anyecg", description="ECG language models: train, evaluate, compare.")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (_, _, line) in COMMANDS.items():
        commands.add_parser(name, help=line)
    return parser


if __name__ == "__main__":
    sys.exit(main())
