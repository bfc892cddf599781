"""EDF, EDF+ and BDF files."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from anyecg.data.own.channels import Channel
from anyecg.data.own.extras import extra
from anyecg.data.own.formats import FileFormat, Request
from anyecg.types import DataError

MAGIC = {b"0       ": 2, b"\xffBIOSEMI": 3}  # the first eight bytes -> bytes a sample
FIXED = 256  # bytes of the header before, and for each of, its signals
# bytes of the signals' fields, in their order: label, transducer, unit, physical and digital range (4), filter, samples
FIELDS = {"label": 16, "sensor": 80, "unit": 8, "low": 8, "high": 8, "least": 8, "most": 8, "filter": 80, "samples": 8}
TRAILING = 4  # bytes behind the last record that are no record cut short: a line's end, or padding


@dataclass
class _Header:
    """The fields of an EDF header that decide where its samples lie, and its bytes, mended where edfio cannot read."""

    data: bytearray
    width: int
    records: int
    seconds: float
    samples: list[int]
    labels: list[str]

    @property
    def record(self) -> int:
        return self.width * sum(self.samples)


class EDF(FileFormat):
    """EDF, EDF+ and BDF (the European and the BioSemi data format), continuous."""

    suffixes = (".edf", ".bdf")

    def recognises(self, path: Path, head: bytes) -> bool:
        return head[:8] in MAGIC and len(head) >= FIXED

    def read(self, path: Path, request: Request) -> list[Channel]:
        """The signals, annotations left out; a signal is read from disk when its values are asked for.

        DataError where the file is shorter or longer than its header says, or has gaps in time.
        """
        edfio = extra("edfio", path)
        header = _header(path)
        size = path.stat().st_size
        held, over = divmod(size - len(header.data), header.record)
        if header.records == -1:  # "not known", which EDF allows
            header.records = held
            request.note(f"its header does not say how many records it has; the {held} that it holds are read")
        if held < header.records or size < len(header.data):
            raise DataError(
                f"{path}: cut short: its header says {header.records} records of {header.record} bytes, it holds {held}"
            )
        if held > header.records or over > TRAILING:
            raise DataError(
                f"{path}: holds {size - len(header.data):,} bytes of records where its header says "
                f"{header.records * header.record:,}; it is damaged, or was not closed when it was written"
            )
        if over:
            request.note(f"left out {over} byte(s) behind its last record")
        _check_time(path, header)
        whole = bytes(header.data) + path.read_bytes()[len(header.data) : size - over]
        open_file = edfio.read_bdf if header.width == 3 else edfio.read_edf
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what edfio mends was looked at above
            file = open_file(io.BytesIO(whole), header_encoding="latin-1")  # "µV" is no ASCII, and common
        return [_channel(path, signal) for signal in file.signals]


def _header(path: Path) -> _Header:
    with path.open("rb") as file:
        start = file.read(FIXED)
        width = MAGIC.get(start[:8])
        if width is None or len(start) < FIXED:
            raise DataError(f"{path}: does not begin as an EDF or BDF file does; is it one, and whole?")
        count, records = _whole(path, start[252:256], "number of signals"), _whole(path, start[236:244], "records")
        seconds = _number(path, start[244:252], "duration of a record")
        said = _whole(path, start[184:192], "length of the header")
        data = bytearray(start + file.read(FIXED * max(count, 0)))
    if count < 1 or len(data) != FIXED * (count + 1) or said != len(data) or records < -1:
        raise DataError(f"{path}: cut short or damaged: its header says {count} signals and {said} bytes of header")
    columns, place = {}, FIXED
    for name, length in FIELDS.items():
        columns[name] = [place + index * length for index in range(count)]
        place += count * length
    for name in ("low", "high"):  # a decimal comma, which edfio does not read
        for at in columns[name]:
            data[at : at + 8] = bytes(data[at : at + 8]).replace(b",", b".")
    data[244:252] = bytes(data[244:252]).replace(b",", b".")
    samples = [_whole(path, data[at : at + 8], "samples of a record") for at in columns["samples"]]
    labels = [bytes(data[at : at + 16]).decode("latin-1").strip() for at in columns["label"]]
    if min(samples) < 0 or not sum(samples):
        raise DataError(f"{path}: damaged: a record of {sum(samples)} samples")
    if seconds <= 0 and any(not label.endswith("Annotations") for label in labels):
        raise DataError(f"{path}: its header says that a data record lasts {seconds:g} s, so no sampling rate is known")
    return _Header(data, width, records, seconds, samples, labels)


def _whole(path: Path, field: bytes | bytearray, name: str) -> int:
    value = _number(path, field, name)
    if value != int(value):
        raise DataError(f"{path}: damaged: its header's {name} is {value:g}")
    return int(value)


def _number(path: Path, field: bytes | bytearray, name: str) -> float:
    text = bytes(field).decode("latin-1").strip()
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise DataError(f"{path}: damaged: its header's {name} is {text!r}, no number")
    return value


def _check_time(path: Path, header: _Header) -> None:
    """DataError where the records of an EDF+ file do not follow each other without a gap."""
    kept = [label.endswith("Annotations") for label in header.labels]
    if not any(kept):
        return
    channel = kept.index(True)
    start = len(header.data) + header.width * sum(header.samples[:channel])
    length = header.width * header.samples[channel]
    first = None
    with path.open("rb") as file:
        for index in range(header.records):
            file.seek(start + index * header.record)
            onset = file.read(length).split(b"\x14", 1)[0].split(b"\x00")[-1].decode("latin-1")
            try:
                time = float(onset)
            except ValueError:
                return  # no record says its time
            first = time if first is None else first
            if abs(time - first - index * header.seconds) > 1e-3 * max(1.0, header.seconds):
                raise DataError(
                    f"{path}: has gaps in time (EDF+D): record {index + 1} begins at {time:g} s, "
                    f"{first + index * header.seconds:g} s are due; export it as one continuous recording"
                )


def _channel(path: Path, signal) -> Channel:
    def values() -> np.ndarray:
        if signal.physical_min == signal.physical_max or signal.digital_min == signal.digital_max:
            raise DataError(f"{path}: the header gives {signal.label} an empty range of values")
        return signal.data

    return Channel(signal.label, signal.physical_dimension, signal.sampling_frequency, partial(values))
