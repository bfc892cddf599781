"""The anyECG dataset from the command line: `python -m anyecg.data COMMAND --help`."""

from __future__ import annotations

import argparse
import importlib
import sys
from keyword import iskeyword

from anyecg.terminal import guarded

COMMANDS = {  # name -> one line; its file is anyecg/commands/<name>.py, <name>_.py where Python keeps the word for itself
    "build": "corpora in; stores, questions, manifest and card out",
    "check": "check every question of a dataset, and every byte of its store",
    "download": "download a source from PhysioNet; says first what its licence asks for",
    "export": "write a dataset's questions as JSON, as the release has them",
    "import": "make a dataset of the questions of released JSON files",
    "show": "a page of plotted examples with their questions and answers",
    "simulate": "write a simulated source in its native layout",
    "verify": "check released JSON files against the annotations of their sources",
}


def main(arguments: list[str] | None = None) -> int:
    """Command line; returns the exit status."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parser = argparse.ArgumentParser(prog="python -m anyecg.data", description=__doc__)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    parsers = {name: commands.add_parser(name, help=line, description=line) for name, line in COMMANDS.items()}
    chosen = next((argument for argument in arguments if argument in COMMANDS), None)
    module = importlib.import_module(f"anyecg.commands.{chosen}{'_' * iskeyword(chosen)}") if chosen else None
    if module:
        parsers[chosen].description = module.__doc__
        parsers[chosen].formatter_class = argparse.RawDescriptionHelpFormatter
        module.arguments(parsers[chosen])
    options = parser.parse_args(arguments)
    return guarded(lambda: module.run(options))


if __name__ == "__main__":
    sys.exit(main())
