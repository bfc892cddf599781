"""A WFDB header as it is written, and whether it tells the truth of its signal files."""

from __future__ import annotations

import re
import struct
from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from anyecg.types import DataError

# Bytes of one sample, by WFDB format; a file of any other format (FLAC) is taken at its header's word.
SAMPLE_BYTES = {
    "8": Fraction(1),
    "16": Fraction(2),
    "61": Fraction(2),
    "160": Fraction(2),
    "24": Fraction(3),
    "32": Fraction(4),
    "80": Fraction(1),
    "212": Fraction(3, 2),
    "310": Fraction(4, 3),
    "311": Fraction(4, 3),
}
PADDING = 4  # bytes: packed formats end on a whole word
RATES = (1.0, 100_000.0)  # Hz that an ECG is sampled at, generously
RATE = re.compile(r"(\d+\.?\d*|\.\d+)(/.*)?")  # in Hz, and perhaps a counter's behind it; wfdb reads "1e300" as 1 Hz
# the number that a field of a header begins with
LEADING = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)
FORMAT = re.compile(r"(\d+)(?:x(\d+))?(?::(\d+))?(?:\+(\d+))?")  # format, samples a frame, skew, byte offset
# a MATLAB v4 file begins with its type, rows, columns, whether it is complex, the length of its name
MATLAB = struct.Struct("<5i")
INT16 = 30  # the type: little-endian int16


@dataclass(frozen=True)
class Line:
    """One signal's line: fields that are absent are "", None or the default that header(5) gives.

    form: WFDB format; frame: samples a frame; skew: frames; offset: bytes before the samples; gain: its field without
    the unit; initial, checksum: of the samples, where the line says them.
    """

    file: str
    form: str
    frame: int
    skew: int
    offset: int
    gain: str
    unit: str
    initial: int | None
    checksum: int | None
    name: str


@dataclass(frozen=True)
class Header:
    """A header's own words, read as UTF-8 or Latin-1, so that "µV" stays what it is.

    path: of the record, without extension; segments: None for a record of one; rate: the field, "" where it is absent;
    samples: of a signal in frames, None where the header does not say; parts: segments' names and lengths.
    """

    path: Path
    segments: int | None
    signals: int
    rate: str
    samples: int | None
    lines: tuple[Line, ...]
    parts: tuple[tuple[str, int], ...]
    first: tuple[str, ...]  # the record line's fields

    @classmethod
    def read(cls, path: Path) -> Header:
        """The header of the record `path` (without extension); OSError where there is none, DataError where its record
        line is none.
        """
        lines = [
            line.strip()
            for line in decoded(Path(f"{path}.hea").read_bytes()).splitlines()
            if line.strip() and not line.lstrip().startswith("#")
        ]
        first = lines[0].split() if lines else []
        if not (len(first) > 1 and first[1].isdigit()):
            raise DataError(
                f"{path}.hea: its number of signals is {first[1] if len(first) > 1 else 'not said'!r}; download the "
                f"header again"
            )
        _, several, segments = first[0].partition("/")
        if several and not segments.isdigit():
            raise DataError(f"{path}.hea: its number of segments is {segments!r}; download the header again")
        samples = int(first[3]) if len(first) > 3 and first[3].isdigit() else None
        return cls(
            path=path,
            segments=int(segments) if several else None,
            signals=int(first[1]),
            rate=first[2] if len(first) > 2 else "",
            samples=samples or None,
            lines=() if several else tuple(_line(path, line) for line in lines[1 : 1 + int(first[1])]),
            parts=tuple(_part(path, line) for line in lines[1:]) if several else (),
            first=tuple(first),
        )

    @property
    def hertz(self) -> float:
        """The sampling rate of a frame, Hz; DataError where the header's own word, which wfdb replaces by a usual
        value, is none.
        """
        match = RATE.fullmatch(self.rate)
        if match is None or not float(match[1]) > 0:
            raise DataError(
                f"{self.path}.hea: its sampling rate is {self.rate or 'not said'!r}, no number of Hz; "
                f"download the header again"
            )
        return float(match[1])


