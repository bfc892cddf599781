"""Tables of text: a row a sample and a column a lead, or the reverse; a column of time, lines of words before them."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from anyecg.data.corpora.waveform import voltage
from anyecg.data.own.channels import Channel, lead_name, short
from anyecg.data.own.formats import FileFormat, Request
from anyecg.data.own.numerals import ABSENT, TIME, Numerals, is_number
from anyecg.data.own.times import rate_of, seconds_of
from anyecg.types import DataError

# "II (uV)", "II[mV]", "II_mV"
UNIT = re.compile(r"^(?P<name>.*?)\s*[\[(/_]\s*(?P<unit>(?:[munµμ]|âµ|î¼)?V(?:olts?)?)\s*[\])]?$", re.IGNORECASE)
UNIT_COMMENT = re.compile(r"\bunits?\s*[:=]\s*(\S+)", re.IGNORECASE)  # "# units: uV"
SECONDS = {"s": 1.0, "sec": 1.0, "secs": 1.0, "second": 1.0, "seconds": 1.0, "sekunden": 1.0, "secondes": 1.0}
SECONDS |= {"ms": 1e-3, "msec": 1e-3, "milliseconds": 1e-3, "millis": 1e-3, "us": 1e-6, "µs": 1e-6}
CLOCK = {"hh", "mm", "ss", "mmm", "h", "m", "yyyy", "dd"}  # "hh:mm:ss.mmm"
TIMES = {"time", "t", "elapsed", "timestamp", "times", "zeit", "temps", "tiempo", "date", "datetime", "unix"}
COUNTERS = {
    "i",
    "n",
    "nr",
    "no",
    "index",
    "idx",
    "sample",
    "samples",
    "row",
    "sampleindex",
    "samplenumber",
    "count",
    "",
}
# What a line before the table can say, in the languages of the export.
RATE_KEY = re.compile(
    r"sampl\w*|abtast\w*|[ée]chantillonnage|muestreo|campionamento|amostragem|meetfrequentie|^(mess)?rate$|^fs$"
    r"|^frequency$",
    re.IGNORECASE,
)
NO_RATE = re.compile(  # keys of samples that are no rate: "Samples", "Sample count", "Sampling time", "Sample size"
    r"^(number\s+of\s+|n_?)?samples$|count|number|anzahl|total|length|size|\bbits?\b|resolution|depth|\b(start|end|stop)\b|date"
    r"|time|zeit|duration|dauer|dur[ée]e|duraci|\borig|\bid\b|index",
    re.IGNORECASE,
)
PERIOD_KEY = re.compile(
    r"^sampl(e|ing)\s*(period|interval|distance|step)\b|abtast(intervall|periode)|^dt$", re.IGNORECASE
)
PERIOD_VALUE = re.compile(r"^(\d+(?:[.,]\d+)?)\s*(\S+)$")
RATE_VALUE = re.compile(r"^(\d+(?:[.,]\d+)?)\s*(k?)(hz|hertz|herc?ios?|sps|samples?/s\w*)?$", re.IGNORECASE)
UNIT_KEY = re.compile(r"^(units?|einheit|unit[ée]|unidade?|unit[àa]|eenheid)$", re.IGNORECASE)
LEAD_KEY = re.compile(
    r"^(lead|ableitung|d[ée]rivation|derivaci[óo]n|derivazione|deriva[cç][ãa]o|afleiding)$", re.IGNORECASE
)
R_NAME = re.compile(r"V\d+")
DAMAGED = re.compile(r"[-+]?\.?\d")
SEPARATORS = ("\t", ";", "|", ",", " ")
SAMPLE = 200  # lines that separator and kinds of columns are found in
ALIKE = 4  # rows after the first that must be like it
WIDE = 50  # a table of so many columns, three times as many as it has rows, has its leads as rows


@dataclass
class Sheet:
    """A table's lines, taken apart.

    before: cells of the lines before its rows that are as wide as these; comments: lines that begin with # or %;
    said: {key: value} of the other lines before it.
    """

    separator: str
    rows: list[tuple[int, str]]
    width: int
    before: list[list[str]] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    said: dict[str, str] = field(default_factory=dict)


class Table(FileFormat):
    """A table of text: comma, semicolon, tab, bar or blanks between cells, decimal points or commas."""

    suffixes = (".csv", ".tsv", ".txt", ".asc")

    def read(self, path: Path, request: Request) -> list[Channel]:
        """The columns (or rows), the one of time left out.

        Names come from the row above or the last comment; units from "II (uV)", a second row or "# units: uV"; the
        rate from a column of time or a line such as "Sample Rate,512 hertz".
        DataError where rows differ in length, times are irregular, a lead's cell is no number, or a number could be
        two ("1,234").
        """
        sheet = _sheet(path, _text(path), request)
        frame = _frame(path, sheet, request)
        if len(frame) * 3 < frame.shape[1] and frame.shape[1] >= WIDE:
            return _transposed(path, sheet, frame, request)
        numbers = [number for number, _ in sheet.rows]
        said = next((match[1] for line in sheet.comments if (match := UNIT_COMMENT.search(line))), "")
        said = said or next((value for key, value in sheet.said.items() if UNIT_KEY.match(key)), "")
        fs: float | None = None
        columns: list[tuple[str, str, Callable[[], np.ndarray]] | None] = []
        for index, (name, unit) in enumerate(_named(sheet)):
            values = partial(_values, path, frame[index], name or f"{index + 1}", numbers)
            scale = _seconds(name, unit)
            clock = scale is None and _is_clock(frame[index])
            if scale is not None or clock:
                if fs is None:
                    fs = rate_of(path, seconds_of(frame[index], scale or 1.0, values), numbers, request)
                columns.append(None)
            elif _counts(name, frame[index]):
                request.note(f"left out the column {name or index + 1!r}, which counts the rows")
                columns.append(None)
            else:
                columns.append((name, unit or said, values))
        if request.count == len(columns):  # names for all columns: those of time and counters are no leads
            request.leads = tuple(word for word, column in zip(request.leads or (), columns) if column)
        kept = [column for column in columns if column]
        if fs is None:
            fs = _said_rate(path, sheet)
        names, certain = _trusted(path, [name for name, _, _ in kept], sheet, request)
        return [
            Channel(name, unit, fs, values, assumed="mV", certain=certain)
            for name, (_, unit, values) in zip(names, kept)
        ]


def _text(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # "Unicode text" of spreadsheets
        return data.decode("utf-16")
    if b"\0" in data[:1000]:
        if data[1:2] == b"\0" or data[:1] == b"\0":
            return data.decode("utf-16-le" if data[1:2] == b"\0" else "utf-16-be")
        raise DataError(f"{path}: is no text; is it in another format than its name says?")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")  # "µV" as older spreadsheets write it


def _sheet(path: Path, text: str, request: Request) -> Sheet:
    """The lines of `text`, apart: what stands before the table, and its rows."""
    lines = [(number, line) for number, line in enumerate(text.replace("\x1a", "").splitlines(), 1) if line.strip()]
    forced = None
    if lines and (match := re.fullmatch(r"\"?sep=(.)\"?", lines[0][1].strip(), re.IGNORECASE)):
        forced, lines = match[1], lines[1:]  # what Excel writes for itself
    separator = forced or _separator([line for _, line in lines])
    start = _start([_kinds(_cells(line, separator)) for _, line in lines[:SAMPLE]])
    if start is None:
        words = lines[0][1][:60] if lines else ""
        raise DataError(
            f"{path}: holds no row of numbers (its first line is {words!r})"
            if words
            else f"{path}: holds no row of numbers: it is empty"
        )
    rows = [
        (number, line)
        for number, line in lines[start:]
        if not (line.lstrip().startswith(("#", "%")) and not is_number(_cells(line, separator)[0]))
    ]
    if dropped := len(lines) - start - len(rows):
        request.note(f"left out {dropped} comment line(s) between its rows")
    sheet = Sheet(separator, rows, len(_cells(rows[0][1], separator)))
    for _, line in lines[:start]:
        bare = line.strip()
        if bare.startswith(("#", "%")):
            bare = bare.lstrip("#% ")
            sheet.comments.append(bare)
        cells = _header_cells(bare, separator, sheet.width)
        if cells is not None:
            sheet.before.append(cells)
        pair = re.split(r"[:=]" if re.match(r"[^,;\t|]*[:=]", bare) else r"[,;\t|]", bare, maxsplit=1)
        if len(pair) == 2:
            sheet.said[pair[0].strip(" \"'")] = pair[1].strip(" \"';,\t")
    return sheet


def _separator(lines: Sequence[str]) -> str:
    """The mark between cells that leaves the most numbers and the fewest words; for one column any would do."""
    sample = lines[-SAMPLE:] if len(lines) > SAMPLE else lines

    def score(mark: str) -> tuple[int, int]:
        points = 0
        for line in sample:
            kinds = _kinds(_cells(line, mark))
            points += kinds.count("n") + kinds.count("t") - 2 * (kinds.count("w") + kinds.count("x"))
        return points, -SEPARATORS.index(mark)

    best = max(SEPARATORS, key=score)
    if best == "," and _is_decimal_comma(sample, lines[:SAMPLE]):
        return " "
    return best


def _is_decimal_comma(lines: Sequence[str], before: Sequence[str]) -> bool:
    """Whether "12,8" in each line is one number: its second half is never signed, as a second column would be.

    before: the first lines of the file, of which none may name two columns.
    """
    pairs = [re.fullmatch(r"\s*([-+]?\d+)(?:,(\d+))?\s*", line) for line in lines]
    found = [pair for pair in pairs if pair and pair[2]]
    if len(found) < max(2, 0.8 * len(pairs) - 15):
        return False
    names = [_cells(line, ",") for line in before if not re.fullmatch(r"[\s\d,+-]*", line)]
    if names and len(names[-1]) == 2 and voltage(names[-1][1]) is None and _kinds(names[-1]) == "ww":
        return False
    decimals = {pair[2] for pair in found}
    padded = any(len(text) > 1 and text.startswith("0") for text in decimals)
    signed = any(pair[1].startswith("-") for pair in found)
    return padded or (signed and (len(decimals) >= 8 or any(pair[1] == "-0" for pair in found)))


def _cells(line: str, separator: str) -> list[str]:
    """One line's cells; "II (uV)" stays one where blanks separate."""
    if separator == " ":
        return [cell.strip("'\"") for cell in re.split(r"[ \t]+", re.sub(r"\s+(?=[\[(][^\d])", "", line).strip())]
    return [cell.strip(" '") for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])]


