"""Files that are whole or not there, and one message where a disk takes no more."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from anyecg.types import AnyECGError


@contextlib.contextmanager
def saving(path: Path) -> Iterator[None]:
    """AnyECGError where what is written to `path` inside fails: a full disk, a quota, a folder that is not ours."""
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # torch tells a full disk as a RuntimeError with the OSError behind it
        behind = error
        while behind is not None and not isinstance(behind, OSError):
            behind = behind.__cause__ or behind.__context__
        raise AnyECGError(
            f"{path}: could not be written ({behind or error}). What was written before is untouched: "
            "free some disk and give the same command again, it goes on from the last checkpoint"
        ) from error


@contextlib.contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A name to write to, which becomes `path` once all of it is on the disk; where that fails, it is removed and AnyECGError says so."""
    part = path.with_name(path.name + ".part")
    try:
        with saving(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
    except AnyECGError:
        part.unlink(missing_ok=True)
        raise
