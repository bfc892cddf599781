"""HDF5 files: one recording, or many in one array, as CODE-15% and the Shandong hospital's data have them."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from anyecg.data.corpora.code15 import RATE, without_padding
from anyecg.data.own.array import LEADS, RATES, UNITS, channels_of, numbers
from anyecg.data.own.channels import Channel
from anyecg.data.own.extras import extra
from anyecg.data.own.formats import FileFormat, Request
from anyecg.types import CANONICAL_LEADS, DataError

LARGEST = 1 << 31  # bytes of one recording
DATASETS = 1000  # a file of more is no recording
SHANDONG_RATE = 500.0  # Hz, of the release's own description, as CODE's is; both are in mV


class HDF5(FileFormat):
    """HDF5: an array `[L, T]` or `[T, L]`, or `[N, ...]` of which `record=` picks one."""

    suffixes = (".h5", ".hdf5", ".hdf")

    def recognises(self, path: Path, head: bytes) -> bool:
        return head.startswith(b"\x89HDF\r\n\x1a\n") or head[512:520] == b"\x89HDF\r\n\x1a\n"

    def read(self, path: Path, request: Request) -> list[Channel]:
        """DataError where it holds several recordings and nobody says which, or names no leads."""
        h5py = extra("h5py", path)
        with h5py.File(path, "r") as file:
            found: dict = {}

            def visit(name: str, item) -> None:
                if isinstance(item, h5py.Dataset) and len(found) < DATASETS:
                    found[name] = item

            file.visititems(visit)
            if {"tracings", "exam_id"} <= found.keys():
                return _code(path, found, request)
            said = {key.lower(): np.asarray(value) for key, value in file.attrs.items()}
            signal = _signal(path, found)
            said |= {key.lower(): np.asarray(value) for key, value in found[signal].attrs.items()}
            said = {key: value for key, value in said.items() if key in (*RATES, *LEADS, *UNITS)}
            said |= {
                key.rpartition("/")[2]: _read(path, item)
                for key, item in found.items()
                if key.rpartition("/")[2].lower() in (*RATES, *LEADS, *UNITS)
            }
            values = found[signal]
            values = _picked(path, values, request) if values.ndim == 3 else _read(path, values)
            if list(found) == ["ecg"] and not said and values.dtype == np.float16 and values.shape[0] == 12:
                return _shandong(path, values, request)
            return channels_of(path, {"signal": values, **said}, request)


def _read(path: Path, item) -> np.ndarray:
    if item.dtype.kind not in "iufSUO" or item.size * item.dtype.itemsize > LARGEST:
        raise DataError(f"{path}: {item.name} is {item.dtype} of shape {item.shape}, no signal that can be read")
    values = np.asarray(item[()])
    return values.astype(str) if values.dtype == object else values


def _signal(path: Path, found: dict) -> str:
    arrays = [
        key for key, item in found.items() if item.ndim in (1, 2, 3) and item.dtype.kind in "iuf" and item.size > 1
    ]
    arrays = [key for key in arrays if key.rpartition("/")[2].lower() not in (*RATES, *LEADS, *UNITS)]
    for word in ("signal", "signals", "ecg", "tracings", "data", "val"):
        named = [key for key in arrays if key.rpartition("/")[2].lower() == word]
        if len(named) == 1:
            return named[0]
    if len(arrays) != 1:
        raise DataError(f"{path}: holds {', '.join(arrays[:12]) or 'no array of numbers'}; call the signal 'signal'")
    return arrays[0]


def _picked(path: Path, item, request: Request, names: np.ndarray | None = None) -> np.ndarray:
    """One recording of `[N, ...]`, by `record=`: a name in `names`, else a number from 0."""
    count, which = item.shape[0], request.record
    if names is not None and len(names) != count:
        raise DataError(f"{path}: names {len(names)} recordings and holds {count}")
    if which is None and count == 1:
        which = 0
    if which is None:
        raise DataError(f"{path}: holds {count:,} recordings; pass record=, a name of them or a number from 0")
    if names is not None and str(which) in (words := [str(name) for name in names]):
        index = words.index(str(which))
    elif str(which).isdigit() and int(which) < count:
        index = int(which)
    else:
        raise DataError(f"{path}: has no recording {which!r}; it holds {count:,}")
    if item[index : index + 1].nbytes > LARGEST:
        raise DataError(f"{path}: a recording of shape {item.shape[1:]} is too large")
    return np.asarray(item[index])


def _code(path: Path, found: dict, request: Request) -> list[Channel]:
    """CODE and CODE-15%: `tracings` [N, 4096, 12] in mV at 400 Hz, 0 before and behind a shorter recording."""
    signal = _picked(path, found["tracings"], request, _read(path, found["exam_id"]))
    kept = without_padding(path, signal, request.record)
    if len(kept) < len(signal):
        request.note(f"{len(signal) - len(kept):,} samples before and behind it are padding, left out")
    return _known(kept.T, RATE, "CODE", request)


def _shandong(path: Path, signal: np.ndarray, request: Request) -> list[Channel]:
    """The data of Shandong Provincial Hospital: `ecg` [12, T], 16-bit floats in mV at 500 Hz."""
    return _known(signal, SHANDONG_RATE, "the Shandong Provincial Hospital's data", request)


def _known(signal: np.ndarray, rate: float, source: str, request: Request) -> list[Channel]:
    """Channels of a layout whose rate, unit and leads its description says, and the caller may say otherwise."""
    fs = request.fs or rate
    names = ("",) * 12 if request.leads else CANONICAL_LEADS
    request.note(
        f"read as {source}: I, II, III, aVR, aVL, aVF, V1 to V6 in mV at {fs:g} Hz, which the file does not say"
    )
    return [
        Channel(name, request.units or "mV", fs, partial(numbers, row, request)) for name, row in zip(names, signal)
    ]
