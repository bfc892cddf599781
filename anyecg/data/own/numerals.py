"""How a table writes its numbers: decimal points or commas, and marks between thousands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from anyecg.types import DataError

# Cells that hold no number, in small letters: the words of statistics programs, WFDB and spreadsheets.
ABSENT = {
    "",
    "-",
    "nan",
    "na",
    "n/a",
    "null",
    "none",
    "#n/a",
    "#div/0!",
    "#value!",
    "#ref!",
    "#num!",
    "#name?",
    "#null!",
}
ABSENT |= {"#nv", "#wert!", "#bezug!", "#zahl!"}
NUMBER = re.compile(
    r"[-+\u2212]?(\d+([.,'\u2019\u00a0\u202f]\d+)*[.,]?|[.,]\d+)([eE][-+]?\d+)?|[-+]?inf(inity)?", re.IGNORECASE
)
# "0:00.002", "12:01:02,5", "[12:01:02.500]", "2020-01-01 12:00:00.002"
TIME = re.compile(r"\[?'?(\d{4}-\d\d-\d\d[ T])?(\d+:)?\d+:\d+([.,]\d+)?(Z|[+-]\d\d:?\d\d)?'?\]?")
TOKEN = re.compile(r"(?<![\w:.,'\u2019])[-+]?\d[\d.,'\u2019\u00a0\u202f]*(?![\w:])")
MOST = 30_000_000  # characters that are looked at
QUOTED = re.compile(r'"[-+]?\d+,\d+([eE][-+]?\d+)?"')


def is_number(cell: str) -> bool:
    """Whether a cell is a number in any country's writing, or stands for an absent one (but is not empty)."""
    cell = cell.strip()
    return bool(NUMBER.fullmatch(cell)) or (bool(cell) and cell.lower() in ABSENT)


def _grouped(mark: str, point: str) -> re.Pattern[str]:
    """Numbers of 1,000 and more with `mark` between thousands."""
    return re.compile(rf"[-+]?[1-9]\d{{0,2}}({re.escape(mark)}\d{{3}})+({re.escape(point)}\d*)?")


@dataclass(frozen=True)
class Numerals:
    """decimal: the mark before decimals; thousands: the mark between thousands, None where there is none."""

    decimal: str = "."
    thousands: str | None = None

    @classmethod
    def of(cls, path: Path, text: str, separator: str) -> Numerals:
        """How the cells of a table's rows are written; DataError where they can be read two ways."""
        text = text[:MOST]
        if separator == ",":
            if QUOTED.search(text):  # "0,5" in quotes, between commas
                return cls(",")
            tokens = re.findall(r"(?<![^,\s])[-+]?\d+(?:\.\d+)?(?![^,\s])", text)
            _check_points(path, tokens)
            return cls()
        tokens = TOKEN.findall(text)
        commas = [token for token in tokens if "," in token]
        points = [token for token in tokens if "." in token]
        if not commas:
            _check_points(path, tokens)
            return cls()
        if all(_grouped(",", ".").fullmatch(token) for token in commas):
            plain = [token for token in tokens if "," not in token]
            sure = any(token.count(",") > 1 or "." in token for token in commas) or any(
                not _grouped(".", ",").fullmatch(token) for token in points
            )
            small = plain and all(abs(float(token.replace("'", ""))) < 1000 for token in plain if _is_float(token))
            if sure or small:
                return cls(".", ",")
            raise DataError(
                f"{path}: {commas[0]!r} can be {commas[0].replace(',', '.')} or {commas[0].replace(',', '')}; write "
                f"its numbers with decimal points and nothing between thousands"
            )
        grouped = [token for token in points if _grouped(".", ",").fullmatch(token)]
        if len(grouped) < len(points):
            other = next(token for token in points if token not in grouped)
            mixed = next(token for token in commas if not _grouped(",", ".").fullmatch(token))
            raise DataError(
                f"{path}: has decimal commas ({mixed}) and decimal points ({other}); write it with one of them"
            )
        if grouped:
            _check_columns(path, text, separator)
        return cls(",", "." if grouped else None)

    def cleaned(self, text: str) -> str:
        """The text without what pandas does not read: other marks between thousands, a minus sign that is no hyphen."""
        text = text.replace("\u2212", "-")
        return re.sub(r"(?<=\d)['\u2019\u00a0\u202f](?=\d{3}(?!\d))", "", text)

    def numbers(self, column: pd.Series) -> pd.Series:
        """A column of text with the decimal mark that Python reads, where its cells are numbers."""
        words = column.map(lambda cell: cell.strip(" '") if isinstance(cell, str) else cell)
        if self.thousands:
            words = words.map(lambda cell: cell.replace(self.thousands, "") if _is_text_number(cell) else cell)
        if self.decimal == ",":
            words = words.map(lambda cell: cell.replace(",", ".") if _is_text_number(cell) else cell)
        made = pd.to_numeric(words, errors="coerce")
        return made if not (made.isna() & words.notna()).any() else words


def _check_columns(path: Path, text: str, separator: str) -> None:
    """DataError where one column has "0,8" and "12.800": decimals would follow its thousands too."""
    kinds: dict[int, dict[str, str]] = {}
    for line in text.splitlines():
        for index, cell in enumerate(line.split(None if separator == " " else separator)):
            cell = cell.strip(" \"'")
            if ("," in cell) != ("." in cell) and NUMBER.fullmatch(cell):
                kinds.setdefault(index, {}).setdefault("," if "," in cell else ".", cell)
    for column, found in kinds.items():
        if len(found) == 2:
            raise DataError(
                f"{path}: column {column + 1} has {found[',']} with a decimal comma and {found['.']} with a point; "
                f"write it with one of them"
            )


def _is_float(token: str) -> bool:
    try:
        float(token.replace("'", ""))
    except ValueError:
        return False
    return True


def _is_text_number(cell: object) -> bool:
    return isinstance(cell, str) and bool(NUMBER.fullmatch(cell))


def _check_points(path: Path, tokens: list[str]) -> None:
    """DataError where points can only be those between thousands, as in "8", "-74" and "1.234"."""
    points = [token for token in tokens if "." in token]
    if not points or not all(_grouped(".", ",").fullmatch(token) for token in points):
        return
    plain = [token for token in tokens if "." not in token and _is_float(token)]
    if (
        len(plain) > len(points)
        and max(abs(float(token)) for token in plain) < 1000
        and any(abs(float(token)) >= 100 for token in plain)
    ):
        raise DataError(
            f"{path}: {points[0]!r} beside {plain[0]!r} can be {points[0]} or {points[0].replace('.', '')}; write its "
            f"numbers with decimal points and nothing between thousands"
        )
