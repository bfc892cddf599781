"""Atomic file writes, and one error message where writing fails."""

from __future__ import annotations

import contextlib
import errno
import os
import zlib
from collections.abc import Iterator
from pathlib import Path

from safetensors import SafetensorError

from anyecg.types import AnyECGError, DiskFullError

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what the system says of a disk that takes no more

SIMULATED = "SIMULATED.json"  # in a folder of simulated recordings: how they were made


def checksum(path: Path) -> str:
    """CRC-32 of a file, to notice damage: a gigabyte takes about a second."""
    found = 0
    with path.open("rb") as file:
        while block := file.read(1 << 22):
            found = zlib.crc32(block, found)
    return f"{found:08x}"


@contextlib.contextmanager
def report_write_errors(path: Path) -> Iterator[None]:
    """Raise DiskFullError where writing to `path` inside the block fails on a full disk or quota, AnyECGError where
    for another reason.
    """
    try:
        yield
    except (
        OSError,
        RuntimeError,
        SafetensorError,
    ) as error:  # torch raises RuntimeError from the OSError of a full disk
        behind: BaseException | None = error
        while behind is not None and not isinstance(behind, OSError):
            behind = behind.__cause__ or behind.__context__
        raise (DiskFullError if behind is not None and behind.errno in FULL else AnyECGError)(
            f"{path}: could not be written ({behind or error}). What was written before is untouched: "
            "free some disk and give the same command again, it goes on from the last checkpoint"
        ) from error


@contextlib.contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary name to write to, renamed to `path` once it is synced to disk; on a failed write it is
    removed and AnyECGError is raised.
    """
    part = path.with_name(path.name + ".part")
    try:
        with report_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield part
            with part.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(part, path)
    except AnyECGError:
        part.unlink(missing_ok=True)
        raise