def _header_cells(line: str, separator: str, width: int) -> list[str] | None:
    """The cells of a line above a table of `width` columns, None where they are of another number."""
    if width == 1 and any(mark in line.strip() for mark in ("\t", ";", "|", ",")):
        return None  # a key and its value
    for cells in (
        _cells(line, separator),
        re.split(r"\s{2,}", line.strip()),
        re.sub(r"\s+(?=[\[(])", "", line).split(),
    ):
        cells = [cell.strip(" '\"") for cell in cells]
        if len(cells) == width + 1 and not cells[-1]:
            cells = cells[:-1]
        if len(cells) == width:
            return cells
        if len(cells) == width - 1 and width > 2 and cells == _cells(line, separator):
            return [*cells, ""]  # rows that end in a separator, below a header that does not
    return None


def _kinds(cells: Sequence[str]) -> str:
    """A letter a cell: number, time, absent, word; x for what begins as a number and is none."""
    return "".join(
        "a"
        if cell.lower() in ABSENT
        else "n"
        if is_number(cell)
        else "t"
        if TIME.fullmatch(cell)
        else "x"
        if DAMAGED.match(cell)
        else "w"
        for cell in cells
    )


def _start(kinds: Sequence[str]) -> int | None:
    """The first row: it has numbers and no word, or the rows after it are like it."""
    for index, kind in enumerate(kinds):
        after = kinds[index + 1 : index + 1 + ALIKE]
        if "n" in kind and "w" not in kind and sum(len(other) == len(kind) for other in after) * 2 >= len(after):
            return index
        if ("n" in kind or (kind and set(kind) <= {"a"} and any("n" in other for other in after))) and all(
            len(other) == len(kind) and all(_alike(*pair) for pair in zip(kind, other)) for other in after
        ):
            return index
    # rows of another kind behind the first (a last line of words in a short table)
    return next((index for index, kind in enumerate(kinds) if "n" in kind and "w" not in kind), None)


