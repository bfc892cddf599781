"""Whether a WFDB header tells the truth of its signal files: what wfdb reads without a word though it cannot be so."""

from __future__ import annotations

import re
from collections import defaultdict
from fractions import Fraction
from pathlib import Path

import wfdb

from anyecg.types import DataError

# Bytes of one sample, by WFDB format; a file of any other format (FLAC, differences) is taken at its header's word.
SAMPLE_BYTES = {
    "16": Fraction(2),
    "61": Fraction(2),
    "160": Fraction(2),
    "24": Fraction(3),
    "32": Fraction(4),
    "80": Fraction(1),
    "212": Fraction(3, 2),
}
PADDING = 4  # bytes: packed formats end on a whole word
RATES = (1.0, 100_000.0)  # Hz that an ECG is sampled at, generously
RATE = re.compile(r"(\d+\.?\d*|\.\d+)(/.*)?")  # in Hz, and perhaps a counter's behind it; wfdb reads "1e300" as 1 Hz
# the number that a field of a header begins with
LEADING = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?", re.IGNORECASE)


def check(path: Path, record: wfdb.Record, rate: float | None = None) -> None:
    """DataError where the header of a record that was read lies: more or less than a signal file holds, no sampling
    rate, a gain of 0.

    path: of the record, without extension; rate: Hz that its source has, where all of it has one.
    """
    _check_numbers(path)
    if not RATES[0] <= record.fs <= RATES[1] or rate not in (None, record.fs):
        raise DataError(
            f"{path}.hea: its sampling rate is {record.fs:g} Hz, "
            f"{f'that of the source {rate:g} Hz' if rate else 'none of an ECG'}; "
            "download the header again"
        )
    files = defaultdict(list)
    for channel, name in enumerate(record.file_name):
        files[name].append(channel)
    for name, channels in files.items():
        _check_size(path.parent / name, path, record, channels)


def _check_numbers(path: Path) -> None:
    """DataError where the header's own words, which wfdb replaces by a usual value, are no rate or no gain."""
    lines = [
        line
        for line in Path(f"{path}.hea").read_text(errors="replace").splitlines()
        if line.strip() and not line.lstrip().startswith("#")
    ]
    first = lines[0].split()
    rate = RATE.fullmatch(first[2]) if len(first) > 2 else None
    if rate is None or not float(rate[1]) > 0:
        raise DataError(
            f"{path}.hea: its sampling rate is {first[2] if len(first) > 2 else 'not said'!r}, no number of Hz; "
            f"download the header again"
        )
    if not (len(first) > 1 and first[1].isdigit()):
        raise DataError(
            f"{path}.hea: its number of signals is {first[1] if len(first) > 1 else 'not said'!r}; download the "
            f"header again"
        )
    for line in lines[1 : 1 + int(first[1])]:
        words = line.split()
        gain = LEADING.match(words[2]) if len(words) > 2 else None
        if gain is not None and float(gain[0]) == 0:
            raise DataError(
                f"{path}.hea: a gain of 0 says that {words[-1]} was never calibrated, so its mV are not known; "
                f"download the header again"
            )


def _check_size(file: Path, path: Path, record: wfdb.Record, channels: list[int]) -> None:
    """DataError where a signal file is longer or shorter than its channels, as the header has them."""
    width = SAMPLE_BYTES.get(record.fmt[channels[0]])
    if (
        width is None or any(record.skew[channel] for channel in channels) or file.suffix == ".mat"
    ):  # which says its own shape, see `Snomed.read`
        return
    frame = sum(record.samps_per_frame[channel] or 1 for channel in channels)
    due = (record.byte_offset[channels[0]] or 0) + -(-record.sig_len * frame * width // 1)
    holds = file.stat().st_size
    if not due <= holds <= due + (PADDING if width.denominator > 1 else 0):
        raise DataError(
            f"{file}: cut short or not what its header describes: it holds {holds:,} bytes, {path.name}.hea says "
            f"{record.sig_len:,} samples "
            f"of {frame} a frame ({int(due):,} bytes); download both again"
        )
