"""What an answer over several ECGs says, as a set of facts that can be compared with another answer's.

Each kind of MultiECG question (`anyecg.tasks.multi_ecg.templates`; "written" for those of an LLM) has a reader
`(text, sample) -> facts | None`: it reads the reference and the model's answer alike, so wording and order do not
matter, and None means there is nothing to be read. A fact is a tuple: `("shows", finding)`, `("new", finding)`,
`("resolved", finding)`, `(ecg, rhythm)`, `("ecg", number)`, `("count", number)`, `("answer", "yes")`, `("absent",
finding)`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from anyecg.findings import BY_KEY, find
from anyecg.tasks.reply import plain_text
from anyecg.types import ECGSample

Facts = frozenset[tuple]

_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6}
_NUMBERS = {"zero": 0, "no": 0, "none": 0, "one": 1, "two": 2, "both": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_RECORDING = r"(?:ECGs?|EKGs?|recordings?|tracings?|one)"
_PLACE = re.compile(
    rf"\b(?:({'|'.join(_ORDINALS)}|last)\s+{_RECORDING}|(?:ECG|EKG)\s*#?\s*(\d)|(all|both|every"
    rf"|each)\b(?:\s+\w+){{0,2}}?\s+{_RECORDING})\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(rf"\b(?:({'|'.join(_NUMBERS)}|all)|(?<!\d\.)(\d)(?!\.\d|\s*s\b))\b", re.IGNORECASE)
_NOTHING = re.compile(
    r"\bnothing\b|\bnone\b|\bno\s+(?:\w+\s+)?(?:changes?|differences?|findings?|abnormalit(?:y|ies)|ECGs?)\b"
    r"|\b(?:unchanged|does\s+not\s+change)\b",
    re.IGNORECASE,
)
_RESOLVED = re.compile(r"\b(?:no\s+longer|resolv\w+|resolution|disappear\w*|gone|lost|vanish\w*)\b", re.IGNORECASE)
_NEW = re.compile(r"\b(?:new|newly|now|appear(?:s|ed)?|develop\w*|onset|emerg\w+)\b", re.IGNORECASE)
_CLAUSE = re.compile(
    r"[.;\n]+(?:\s|$)|\b(?:but|while|whereas)\b|(?:,|\band)\s+(?=(?:the\s+\w+\s+ECG\s+)?(?:no\s+longer|newly|now)\b)",
    re.IGNORECASE,
)


def findings(text: str, sample: ECGSample) -> Facts | None:
    """The findings asserted, whichever ECG they are in; the empty set where the text says there are none."""
    found = find(text)
    return frozenset(("shows", key) for key in found) if found or _NOTHING.search(text) else None


def changes(text: str, sample: ECGSample) -> Facts | None:
    """What is new and what has resolved; what is merely shown is as before. That nothing changes is a fact too."""
    facts = {("nothing changes",)} if _NOTHING.search(text) else set()
    for clause in _CLAUSE.split(text):
        if _RESOLVED.search(clause):
            facts |= {("resolved", key) for key in _mentioned(clause)}
        else:
            facts |= {("new" if _NEW.search(clause) else "shows", key) for key in find(clause)}
    return frozenset(facts) or None


def rhythm(text: str, sample: ECGSample) -> Facts | None:
    """The rhythms of every ECG; a rhythm said of one ECG holds until the next that is spoken of."""
    total = len(sample.records)
    places = list(_PLACE.finditer(text))
    edges = [0, *(edge for place in places for edge in place.span()), len(text)]
    pieces = [_rhythms(text[start:end]) for start, end in zip(edges[::2], edges[1::2])]  # around the places
    if not places:
        said = {1: pieces[0]}
    else:
        # "sinus rhythm in the first ECG" or "the first ECG shows sinus rhythm"
        beside = pieces[:-1] if pieces[0] else pieces[1:]
        said = {min(_numbers(place, total), default=1): piece for place, piece in zip(places, beside) if piece}
    facts, current = set(), frozenset()
    for k in range(1, total + 1):
        current = said.get(k, current)
        facts |= {(k, key) for key in current}
    return frozenset(facts) or None


def which(text: str, sample: ECGSample) -> Facts | None:
    """The ECGs named, `("ecg", None)` where the text says that none is meant, and findings that were not asked for."""
    places = {k for place in _PLACE.finditer(text) for k in _numbers(place, len(sample.records))}
    if not places and not _NOTHING.search(text):
        return None
    return frozenset(("ecg", k) for k in places or {None}) | _unasked(text, sample)


def how_many(text: str, sample: ECGSample) -> Facts | None:
    """The first number said, or how many ECGs are named, and findings that were not asked for."""
    places = {k for place in _PLACE.finditer(text) if place[3] is None for k in _numbers(place, len(sample.records))}
    number = _NUMBER.search(_PLACE.sub(lambda place: place[0] if place[3] else "", text))
    if number is None and not places:
        return None
    if number is None:
        count = len(places)
    elif number[2]:
        count = int(number[2])
    else:
        count = _NUMBERS.get(number[1].lower(), len(sample.records))
    return frozenset([("count", count)]) | _unasked(text, sample)


def yes_or_no(text: str, sample: ECGSample) -> Facts | None:
    """The polarity of an answer, and findings that were not asked for; None where its word and its sentence
    disagree.
    """
    asked = sample.meta["reference"]["finding"]
    word = re.match(r"\W*(yes|no|not)\b", text, re.IGNORECASE)
    polarities = {word[1].lower() == "yes"} if word else set()
    if BY_KEY[asked].pattern.search(text):
        polarities.add(asked in find(text))
    if len(polarities) != 1:
        return None
    return frozenset([("answer", "yes" if polarities.pop() else "no")]) | _unasked(text, sample)


def written(text: str, sample: ECGSample) -> Facts | None:
    """Of a question that an LLM wrote: the findings asserted, and which of those that the reference denies are
    denied.
    """
    shown, denied = find(text), _mentioned(text).intersection(sample.meta["reference"]["absent"])
    facts = frozenset(("shows", key) for key in shown) | frozenset(("absent", key) for key in denied - shown)
    return facts or (frozenset() if _NOTHING.search(text) else None)


READERS: dict[str, Callable[[str, ECGSample], Facts | None]] = {
    "key_findings": findings,
    "consistent": findings,
    "changes": changes,
    "rhythm": rhythm,
    "first_seen": which,
    "how_many": how_many,
    "present": yes_or_no,
    "persists": yes_or_no,
    "written": written,
}


def read(text: str, sample: ECGSample) -> Facts | None:
    """The facts of an answer to the sample's kind of question; of a kind unknown here, the findings it asserts."""
    return READERS.get(sample.meta.get("kind", ""), findings)(plain_text(text), sample)


def _mentioned(text: str) -> frozenset[str]:
    """Findings named in a text, asserted or denied."""
    return frozenset(key for key, finding in BY_KEY.items() if finding.pattern.search(text))


def _unasked(text: str, sample: ECGSample) -> Facts:
    """Findings that the text asserts beside the one the question is about."""
    return frozenset(("shows", key) for key in find(text) - {sample.meta["reference"]["finding"]})


def _rhythms(text: str) -> frozenset[str]:
    return frozenset(key for key in find(text) if BY_KEY[key].kind == "rhythm")


def _numbers(place: re.Match[str], total: int) -> set[int]:
    """The ECGs, counted from 1, that a match of `_PLACE` names."""
    ordinal, digit, _ = place.groups()
    if ordinal:
        return {_ORDINALS.get(ordinal.lower(), total)}
    return {int(digit)} if digit else set(range(1, total + 1))
