"""NumPy files: an array, and in an archive perhaps its sampling rate, leads and units."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import IO
from zipfile import ZipFile

import numpy as np

from anyecg.data.own.channels import Channel
from anyecg.data.own.formats import FileFormat, Request
from anyecg.types import DataError

# Keys beside the signal, in small letters.
RATES = ("fs", "sampling_rate", "sample_rate", "sampling_frequency", "freq", "frequency", "rate", "hz")
LEADS = ("leads", "lead_names", "sig_name", "channels", "channel_names", "lead")
UNITS = ("units", "unit")
SIGNALS = ("signal", "signals", "ecg", "val", "data", "p_signal", "x", "tracings")  # the likeliest first
LARGEST = 1 << 32  # bytes that an archive may unpack to
NONE = np.iinfo(np.int16).min  # what stands for no sample in 16 bits


class NumPy(FileFormat):
    """NumPy arrays (`.npy`) and archives (`.npz`), `[L, T]` or `[T, L]`; nothing is unpickled."""

    suffixes = (".npy", ".npz")

    def recognises(self, path: Path, head: bytes) -> bool:
        return head.startswith(b"\x93NUMPY") or (head.startswith(b"PK\x03\x04") and path.suffix.lower() == ".npz")

    def read(self, path: Path, request: Request) -> list[Channel]:
        """DataError where the shape fits neither or both, and where an archive's signal is not known."""
        with path.open("rb") as file:
            archive = file.read(4) == b"PK\x03\x04"
        if not archive:
            with path.open("rb") as file:
                _check_array(f"{path}", file, path.stat().st_size)
            return channels_of(path, {"signal": np.load(path, allow_pickle=False)}, request)
        with ZipFile(path) as opened:
            if sum(member.file_size for member in opened.infolist()) > LARGEST:
                raise DataError(f"{path}: unpacks to more than {LARGEST >> 30} GB; is it a recording?")
            if damaged := opened.testzip():  # numpy reads what it needs, and does not always come to the checksum
                raise DataError(f"{path}: damaged: the checksum of {damaged} is wrong")
            for member in opened.infolist():
                with opened.open(member) as inner:
                    _check_array(f"{path}, {member.filename}", inner, member.file_size)
        with np.load(path, allow_pickle=False) as loaded:
            return channels_of(path, {key: loaded[key] for key in loaded.files}, request)


def _check_array(name: str, file: IO[bytes], size: int) -> None:
    """DataError where an array is shorter or longer than its own header says, or its header is none."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version[0] == 1 else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    due = math.prod(shape) * dtype.itemsize
    if not dtype.hasobject and due + file.tell() != size:
        raise DataError(f"{name}: damaged: an array of shape {shape} is {due:,} bytes, {size - file.tell():,} are held")


def channels_of(path: Path, arrays: Mapping[str, np.ndarray], request: Request) -> list[Channel]:
    """The channels of named arrays: one of them is the signal, others perhaps its rate, leads and units."""
    known = {key.lower(): key for key in arrays}
    key = _key(path, arrays)
    signal = arrays[key]
    if signal.dtype.kind not in "iuf":
        raise DataError(f"{path}: holds {signal.dtype}, no numbers of a signal")
    names = [_text(name) for name in np.ravel(_first(arrays, known, LEADS, ()))]
    units = [_text(unit) for unit in np.ravel(_first(arrays, known, UNITS, ()))]
    rates = np.ravel(_first(arrays, known, RATES, ()))
    if len(rates) > 1 and len(set(rates.tolist())) > 1:
        raise DataError(f"{path}: says several sampling rates ({', '.join(map(str, rates[:6]))}); pass one in the file")
    if len(rates) and rates.dtype.kind not in "iufSU":
        raise DataError(f"{path}: says a sampling rate of {rates[0]!r}, no number")
    fs = _rate(path, rates[0]) if len(rates) else None
    rows = oriented(path, signal, len(names) or request.count)
    if names and len(names) != len(rows):
        raise DataError(f"{path}: names {len(names)} leads, its signal has {len(rows)}")
    if len(units) not in (0, 1, len(rows)):
        raise DataError(f"{path}: says {len(units)} units for {len(rows)} leads")
    units = units * len(rows) if len(units) == 1 else units or [""] * len(rows)
    return [
        Channel(name, unit, fs, partial(numbers, row, request), assumed="mV")
        for name, unit, row in zip(names or [""] * len(rows), units, rows)
    ]


def numbers(row: np.ndarray, request: Request) -> np.ndarray:
    """Float `[T]`, NaN for the least number of 16 bits, which stands for no sample."""
    values = np.asarray(row, float)
    if row.dtype.kind == "i" and row.dtype.itemsize == 2 and (row == NONE).any():
        request.note(
            f"{int((row == NONE).sum()):,} samples are {NONE}, which stands for none in 16 bits: taken as invalid"
        )
        values[row == NONE] = np.nan
    return values


def oriented(path: Path, signal: np.ndarray, count: int | None) -> np.ndarray:
    """`[L, T]`, whichever way round the array `signal` lies; `count`: its leads.

    DataError where the shape fits neither or both, or where nobody says how many leads there are.
    """
    if count is None:
        raise DataError(f"{path}: names no leads; pass leads=, one a channel (its shape is {signal.shape})")
    if signal.ndim == 3 and 1 in signal.shape and signal.shape[0] == 1 and count > 1:
        raise DataError(f"{path}: its shape {signal.shape} is neither [L, T] nor [T, L] for {count} leads")
    signal = signal[None] if signal.ndim == 1 and count == 1 else signal
    fits = [axis for axis, size in enumerate(signal.shape) if size == count] if signal.ndim == 2 else []
    if len(fits) != 1:
        why = "could be either way round" if fits else "is neither [L, T] nor [T, L]"
        raise DataError(f"{path}: its shape {signal.shape} {why} for {count} leads")
    return np.moveaxis(signal, fits[0], 0)


def _key(path: Path, arrays: Mapping[str, np.ndarray]) -> str:
    others = [key for key in arrays if key.lower() not in {*RATES, *LEADS, *UNITS}]
    signals = [key for key in others if arrays[key].dtype.kind in "iuf" and arrays[key].ndim >= 1]
    if "signal" in others:
        return "signal"
    if len(others) == 1:
        return others[0]
    named = [key for key in signals if key.lower() in SIGNALS]
    if len(named) == 1:
        return named[0]
    raise DataError(f"{path}: holds {', '.join(others[:12]) or 'no array'}; call the signal 'signal'")


def _first(arrays: Mapping[str, np.ndarray], known: Mapping[str, str], keys: Sequence[str], absent) -> np.ndarray:
    return np.asarray(next((arrays[known[key]] for key in keys if key in known), np.asarray(absent)))


def _text(word) -> str:
    return word.decode("utf-8", errors="replace") if isinstance(word, bytes) else str(word)


def _rate(path: Path, value) -> float:
    try:
        return float(_text(value))
    except ValueError:
        raise DataError(f"{path}: says a sampling rate of {_text(value)!r}, no number of Hz") from None
