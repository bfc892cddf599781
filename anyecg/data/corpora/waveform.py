"""The signals of a WFDB record, of one segment or several, each checked against its header."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import wfdb

from anyecg.data.corpora.header import Header, check_lines, check_rate, decoded
from anyecg.types import DataError

# What wfdb raises on a broken file: each of them was met on headers, signals and annotations spoilt at random, but the
# last two.
BROKEN = (OSError, ValueError, IndexError, KeyError, TypeError, MemoryError, ArithmeticError, AttributeError)
GAPS = 20  # a record of segments whose gaps are longer than so many times its samples is a broken header
NESTED = 3  # segments of segments of segments
WORDS = {"microvolt": "uv", "millivolt": "mv", "volt": "v", "nanovolt": "nv", "mvolt": "mv", "uvolt": "uv"}
MICRO = re.compile("âµ|î¼|[µμ]")
MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "v": 1e3, "nv": 1e-6}  # one of a header's unit, in mV


def voltage(unit: str) -> float | None:
    """One of the unit in mV; None where it is no voltage. The micro sign, Greek mu and either of them in UTF-8 that
    was read as Latin-1 are all "micro".
    """
    word = MICRO.sub("u", unit.strip().strip("()[]").strip().lower())
    return MILLIVOLTS.get(WORDS.get(word.removesuffix("s"), word))


@dataclass(frozen=True)
class Signal:
    """One signal: name, unit as the header has them ("" where it does not), Hz, float32 `[T]` in that unit, NaN where
    invalid.
    """

    name: str
    unit: str
    fs: float
    values: np.ndarray


def read_signals(path: Path, fs: float | None = None, rate: float | None = None) -> tuple[list[Signal], list[str]]:
    """The signals of the record `path` (without extension), and what is to be said of them.

    fs: Hz, where the header does not say it; rate: Hz that the record's source has. Segments are joined by signal, in
    mV where they have several units; a stretch that no segment has is NaN, and a signal that none has is left out.

    Raises DataError where a file is missing, broken or not what its header says.
    """
    notes: list[str] = []
    try:
        return _read(path, fs, rate, notes), notes
    except BROKEN as error:
        raise DataError(
            f"{path}: signal missing, cut short or broken (wfdb says {type(error).__name__}: {error})"
        ) from error


def _read(path: Path, fs: float | None, rate: float | None, notes: list[str], depth: int = 0) -> list[Signal]:
    header = Header.read(path)
    if not header.rate and fs is not None:
        hertz = float(fs)
    else:
        check_rate(header, rate)
        hertz = header.hertz
    if header.segments is not None:
        if depth > NESTED:
            raise DataError(f"{path}.hea: is a segment of itself; download the header again")
        return _joined(header, hertz, fs, notes, depth)
    check_lines(header)
    with _readable(header) as name:
        record = wfdb.rdrecord(name, physical=False, smooth_frames=False)
    if not record.e_d_signal or not any(len(values) for values in record.e_d_signal):
        raise DataError(f"{path}: holds no signal")
    wrong = [
        line.name or f"signal {number}"
        for number, (line, values) in enumerate(zip(header.lines, record.e_d_signal), 1)
        # a line whose first value, checksum and block size are all 0 was written without them
        if line.checksum and (int(np.sum(values, dtype=np.int64)) - line.checksum) % 65536
    ]
    if wrong:
        notes.append(
            f"the checksum in {path.name}.hea is not that of {_few(wrong)}: the samples or the header were changed"
        )
    unsaid = [line.name or f"signal {number}" for number, line in enumerate(header.lines, 1) if not line.gain]
    if unsaid:
        notes.append(f"{path.name}.hea does not say the gain of {_few(unsaid)}; 200 a unit, WFDB's default, is taken")
    return [
        Signal(line.name, line.unit or "mV", hertz * line.frame, values.astype(np.float32))
        for line, values in zip(header.lines, record.dac(expanded=True, return_res=32), strict=True)
    ]


def _joined(header: Header, hertz: float, fs: float | None, notes: list[str], depth: int) -> list[Signal]:
    """The segments of a master header, one after another."""
    path, parts = header.path, header.parts
    if len(parts) > (header.segments or 0):
        parts = parts[: header.segments]
    layout = parts and parts[0][1] == 0
    names = [line.name for line in _layout(path, parts[0][0])] if layout else None
    parts = parts[1:] if layout else parts
    total = sum(length for _, length in parts)
    if header.samples not in (None, total):
        raise DataError(
            f"{path}.hea: says {header.samples:,} samples, its segments are {total:,} long; download the header again"
        )
    gaps = sum(length for name, length in parts if name == "~")
    if gaps > GAPS * (total - gaps):
        raise DataError(f"{path}.hea: nearly all of it ({gaps:,} of {total:,} samples) is a gap; is it the right file?")
    found: list[tuple[int, list[Signal]]] = []
    start = 0
    for name, length in parts:
        if name != "~":
            signals = _read(path.parent / name, fs, None, notes, depth + 1)
            frame = min(signal.fs for signal in signals)
            long = max(round(signal.values.size * frame / signal.fs) for signal in signals)
            if abs(frame - hertz) > 1e-6 * hertz or long != length:
                raise DataError(
                    f"{path}.hea: says that its segment {name} has {length:,} samples at {hertz:g} Hz; it has {long:,} "
                    f"at {frame:g} Hz; download both again"
                )
            found.append((start, signals))
        start += length
    if not found:
        raise DataError(f"{path}.hea: has no segment with samples; download the record again")
    keys = names if names is not None else list(range(len(found[0][1])))
    made, absent = [], []
    for key in keys:
        pieces = [
            (start, signal)
            for start, signals in found
            for number, signal in enumerate(signals)
            if key == (signal.name if names is not None else number)
        ]
        if not pieces:
            absent.append(str(key))
            continue
        made.append(_one(path, pieces, total, hertz))
    if absent:
        notes.append(f"left out {_few(absent)}: no segment has it")
    return made


def _one(path: Path, pieces: Sequence[tuple[int, Signal]], total: int, hertz: float) -> Signal:
    """One signal over all its segments, in their unit where they have one and in mV where they have several."""
    first = pieces[0][1]
    units = {signal.unit for _, signal in pieces}
    scales = {unit: 1.0 if len(units) == 1 else voltage(unit) for unit in units}
    if None in scales.values() or len({signal.fs for _, signal in pieces}) > 1:
        raise DataError(
            f"{path}: the segments of {first.name or 'a signal'} differ in unit ({', '.join(sorted(units))}) or in "
            f"samples a frame; read them one by one"
        )
    frame = round(first.fs / hertz)
    values = np.full(total * frame, np.nan, np.float32)
    for start, signal in pieces:
        values[start * frame : start * frame + signal.values.size] = signal.values * np.float32(
            scales[signal.unit] or 1
        )
    return Signal(first.name, first.unit if len(units) == 1 else "mV", first.fs, values)


def _layout(path: Path, name: str) -> Sequence:
    header = Header.read(path.parent / name)
    return header.lines


@contextmanager
def _readable(header: Header) -> Iterator[str]:
    """The record's name for wfdb: beside a header without what is not used and wfdb cannot read, where there is such
    (dates that are none, a length of 0, bytes that are no ASCII).
    """
    path = header.path
    text = decoded(Path(f"{path}.hea").read_bytes())
    if len(header.first) < 5 and header.samples is not None and header.rate and text.isascii():
        yield str(path)
        return
    fields = [header.first[0], header.first[1], header.rate or "250"]
    if header.samples is not None:
        fields.append(str(header.samples))
    body = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    with tempfile.TemporaryDirectory() as folder:
        lines = [" ".join(fields), *body[1:]]
        Path(folder, f"{path.name}.hea").write_text("\n".join(lines) + "\n", encoding="ascii", errors="replace")
        for name in {line.file for line in header.lines}:
            source, target = path.parent / name, Path(folder, name)
            if target.parent == Path(folder) and source.is_file():
                try:
                    target.symlink_to(source.resolve())
                except OSError:  # a file system without links
                    shutil.copyfile(source, target)
        yield str(Path(folder, path.name))


def _few(names: Sequence[str], most: int = 12) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
