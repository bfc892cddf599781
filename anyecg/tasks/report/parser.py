"""The report in an answer, and its phrases."""

from __future__ import annotations

import re


def plain(text: str) -> str:
    """A report without its leading "Report:" and without the blanks and stops around it."""
    return re.sub(r"^\s*report\s*:", "", text, flags=re.IGNORECASE).strip(" \t\r\n.,;")


def phrases(text: str) -> list[str]:
    """The statements of a report: its parts between commas, semicolons, full stops and line ends."""
    parts = re.split(r"[,;\n]|\.(?=\s|$)", plain(text))
    return [part.strip() for part in parts if re.search(r"\w", part)]
