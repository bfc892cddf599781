"""The anyECG dataset from the command line: `python -m anyecg.data COMMAND --help`."""

from __future__ import annotations

import argparse
import importlib
import sys
from keyword import iskeyword

from anyecg.cli.terminal import guarded

# name -> one line; its file is anyecg/cli/data/<name>.py, <name>_.py where Python keeps the word for itself
COMMANDS = {
    "build": "corpora in; stores, questions, manifest and card out",
    "check": "check every question of a dataset, and every byte of its store",
    "download": "download a source from PhysioNet; says first what its licence asks for",
    "export": "write a dataset's questions as JSON, as the release has them",
    "findings": "a picture of every finding that the simulator draws",
    "import": "make a dataset of the questions of released JSON files",
    "show": "a page of plotted examples with their questions and answers",
    "simulate": "write a simulated source in its native layout",
    "stats": "count a dataset as the paper's Table 2 does; project what many more records would take",
    "verify": "check released JSON files against the annotations of their sources",
}


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    name = arguments[0] if arguments else ""
    if name not in COMMANDS:
        overview().parse_args(arguments)  # --help, or the error that names the commands
    module = importlib.import_module(f"anyecg.cli.data.{name}{'_' * iskeyword(name)}")
    parser = argparse.ArgumentParser(
        prog=f"python -m anyecg.data {name}",
        description=module.__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.arguments(parser)
    options = parser.parse_intermixed_args(arguments[1:])
    return guarded(lambda: module.run(options))


def overview() -> argparse.ArgumentParser:
    """What knows the names of the commands, and a line about each."""
    parser = argparse.ArgumentParser(prog="python -m anyecg.data", description=__doc__)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, line in COMMANDS.items():
        commands.add_parser(name, help=line)
    return parser


if __name__ == "__main__":
    sys.exit(main())
