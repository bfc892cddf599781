"""Check released files (JSON) against the annotations of their sources.

Each localization answer is derived again from the .atr files under --root and compared. Times that differ by 0.1 s or
less count as agreeing and are counted apart. Every ECG path of a data set with a --root must exist, whatever the task.
Rows are counted from 1. Exit status: 0 if all agree and nothing is missing, 1 if not, or if
nothing could be checked, 2 for a file that cannot be read.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console
from rich.progress import track

from anyecg.cli.terminal import roots
from anyecg.data.corpora import corpora
from anyecg.tasks.release.rows import read_rows
from anyecg.tasks.release.verification import Verification, Verifier
from anyecg.types import ConfigError, DataError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="a released JSON file")
    parser.add_argument(
        "--root",
        action="append",
        required=True,
        metavar="NAME=DIR",
        help=f"the folder of a source, as downloaded; once for each. NAME: {', '.join(sorted(corpora.table()))}",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of text")


def run(options: argparse.Namespace) -> int:
    folders = checked(roots(options.root))
    files = {str(path): list(read_rows(path)) for path in options.files}
    verifier = Verifier(folders)
    rows = [(file, number, row) for file, rows in files.items() for number, row in enumerate(rows, 1)]
    console = Console(stderr=True)
    for file, number, row in track(rows, "verify", console=console, transient=True, disable=not console.is_terminal):
        verifier.check(file, number, row)
    found = verifier.result
    print(json.dumps(found.as_json(), ensure_ascii=False, indent=1) if options.json else told(found, folders))
    return 0 if found.sound and found.checked else 1


def checked(folders: dict[str, Path]) -> dict[str, Path]:
    """The roots, "~" expanded; ConfigError for a name that is no source's, DataError for a folder that is not there."""
    known = sorted(corpora.table())
    folders = {name: folder.expanduser() for name, folder in folders.items()}
    for name, folder in folders.items():
        if name not in known:
            raise ConfigError(f"--root {name}={folder}: no source is called '{name}' (known: {', '.join(known)})")
        if not folder.is_dir():
            raise DataError(
                f"--root {name}={folder}: there is no folder {folder}; give the folder of the source as downloaded"
            )
    return folders


def told(found: Verification, folders: dict[str, Path]) -> str:
    """What was found, as text: the count first, then one line for each thing that is wrong, then what was not
    checked.
    """
    lines = [f"agree {found.agree} of {found.checked}"]
    if not found.checked:
        lines.append(
            f"nothing could be checked: no localization row is about a source with beat annotations under a --root "
            f"({', '.join(folders)})"
        )
    if found.rounding:
        lines.append(f"{found.rounding} of them only within 0.1 s, from rounding")
    if found.disagreements:
        lines.append(f"disagree ({len(found.disagreements)}):")
    for one in found.disagreements:
        lines.append(
            f"  {one.file} row {one.row}: {one.dataset} {one.record}, samples {one.start}-{one.end}, {one.name}: "
            f"file says {one.said!r}, annotations say {one.annotated!r}"
        )
    if found.malformed:
        lines.append(f"malformed rows ({len(found.malformed)}):")
        lines += [f"  {file} row {row}: {why}" for file, row, why in found.malformed]
    if found.unreadable:
        lines.append(f"records that cannot be read ({len(found.unreadable)}):")
        lines += [f"  {why}" for why in found.unreadable]
    if found.missing:
        lines.append(f"ECG paths that do not exist ({sum(map(len, found.missing.values()))}):")
        for corpus, absent in found.missing.items():
            lines += [f"  {path} ({corpus}, under {folders[corpus]}; rows: {count})" for path, count in absent.items()]
    lines += [f"not checked: {count} rows, {why}" for why, count in sorted(found.unchecked.items())]
    return "\n".join(lines)
