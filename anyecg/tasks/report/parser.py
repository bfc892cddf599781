"""The report in an answer, and its phrases."""

from __future__ import annotations

import re

from anyecg.tasks.reply import json_value, plain_text

_HEADING = re.compile(
    r"^(?:(?:here\s+is|this\s+is|below\s+is)\s+)?(?:(?:the|an?|my|ecg|final|official|full)\s+){0,4}(?:report|findings"
    r"|interpretation|impression)\s*:",
    re.IGNORECASE,
)
_MARKER = re.compile(r"^\s*(?:[-*•]|\d{1,2}[.)])\s+", re.MULTILINE)
_RULE = re.compile(r"^[\s|:-]+$")


def plain(text: str) -> str:
    """A report without thoughts and markup, its leading "Report:", list markers and the blanks and stops around it;
    a table's row is "cell: cell".
    """
    text = plain_text(text)
    value = json_value(text)
    if isinstance(value, dict) and len(value) == 1 and isinstance(held := next(iter(value.values())), str):
        text = held
    lines = [_row(line) for line in text.splitlines() if "|" not in line or not _RULE.match(line)]
    return _MARKER.sub("", _HEADING.sub("", "\n".join(lines).strip())).strip(" \t\r\n.,;")


def phrases(text: str) -> list[str]:
    """The statements of a report: its parts between commas, semicolons, full stops and line ends."""
    parts = re.split(r"[,;\n]|\.(?=\s|$)", plain(text))
    return [part.strip() for part in parts if re.search(r"\w", part)]


def _row(line: str) -> str:
    return (
        ": ".join(cell.strip() for cell in line.strip().strip("|").split("|"))
        if line.lstrip().startswith("|")
        else line
    )
