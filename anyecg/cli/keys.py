"""What `anyecg keys` does: print every key of an experiment, or the settings of one component."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from anyecg.cli.terminal import guarded
from anyecg.registry import KINDS
from anyecg.types import ConfigError


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="anyecg keys",
        description="Print the keys of an experiment, or the settings of a component: anyecg keys encoder vit.",
    )
    parser.add_argument("kind", nargs="?", help=f"one of {', '.join(KINDS)}, or the beginning of a key (evaluation.)")
    parser.add_argument("name", nargs="?", help='of a component: a registered name or "module:Class"')
    parser.add_argument("--markdown", action="store_true", help="the whole reference as a Markdown page")
    options = parser.parse_args(arguments)
    return guarded(lambda: show(options))


def show(options: argparse.Namespace) -> None:
    """Print what the command line asks for."""
    from anyecg.config import reference  # imports the schema: not for --help

    if options.markdown:
        print(reference.reference(), end="")
        return
    if options.name is not None:
        if options.kind not in KINDS:
            raise ConfigError(f"no kind of component is called '{options.kind}' (known: {', '.join(KINDS)})")
        keys = reference.component_keys(options.kind, options.name)
    else:
        keys = [key for key in reference.experiment_keys() if key.path.startswith(options.kind or "")]
        if not keys:
            raise ConfigError(
                f"no key begins with '{options.kind}'; give the beginning of one, or a kind and a name: encoder vit"
            )
    table = Table("key", "default", "meaning", box=box.SIMPLE)
    for key in keys:
        table.add_row(key.path, key.default, escape(key.meaning))
    Console().print(table)
