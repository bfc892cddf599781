"""dataset.json of a dataset's folder: what was written there, and whether it still is what lies there."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from anyecg.data.store.store import digest
from anyecg.files import atomic_write
from anyecg.types import DataError

FACTS = "dataset.json"
EDITED = "is missing or not what was written (edited by hand, or damaged)"


def seal(folder: Path, known: Mapping) -> None:
    """Write the facts of a dataset, among them the checksums of its files: the last thing that its making does."""
    write(folder / FACTS, json.dumps({**known, "seal": _digest(known)}, indent=1) + "\n")


def facts(folder: Path | str) -> dict:
    """What a dataset's card says, as data; DataError where there is no finished dataset, or the facts are not those
    that were written.
    """
    path = Path(folder) / FACTS
    try:
        known = json.loads(path.read_text())
        intact = known.pop("seal") == _digest(known)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            f"{folder} is no finished dataset (it has no {FACTS}); make it with: python -m anyecg.data build --to "
            f"{folder}"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise DataError(f"{path} {EDITED}; delete it and give the command that made the dataset again")
    return known


def strayed(folder: Path, known: Mapping, under: str = "") -> list[str]:
    """The files of a dataset that are missing or not what was written."""
    checksums = {name: checksum for name, checksum in known["checksums"].items() if name.startswith(under)}
    return [
        name
        for name, checksum in checksums.items()
        if not (folder / name).exists() or sha256(folder / name) != checksum
    ]


def complaint(folder: Path, known: Mapping, name: str) -> DataError:
    """What a user is told of a file that is not what was written, and of how to mend it."""
    path = folder / name
    if "imported" in known["made_with"]:
        return DataError(f"{path} {EDITED}; delete {folder} and import it again")
    if name.startswith("stores/"):
        return DataError(
            f"{path} {EDITED}; delete {path.parent} and give the command that made the dataset again: its recordings "
            f"are read once more"
        )
    return DataError(
        f"{path} {EDITED}; give the command that made the dataset again to restore it. To ask other questions, "
        f"export, edit the JSON and import it"
    )


def write(path: Path, text: str) -> None:
    """A text file, whole or not at all."""
    with atomic_write(path) as part:
        part.write_text(text)


def sha256(path: Path) -> str:
    """Of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(known: Mapping) -> str:
    return digest([json.dumps(known, sort_keys=True)])