def _alike(one: str, other: str) -> bool:
    return one == other or "a" in (one, other)


def _frame(path: Path, sheet: Sheet, request: Request) -> pd.DataFrame:
    """The table's cells: numbers where a column has only these, else text."""
    first = _cells(sheet.rows[0][1], sheet.separator)
    counted = [str(index) for index in range(len(first))]
    if len(first) > 1 and first == counted and len(sheet.rows) > 1 and not sheet.before:
        sheet.rows = sheet.rows[1:]  # pandas counts the columns of a table without names
    for number, line in sheet.rows:
        count = line.count(sheet.separator) + 1 if '"' not in line and sheet.separator != " " else None
        count = len(_cells(line, sheet.separator)) if count is None else count
        if count != sheet.width:
            _wrong_row(path, sheet, number, line, count)
    text = "\n".join(line for _, line in sheet.rows)
    numerals = Numerals.of(path, text, sheet.separator)
    frame = pd.read_csv(
        io.StringIO(numerals.cleaned(text)),
        sep=r"\s+" if sheet.separator == " " else sheet.separator,
        header=None,
        na_values=sorted(ABSENT - {""}) + [word.upper() for word in sorted(ABSENT - {""})],
        skipinitialspace=True,
        decimal=numerals.decimal,
        thousands=numerals.thousands,
        low_memory=False,
        quotechar='"',
    )
    if frame.shape != (len(sheet.rows), sheet.width):
        raise DataError(
            f"{path}: {len(sheet.rows)} rows of {sheet.width} cells are due, {frame.shape[0]} of {frame.shape[1]} can "
            f"be read; are its quotes in pairs?"
        )
    if sheet.width > 1 and frame[sheet.width - 1].isna().all() and not (sheet.before and sheet.before[-1][-1]):
        frame = frame.drop(columns=sheet.width - 1)  # every row ends in a separator
        sheet.width -= 1
        sheet.before = [cells[: sheet.width] for cells in sheet.before]
    for index in frame.columns:
        if not pd.api.types.is_numeric_dtype(frame[index]):
            frame[index] = numerals.numbers(frame[index])
    return frame


