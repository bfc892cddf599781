"""PTB-XL at 100 Hz as lossless packs, a file a fold (`foldNN.npz`), read without unpacking 43,000 files."""

from __future__ import annotations

import bz2
import functools
import lzma
import zipfile
from pathlib import Path

import numpy as np

from anyecg.types import DataError

LEADS = ("I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6")  # as a pack orders them
FS = 100.0
SAMPLES = 1000
# what numpy, bz2 and lzma raise on a damaged pack
DAMAGED = (OSError, ValueError, KeyError, EOFError, lzma.LZMAError, zipfile.BadZipFile)


def pack_name(fold: int) -> str:
    """The file of a fold."""
    return f"fold{fold:02d}.npz"


@functools.lru_cache(maxsize=1)
def read_pack(path: Path) -> tuple[dict[int, int], np.ndarray]:
    """ecg_id -> row, and int16 `[records, 12, 1000]` in uV of a pack; the latest is kept (52 MB, 6 s to decode).

    A pack holds time differences of I, II and V1-V6, and of the other four leads what Einthoven's and Goldberger's
    equations leave over; each as planes of low and high bytes of the zigzag-coded numbers, under bz2 or lzma.
    DataError where it is damaged.
    """
    try:
        with np.load(path) as file:
            ids, count = file["ids"], len(file["ids"])
            independent = np.cumsum(_numbers(file, "", (count, 8, SAMPLES)), axis=2)
            rest = _numbers(file, "rest_", (count, 4, SAMPLES))
    except DAMAGED as error:
        raise DataError(f"{path}: no sound pack ({type(error).__name__}: {error}); copy it again") from error
    i, ii = independent[:, 0], independent[:, 1]
    derived = np.stack([ii - i, -((i + ii) >> 1), (2 * i - ii) >> 1, (2 * ii - i) >> 1], axis=1) + rest
    signal = np.concatenate([independent[:, :2], derived, independent[:, 2:]], axis=1).astype(np.int16)
    return {int(id): row for row, id in enumerate(ids)}, signal


def write_pack(path: Path, ids: np.ndarray, signal: np.ndarray) -> None:
    """The pack of int16 `[records, 12, 1000]` in uV, which `read_pack` gives back to the bit."""
    wide = signal.astype(np.int32)
    i, ii = wide[:, 0], wide[:, 1]
    derived = np.stack([ii - i, -((i + ii) >> 1), (2 * i - ii) >> 1, (2 * ii - i) >> 1], axis=1)
    independent = np.concatenate([wide[:, :2], wide[:, 6:]], axis=1)
    planes = {**_planes("", np.diff(independent, axis=2, prepend=0)), **_planes("rest_", wide[:, 2:6] - derived)}
    np.savez(path, ids=np.asarray(ids), **planes)  # type: ignore[arg-type]


def _numbers(file, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    low, high = (_plane(file[f"{kind}{part}"]).astype(np.int32) for part in ("low", "high"))
    coded = low | high << 8
    return ((coded >> 1) ^ -(coded & 1)).reshape(shape)


def _plane(coded: np.ndarray) -> np.ndarray:
    data = coded.tobytes()
    return np.frombuffer((bz2 if data[:2] == b"BZ" else lzma).decompress(data), np.uint8)


def _planes(kind: str, values: np.ndarray) -> dict[str, np.ndarray]:
    coded = (values << 1) ^ (values >> 31)
    return {
        f"{kind}{part}": np.frombuffer(lzma.compress((coded >> shift).astype(np.uint8).tobytes()), np.uint8)
        for part, shift in (("low", 0), ("high", 8))
    }
