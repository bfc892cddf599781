"""What an answer to an ECG-QA question says: yes, no or not sure; or a set of answers of the vocabulary."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

VERIFY = ("not sure", "yes", "no")
_LEAD_IN = re.compile(
    r"^\W*(?:(?:(?:the|my|final|correct|ecg)\s+)*answers?\s*(?::|\bis\b|\bare\b)\s*:?\s*)?"
    r"(?:(?:the|this)\s+(?:first\s+|second\s+)?(?:ecg|tracing)\s+(?:shows?|displays?|reveals?|exhibits?|has)\s+)?"
)
_SEPARATOR = r"(?:^|\n)\s*(?:[-*•]|\d+[.)])\s+|[,;&\n]|\.(?=\s)|(?<!\w)(?:and|both)(?!\w)"
_AROUND = " \t\n.,;:!*\"'`"


def read_verdict(text: str, allowed: Iterable[str] = VERIFY) -> frozenset[str] | None:
    """Which of yes, no and not sure an answer gives, as a set of one; None if none."""
    said = plain(text)
    first = next((word for word in allowed if re.match(rf"{word}(?!\w)", said)), None)
    return frozenset({first}) if first else None


def read_answers(text: str, vocabulary: frozenset[str], more: frozenset[str] = frozenset(), question: str = "") -> frozenset[str] | None:
    """The answers between separators; None if none of the vocabulary is there.

    more: answers known beside the vocabulary's; question: the user's text, which offers the answers of a "choose" question.
    """
    known = vocabulary | more
    found = _items(plain(text), known)
    return (found or None) if (found & known if vocabulary else found) else None


def plain(text: str) -> str:
    """An answer as it is compared: in lower case, without what leads in to it and the blanks and stops around it."""
    return _LEAD_IN.sub("", re.sub(r"[^\S\n]+", " ", text.casefold())).strip(_AROUND)


def _items(said: str, known: Iterable[str]) -> frozenset[str]:
    """What stands between separators, save those inside an answer of the vocabulary."""
    parts, start = [], 0
    for match in _separators(frozenset(known)).finditer(said):
        if match["separator"]:
            parts.append(said[start : match.start()])
            start = match.end()
    return frozenset(part.strip(_AROUND) for part in [*parts, said[start:]] if re.search(r"\w", part))


@lru_cache(maxsize=1024)
def _separators(known: frozenset[str]) -> re.Pattern[str]:
    """Matches whole answers, the longest first, and separators outside them."""
    answers = "|".join(map(re.escape, sorted(known, key=lambda answer: (-len(answer), answer))))
    whole = rf"(?<!\w)(?:{answers})(?!\w)|" if answers else ""
    return re.compile(rf"{whole}(?P<separator>{_SEPARATOR})")