def _wrong_row(path: Path, sheet: Sheet, number: int, line: str, count: int) -> None:
    kinds = _kinds(_cells(line, sheet.separator))
    if "n" not in kinds or ("w" in kinds and number == sheet.rows[-1][0]):
        raise DataError(
            f"{path}: line {number} reads {line.strip()[:60]!r}, which is no row of the table; remove it, or begin "
            f"it with #"
        )
    hint = "is the file cut short?" if count < sheet.width else "is a separator, a quote or a decimal mark wrong?"
    raise DataError(f"{path}: line {number} has {count} cells where {sheet.width} are due; {hint}")


def _named(sheet: Sheet) -> list[tuple[str, str]]:
    """(name, unit) of each column, "" where no row above says it; a row of units follows the one of names."""
    names, units = [""] * sheet.width, [""] * sheet.width
    for cells in sheet.before:
        bare = [cell.strip(" ()[]") for cell in cells]
        if any(voltage(cell) or cell.lower() in SECONDS for cell in bare if cell) and not any(
            lead_name(cell) or UNIT.match(cell) for cell in cells if cell and voltage(cell) is None
        ):
            units = bare
        elif any(not is_number(cell) for cell in cells if cell) and _leads_in(cells) >= _leads_in(names):
            names, units = list(cells), [""] * sheet.width
    split = [UNIT.match(name) for name in names]
    named = [
        (match["name"], match["unit"]) if match else (name, unit) for match, name, unit in zip(split, names, units)
    ]
    if sheet.width == 1 and not named[0][0]:
        lead = next((value for key, value in sheet.said.items() if LEAD_KEY.match(key)), "")
        named = [(lead, named[0][1])]
    return named


def _leads_in(cells: Sequence[str]) -> int:
    return sum(lead_name(cell) is not None for cell in cells)


def _said_rate(path: Path, sheet: Sheet) -> float | None:
    """Hz that the lines before the table say, by a rate ("Sample Rate,512 hertz") or by a period with its unit
    ("Sampling interval: 4 ms"); DataError where they say two.
    """
    said: dict[str, float] = {}
    for key, value in sheet.said.items():
        period = PERIOD_VALUE.match(value) if PERIOD_KEY.search(key) else None
        seconds = _decimal(period[1]) * SECONDS.get(period[2].lower(), 0.0) if period else 0.0
        if seconds > 0:
            said[key] = 1 / seconds
        match = RATE_VALUE.match(value) if RATE_KEY.search(key) and not PERIOD_KEY.search(key) else None
        number = _decimal(match[1]) if match else 0.0
        if match and number > 0 and (match[3] or not NO_RATE.search(key)):
            said[key] = round(number * (1000 if match[2] else 1), 9)
    if len({round(rate, 3) for rate in said.values()}) > 1:
        words = ", ".join(f"{key!r} {rate:g} Hz" for key, rate in said.items())
        raise DataError(f"{path}: says more than one sampling rate ({words}); leave one of these lines")
    return next(iter(said.values()), None)