def decoded(data: bytes) -> str:
    """A header's text: UTF-8, else Latin-1; a byte order mark is no text."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _line(path: Path, text: str) -> Line:
    words = text.split(maxsplit=8)
    form = FORMAT.fullmatch(words[1]) if len(words) > 1 else None
    if form is None:
        raise DataError(f"{path}.hea: the line {text[:60]!r} describes no signal; download the header again")
    gain, _, unit = (words[2] if len(words) > 2 else "").partition("/")

    def number(index: int) -> int | None:
        return int(words[index]) if len(words) > index and re.fullmatch(r"[-+]?\d+", words[index]) else None

    return Line(
        file=words[0],
        form=form[1],
        frame=int(form[2] or 1) or 1,
        skew=int(form[3] or 0),
        offset=int(form[4] or 0),
        gain=gain,
        unit=unit,
        initial=number(5),
        checksum=number(6),
        name=words[8] if len(words) > 8 else "",
    )


def _part(path: Path, text: str) -> tuple[str, int]:
    words = text.split()
    if len(words) < 2 or not words[1].isdigit():
        raise DataError(f"{path}.hea: the line {text[:60]!r} describes no segment; download the header again")
    return words[0], int(words[1])


def check(header: Header, rate: float | None = None) -> None:
    """DataError where the header of a record of one segment lies: more or less than a signal file holds, no sampling
    rate, a gain of 0, a MATLAB file of another shape.

    rate: Hz that its source has, where all of it has one.
    """
    check_rate(header, rate)
    check_lines(header)


def check_rate(header: Header, rate: float | None = None) -> None:
    """DataError where the sampling rate is none of an ECG, or not that of the source."""
    fs = header.hertz
    if not RATES[0] <= fs <= RATES[1] or rate not in (None, fs):
        raise DataError(
            f"{header.path}.hea: its sampling rate is {fs:g} Hz, "
            f"{f'that of the source {rate:g} Hz' if rate else 'none of an ECG'}; "
            "download the header again"
        )


def check_lines(header: Header) -> None:
    """DataError where a gain is 0, lines are missing, or a signal file is not what they describe."""
    path = header.path
    if len(header.lines) < header.signals:
        raise DataError(
            f"{path}.hea: has lines for {len(header.lines)} of {header.signals} signals; download the header again"
        )
    files: dict[str, list[Line]] = defaultdict(list)
    for line in header.lines:
        gain = LEADING.match(line.gain)
        if gain is not None and float(gain[0]) == 0:
            raise DataError(
                f"{path}.hea: a gain of 0 says that {line.name or 'a signal'} was never calibrated, so its mV are not "
                f"known; download the header again"
            )
        files[line.file].append(line)
    for name, lines in files.items():
        file = path.parent / name
        if not file.is_file():
            continue  # wfdb says so
        if file.suffix == ".mat":
            _check_matlab(file, header, lines)
        elif header.samples is not None:
            _check_size(file, header, lines)


def _check_matlab(file: Path, header: Header, lines: list[Line]) -> None:
    """DataError where a `.mat` beside a header is no MATLAB v4 file of as many leads and samples as the header has."""
    with file.open("rb") as opened:
        start = opened.read(MATLAB.size)
    if len(start) < MATLAB.size or (fields := MATLAB.unpack(start))[0] != INT16:
        raise DataError(f"{file}: is no MATLAB v4 file of 16-bit samples; download it again")
    _, leads, samples, _, name = fields
    if leads != sum(line.frame for line in lines) or header.samples not in (None, samples):
        raise DataError(
            f"{file}: holds {leads} leads of {samples} samples, its header says {len(lines)} of {header.samples}; "
            f"download both again"
        )
    due, holds = MATLAB.size + name + 2 * leads * samples, file.stat().st_size
    if due != holds or lines[0].offset != MATLAB.size + name:
        raise DataError(
            f"{file}: cut short or not what its header describes: it holds {holds:,} bytes, {due:,} are due "
            f"({lines[0].offset} before the samples, where {MATLAB.size + name} are due); download both again"
        )


def _check_size(file: Path, header: Header, lines: list[Line]) -> None:
    """DataError where a signal file is longer or shorter than its channels, as the header has them."""
    width = SAMPLE_BYTES.get(lines[0].form)
    if width is None or any(line.skew for line in lines) or header.samples is None:
        return
    frame = sum(line.frame for line in lines)
    due = lines[0].offset + -(-header.samples * frame * width // 1)
    holds = file.stat().st_size
    if not due <= holds <= due + (PADDING if width.denominator > 1 else 0):
        raise DataError(
            f"{file}: cut short or not what its header describes: it holds {holds:,} bytes, {header.path.name}.hea "
            f"says {header.samples:,} samples of {frame} a frame ({int(due):,} bytes); download both again"
        )
