"""The lines of a CSV file that are rows of it, told from those that are not."""

from __future__ import annotations

import csv
from collections.abc import Iterator


def sound(lines: list[str]) -> tuple[list[str], list[str]]:
    """(the lines of the file's rows, what is wrong with each line that is left out), given all lines with their ends.

    A row has no more fields than the first, and one that goes on over several lines has as many; where that is not so
    because a quote was never closed, its own line alone is left out, and not what follows it.
    """
    kept, wrong = [], []
    for begin, end, fault in _rows(lines):
        if fault:
            wrong.append(f"line {begin + 1}: {fault}: {lines[begin].strip()[:80]}")
        else:
            kept += lines[begin:end]
    return kept, wrong


def _rows(lines: list[str]) -> Iterator[tuple[int, int, str]]:
    """(first line, line after the last, what is wrong or "") of each row, in order."""
    width, at = 0, 0
    while at < len(lines):
        start, reader = at, csv.reader(lines[at:])
        while at < len(lines):
            try:
                row = next(reader)
            except csv.Error as error:  # a field without an end
                yield at, at + 1, str(error)
                at += 1
                break
            begin, at = at, start + reader.line_num
            width = width or len(row)
            if len(row) > width or (len(row) < width and at > begin + 1):
                yield begin, begin + 1, f"{len(row)} fields, not {width}"
                if at > begin + 1:
                    at = begin + 1
                    break
            else:
                yield begin, at, ""