def _decimal(digits: str) -> float:
    """A number with a decimal point or comma."""
    return float(digits.replace(",", "."))


def _seconds(name: str, unit: str) -> float | None:
    """Seconds of one step of a column of time; None for any other column."""
    words = re.findall(r"[^\W\d_]+", f"{name} {unit}".lower())
    if not words or not set(words) <= TIMES | SECONDS.keys() | CLOCK:
        return None
    if not set(words) & (TIMES | SECONDS.keys()) and not {"hh", "ss"} & set(words):
        return None
    return next((SECONDS[word] for word in words if word in SECONDS), 1.0)


def _is_clock(column: pd.Series) -> bool:
    """Whether a column's cells are times of day ("0:00.002") or dates with times."""
    if pd.api.types.is_numeric_dtype(column):
        return False
    cells = column.dropna().astype(str).head(ALIKE)
    return bool(len(cells)) and all(TIME.fullmatch(cell.strip(" '")) for cell in cells)


def _counts(name: str, column: pd.Series) -> bool:
    """Whether a column counts the rows, from 0 or 1, whatever lead is called so."""
    if re.sub(r"[\W_]|unnamed\W*\d*", "", name.lower()) not in COUNTERS or len(column) < 10:
        return False
    if not pd.api.types.is_numeric_dtype(column):
        return False
    values = column.to_numpy(float)
    return bool(values[0] in (0.0, 1.0) and (np.diff(values) == 1).all())


def _trusted(path: Path, names: list[str], sheet: Sheet, request: Request) -> tuple[list[str], bool]:
    """The columns' names, and whether they are the file's own: R calls nameless columns V1, V2, ..."""
    bare = [name.strip("\"'") for name in names]
    if len(names) < 2 or bare != [f"V{number}" for number in range(1, len(names) + 1)]:
        return names, True
    if len(names) > 6 and request.leads is None:
        raise DataError(
            f"{path}: its columns are called V1 to V{len(names)}, as R calls columns without a name; they are no chest "
            f"leads by that. Pass leads=, one name a column"
        )
    if request.leads is None:
        request.note(
            f"V1 to V{len(names)} are taken for chest leads; R calls columns without a name so (leads= can say "
            f"otherwise)"
        )
    return names, False


def _values(path: Path, column: pd.Series, name: str, numbers: Sequence[int]) -> np.ndarray:
    values = pd.to_numeric(column, errors="coerce")
    bad = np.flatnonzero(values.isna() & column.notna())
    if bad.size:
        raise DataError(f"{path}: line {numbers[bad[0]]}, column {name} holds {column.iloc[bad[0]]!r}, no number")
    return values.to_numpy(float)


def _transposed(path: Path, sheet: Sheet, frame: pd.DataFrame, request: Request) -> list[Channel]:
    """The rows of a table that has its leads as rows: a name and then samples, or samples alone."""
    worded = not pd.api.types.is_numeric_dtype(frame[0])
    names = [str(name).strip(" '\"") for name in frame[0]] if worded else [""] * len(frame)
    samples = frame.iloc[:, 1:] if worded else frame
    if worded and sheet.before:
        pass  # a header above it counts the samples
    fs, channels = None, []
    for row, text in enumerate(names):
        match = UNIT.match(text)
        name, unit = (match["name"], match["unit"]) if match else (text, "")
        values: Callable[[], np.ndarray] = partial(
            _values, path, samples.iloc[row], name or f"row {row + 1}", [sheet.rows[row][0]] * samples.shape[1]
        )
        scale = _seconds(name, "") if name else None
        if scale is not None:
            fs = rate_of(path, values() * scale, list(range(1, samples.shape[1] + 1)), request)
        else:
            channels.append((name, unit, values))
    request.note(f"its {len(channels)} leads are rows")
    fs = fs or _said_rate(path, sheet)
    if not any(name for name, _, _ in channels) and request.leads is None:
        raise DataError(
            f"{path}: its {len(channels)} rows of {samples.shape[1]:,} numbers have no names; pass leads=, one a row "
            f"({short([f'row {row + 1}' for row in range(len(channels))])})"
        )
    return [Channel(name, unit, fs, values, assumed="mV") for name, unit, values in channels]
