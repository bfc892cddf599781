"""NumPy files: an array, and in an archive perhaps its sampling rate, leads and units."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from anyecg.data.own.channels import Channel, Leads
from anyecg.types import DataError

SAID = ("fs", "leads", "units")  # keys of an archive beside the signal


def read(path: Path, leads: Leads) -> list[Channel]:
    """The rows of `[L, T]` or the columns of `[T, L]`, told apart by the number of leads; nothing is unpickled.

    DataError where the shape fits neither or both, and where an archive holds several arrays and none is "signal".
    """
    loaded = np.load(path, allow_pickle=False)
    if isinstance(loaded, np.ndarray):
        signal, said = loaded, {}
    else:
        with loaded:
            signal = loaded[_key(path, loaded.files)]
            said = {key: loaded[key] for key in SAID if key in loaded.files}
    names = [str(name) for name in said.get("leads", np.array([])).ravel()]
    count = len(names) or len(leads or ())
    if not count:
        raise DataError(f"{path}: names no leads; pass leads=, one a channel")
    if signal.dtype.kind not in "iuf":
        raise DataError(f"{path}: holds {signal.dtype}, no numbers of a signal")
    fs = float(said["fs"]) if "fs" in said else None
    rows = _rows(path, signal, count)
    return [
        Channel(name, str(said.get("units", "")), fs, partial(np.asarray, row, float), assumed="mV")
        for name, row in zip(names or [""] * count, rows)
    ]


def _key(path: Path, keys: list[str]) -> str:
    others = [key for key in keys if key not in SAID]
    if "signal" in others:
        return "signal"
    if len(others) != 1:
        raise DataError(f"{path}: holds {', '.join(others) or 'no array'}; call the signal 'signal'")
    return others[0]


def _rows(path: Path, signal: np.ndarray, count: int) -> np.ndarray:
    """`[L, T]`, whichever way round the array lies."""
    signal = signal[None] if signal.ndim == 1 and count == 1 else signal
    fits = [axis for axis, size in enumerate(signal.shape) if size == count] if signal.ndim == 2 else []
    if len(fits) != 1:
        why = "could be either way round" if fits else "is neither [L, T] nor [T, L]"
        raise DataError(f"{path}: its shape {signal.shape} {why} for {count} leads")
    return np.moveaxis(signal, fits[0], 0)
