"""Tables of text: a row a sample, a column a lead, perhaps a column of time."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from anyecg.data.own.channels import Channel, Leads, voltage
from anyecg.types import DataError

# "II (uV)", "II[mV]", "II_mV"
UNIT = re.compile(r"^(?P<name>.*?)\s*[\[(/_]\s*(?P<unit>[munµμ]?V)\s*[\])]?$", re.IGNORECASE)
UNIT_COMMENT = re.compile(r"\bunits?\s*[:=]\s*(\S+)", re.IGNORECASE)  # "# units: uV"
SECONDS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3, "msec": 1e-3, "milliseconds": 1e-3}
TIME = {"time", "t", "elapsed"}
JITTER = 0.7  # of a sample: times rounded to milliseconds step so unevenly; a sample lost or doubled is a whole one
SLOWEST = 25.0  # Hz: a column of time that says less counts milliseconds and does not say so


def read(path: Path, leads: Leads) -> list[Channel]:
    """The columns, the one of time left out; comma, semicolon, tab or blanks between cells; comment lines begin with #.

    Names come from the header row or the last comment; units from "II (uV)", a second header row or "# units: uV".
    DataError where rows differ in length, times are irregular, or a lead's cell is no number.
    """
    lines = [(number, line) for number, line in enumerate(_text(path).splitlines(), 1) if line.strip()]
    comments = [line.lstrip("# ") for _, line in lines if line.startswith("#")]
    rows = [(number, line) for number, line in lines if not line.startswith("#")]
    separator = next((mark for mark in "\t;," if rows and mark in rows[0][1]), " ")
    heads = 0
    while heads < len(rows) and _is_header(_cells(rows[heads][1], separator)):
        heads += 1
    rows, header = (
        rows[heads:],
        [_cells(line, separator) for line in comments[-1:] + [line for _, line in rows[:heads]]],
    )
    if not rows:
        raise DataError(f"{path}: holds no row of numbers")
    numbers = [number for number, _ in rows]
    width = len(header[-1]) if heads else len(_cells(rows[0][1], separator))
    for number, cells in zip(numbers, _split((line for _, line in rows), separator)):
        if len(cells) != width:
            raise DataError(
                f"{path}: line {number} has {len(cells)} cells where {width} are due; is the file cut short?"
            )
    text = "\n".join(line for _, line in rows)
    columns = pd.read_csv(
        io.BytesIO((text if separator == "," else text.replace(",", ".")).encode()),  # a decimal comma
        sep=r"\s+" if separator == " " else separator,
        header=None,
        na_values=["-"],
        skipinitialspace=True,
        low_memory=False,
    )
    said = next((match[1] for comment in comments if (match := UNIT_COMMENT.search(comment))), "")
    fs, channels = None, []
    for index, (name, unit) in enumerate(_named([cells for cells in header if len(cells) == width], width)):
        values = partial(_values, path, columns[index], name or f"{index + 1}", numbers)
        scale = _seconds(f"{name} {unit}")
        if scale is None:
            channels.append((name, unit or said, values))
        elif fs is None:
            fs = _rate(path, values() * scale, numbers)
    return [Channel(name, unit, fs, values, assumed="mV") for name, unit, values in channels]


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # "Unicode text" of spreadsheets
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # "µV" as older spreadsheets write it


def _split(lines: Iterable[str], separator: str) -> Iterator[list[str]]:
    return map(str.split, lines) if separator == " " else csv.reader(lines, delimiter=separator, skipinitialspace=True)


def _cells(line: str, separator: str) -> list[str]:
    """One line's cells; "II (uV)" stays one where blanks separate."""
    return [cell.strip(" '") for cell in next(_split([re.sub(r"\s+(?=[\[(])", "", line)], separator))]


def _is_header(cells: Sequence[str]) -> bool:
    """Whether no cell is a number, or the cells only count the columns (0, 1, 2, ...), as pandas names them."""
    filled = [cell for cell in cells if cell]
    counted = len(filled) > 1 and filled == [str(index) for index in range(len(filled))]
    return counted or (bool(filled) and not any(_is_number(cell) for cell in filled))


def _is_number(cell: str) -> bool:
    try:
        float(cell.replace(",", "."))
    except ValueError:
        return cell == "-"  # WFDB's word for an invalid sample
    return True


def _named(header: Sequence[Sequence[str]], width: int) -> list[tuple[str, str]]:
    """(name, unit) of each column, "" where no row of the header says it; a row of units alone follows the one of
    names.
    """
    names, units = [""] * width, [""] * width
    for cells in header:
        if all(voltage(cell) or _seconds(cell) for cell in cells if cell):
            units = list(cells)
        elif not _is_number(cells[-1]):
            names = list(cells)
    split = [UNIT.match(name) for name in names]
    return [(match["name"], match["unit"]) if match else (name, unit) for match, name, unit in zip(split, names, units)]


def _seconds(name: str) -> float | None:
    """Seconds of one step of a column of time; None for any other column."""
    words = re.findall(r"[^\W\d_]+", name.lower())
    if not words or not set(words) <= TIME | SECONDS.keys():
        return None
    return next((SECONDS[word] for word in words if word in SECONDS), 1.0)


def _values(path: Path, column: pd.Series, name: str, numbers: Sequence[int]) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce")
    bad = np.flatnonzero(values.isna() & column.notna())
    if bad.size:
        raise DataError(f"{path}: line {numbers[bad[0]]}, column {name} holds {column[bad[0]]!r}, no number")
    return values.to_numpy(float)


def _rate(path: Path, times: np.ndarray, numbers: Sequence[int]) -> float:
    """Hz of samples at these seconds; a whole number where that fits every time within a sample."""
    steps = np.diff(times)
    if steps.size < 2 or not times[-1] > times[0]:
        raise DataError(f"{path}: its column of time does not rise; without it, pass fs= (Hz)")
    found = steps.size / (times[-1] - times[0])
    uneven = np.flatnonzero(~(np.abs(steps * found - 1) < JITTER))
    if uneven.size:
        raise DataError(
            f"{path}: irregular in time: a step of {steps[uneven[0]]:g} s at line {numbers[uneven[0] + 1]}, "
            f"{1 / found:g} s on average; resample it to a regular rate"
        )
    drift = [np.ptp(times * rate - np.arange(times.size)) for rate in (round(found), found)]
    if drift[1] >= 1:
        raise DataError(
            f"{path}: irregular in time: its rate changes, {found:g} Hz on average; resample it to a regular rate"
        )
    rate = float(round(found)) if drift[0] < 1 else found
    if rate < SLOWEST:
        raise DataError(f"{path}: its column of time says {rate:g} Hz; if it counts milliseconds, name it 'ms'")
    return rate
