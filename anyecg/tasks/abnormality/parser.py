"""Which labels of a list an answer gives, read strictly and as PULSE's scorer reads.

Strict: a label counts where its acronym (in its own capitals) or its name stands as a whole word and is not denied; "A
or B" is open and no answer; neither is a text that names no label and does not say that there is none. Published: a
label counts where its acronym occurs anywhere in the text, in its own capitals, "no AF" and "ABNORMAL" (which holds
"NORM") included (PULSE's section 3.2 and its scorer; of an answer with "Answer:", what follows it).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from itertools import pairwise

from anyecg.findings import asserted
from anyecg.tasks.reply import json_value, last_answer, plain_text

LONGEST = 4000  # characters of an answer, without its thoughts, that are read
NONE = re.compile(
    r"^\W*(?:none|nothing|no\s+(?:abnormalit(?:y|ies)|findings?|labels?|options?|such\s+\w+))\b"
    r"|\bnone\s+(?:of\s+(?:the(?:se|m)?|those)\b|applies|apply|is\s+(?:present|shown|seen)|are\s+(?:present|shown|seen))"
    r"|\b(?:shows?|has|displays?|is|are)\s+none\b",
    re.IGNORECASE,
)
OPEN = re.compile(
    r"\b(?:or|either|versus|vs|r/o|rule\s+out|(?:cannot|can't|can\s+not|could\s+not)\s+(?:be\s+)?(?:exclude|rule)d?)\b|\?",
    re.IGNORECASE,
)
ABSENT = re.compile(  # a heading, and the list below it
    r"(?:^|(?<=[.;\n]))\W*(?:absent|negative|not\s+(?:present|seen|found|applicable)|excluded|ruled\s+out|unlikely)"
    r"(?:\s+(?:findings?|labels?|diagnos[ie]s|abnormalities|options?))?\s*:[^.;\n]+",
    re.IGNORECASE,
)
CROSS, TICK = r"(?:[❌✗✘✖☐]|\[\s?\])", r"(?:[✅✓✔☑]|\[[xX]\])"
MARK = re.compile(rf"{CROSS}|{TICK}")
SHARE = re.compile(r"\s*[:(=|]\s*(?:0?\.\d|1\.0|\d{1,3}(?:\.\d+)?\s*%)")  # of a probability
ANSWER = "Answer:"


def read_labels(text: str, options: Mapping[str, str]) -> frozenset[str] | None:
    """The acronyms that an answer gives, empty where it says that none applies; None where it cannot be read.

    options: acronym -> name.
    """
    said = last_answer(plain_text(text))[:LONGEST].strip()
    value = json_value(said)
    if isinstance(value, dict):
        value = _unpacked(value)
        if value is None:
            return None
    if isinstance(value, list):
        said = "; ".join(str(item) for item in value) if value else "none"
    said = ABSENT.sub(" ", "\n".join(_line(line) for line in said.splitlines()))
    pattern, acronyms = _pattern(tuple(options.items()))
    named = list(pattern.finditer(said))
    if not named:
        return frozenset() if NONE.search(said) else None
    if OPEN.search(pattern.sub(" ", said)[: named[-1].end() + 40]) or "?" in said:
        return None
    if any(SHARE.match(said, match.end()) for match in named):
        return None
    # a list's separators end a denial as a full stop does; those inside a label ("ST/T change") stay
    edges = [0, *(edge for match in named for edge in match.span()), len(said)]
    parts = [said[start:end] for start, end in pairwise(edges)]
    apart = "".join(part if at % 2 else re.sub(r"\s*[;/|\n]\s*", ". ", part) for at, part in enumerate(parts))
    held = frozenset(acronyms.get(match) or acronyms[_low(match)] for match in asserted(apart, pattern))
    if held:
        return held
    return frozenset() if NONE.search(said) else None


def _unpacked(value: dict) -> list | None:
    """The labels of a JSON object: its list (of what is present), else a verdict a label, "MI: no"; None where a value
    is neither.
    """
    lists = [item for key, item in value.items() if isinstance(item, list) and not ABSENT.match(f"{key}: x")]
    if lists:
        return lists[0]
    words = {True: "yes", False: "no", None: "no"}
    if any(not isinstance(item, str) and item not in words for item in value.values()):
        return None
    return [f"{key}: {item if isinstance(item, str) else words[item]}" for key, item in value.items()]


def _line(line: str) -> str:
    """A line whose table cells and marks are words: "| MI | no |" and "MI ❌" as "MI: no"."""
    if line.count("|") > 1:
        line = ": ".join(cell.strip() for cell in line.strip().strip("|").split("|"))
    marks = list(MARK.finditer(line))
    if not marks:
        return line
    before = not line[: marks[0].start()].strip(" -*•|:")
    edges = [mark.start() if before else mark.end() for mark in marks]
    pieces = [line[start:end] for start, end in zip([0, *edges], [*edges, len(line)])]
    return "; ".join(
        MARK.sub("", piece) if not re.search(CROSS, piece) else f"{MARK.sub('', piece).strip(' ,;:|-')}: no"
        for piece in pieces
        if piece.strip()
    )


def named_labels(text: str, options: Mapping[str, str]) -> frozenset[str]:
    """The acronyms of the labels that a text names as whole words, denied or not."""
    pattern, acronyms = _pattern(tuple(options.items()))
    return frozenset(acronyms.get(match) or acronyms[_low(match)] for match in pattern.findall(text))


def read_as_published(text: str, options: Mapping[str, str]) -> frozenset[str]:
    """The acronyms that occur anywhere in a text, in their own capitals."""
    tail = text.rpartition(ANSWER)[2]
    return frozenset(acronym for acronym in options if acronym in tail)


@lru_cache(maxsize=256)
def _pattern(options: tuple[tuple[str, str], ...]) -> tuple[re.Pattern[str], dict[str, str]]:
    """What finds a label by acronym, name or both together, and the acronym that each wording stands for."""
    acronyms: dict[str, str] = {}
    parts = []
    for acronym, name in options:
        short, full = re.escape(acronym), r"\s+".join(map(re.escape, name.split()))
        parts += [(len(acronym) + len(name) + 1, rf"(?-i:{short})\s?\(\s*{full}\s*\)"), (len(name), full)]
        parts.append((len(acronym), rf"(?-i:{short})"))
        for wording in (name, f"{acronym}({name})", f"{acronym} ({name})"):
            acronyms.setdefault(_low(wording), acronym)
    acronyms |= {acronym: acronym for acronym, _ in options}
    longest = [part for _, part in sorted(parts, key=lambda part: -part[0])]
    return re.compile(rf"(?<![\w-])(?:{'|'.join(longest)})(?![\w-])", re.IGNORECASE), acronyms


def _low(text: str) -> str:
    """Without capitals, in single blanks, none inside brackets."""
    return re.sub(r"(?<=\()\s+|\s+(?=\))", "", " ".join(text.casefold().split()))
