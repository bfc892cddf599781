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

from anyecg.findings import asserted
from anyecg.tasks.reply import json_value, last_answer, plain_text

LONGEST = 4000  # characters of an answer, without its thoughts, that are read
NONE = re.compile(
    r"^\W*(?:none|nothing|no\s+(?:abnormalit(?:y|ies)|findings?|labels?|options?|such\s+\w+))\b"
    r"|\bnone\s+(?:of\s+(?:the(?:se|m)?|those)\b|applies|apply|is\s+(?:present|shown|seen)|are\s+(?:present|shown|seen))"
    r"|\b(?:shows?|has|displays?|is|are)\s+none\b",
    re.IGNORECASE,
)
OPEN = re.compile(r"\b(?:or|either|versus|vs)\b|\?", re.IGNORECASE)
ANSWER = "Answer:"


def read_labels(text: str, options: Mapping[str, str]) -> frozenset[str] | None:
    """The acronyms that an answer gives, empty where it says that none applies; None where it cannot be read.

    options: acronym -> name.
    """
    said = last_answer(plain_text(text))[:LONGEST].strip()
    value = json_value(said)
    if isinstance(value, dict):
        value = next((item for item in value.values() if isinstance(item, list)), None)
    if isinstance(value, list):
        said = "; ".join(str(item) for item in value) if value else "none"
    pattern, acronyms = _pattern(tuple(options.items()))
    named = list(pattern.finditer(said))
    if not named:
        return frozenset() if NONE.search(said) else None
    if OPEN.search(pattern.sub(" ", said[: named[-1].end()])) or "?" in said:
        return None
    # a list's separators end a denial as a full stop does
    apart = re.sub(r"\s*[;/|\n]\s*", ". ", said)
    held = frozenset(acronyms.get(match) or acronyms[_low(match)] for match in asserted(apart, pattern))
    if held:
        return held
    return frozenset() if NONE.search(said) else None


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
