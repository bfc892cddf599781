"""The score from 0 to 5 that a judge's reply gives, or why there is none."""

from __future__ import annotations

import re

from anyecg.tasks.reply import without_thoughts

LOWEST, HIGHEST = 0.0, 5.0

# Why a reply has no score.
EMPTY = "empty reply"
CUT, NO_NUMBER, SEVERAL = "reply cut before its number", "reply without a number", "reply with several numbers"
OUTSIDE, OTHER_SCALE, IN_PROSE = "number outside 0 to 5", "score on another scale", "number in prose that is not called the score"

_NUMBER = r"(?:(?<![\w.])[-−])?(?<![\w.,])\d+(?:\.\d+)?(?![\w,]*\d|\.\d)"
_BARE = re.compile(f"({_NUMBER})")
_OUT_OF_FIVE = r"\s*(?:a\s+(?:possible|maximum)\s+)?5(?:\.0+)?(?![\d.]*\d)"
_RANGE = re.compile(r"\b(?:from|between|of)?\s*\(?\b0(?:\.0)?\s*(?:-|–|—|to|and)\s*5(?:\.0)?\b\)?(?!\.\d)", re.IGNORECASE)
_SCALE = re.compile(rf"{_RANGE.pattern}|(?:/|\bout\s+of\b){_OUT_OF_FIVE}", re.IGNORECASE)
_FRACTION = re.compile(r"\d\s*(?:/|\bout\s+of\b)\s*\d|\d\s*%", re.IGNORECASE)
_OF_FIVE = re.compile(rf"({_NUMBER})\s*(?:/|\b(?:out\s+)?of\b){_OUT_OF_FIVE}", re.IGNORECASE)
_AFTER_OF_FIVE = re.compile(r"\s*(?:\Z|[.,;:!?()\]}\"'=–—]|-\s|(?:because|since|as|due|given|but|overall|stars?|points?|marks?)\b)", re.IGNORECASE)
_LEADING = re.compile(rf"[\s\"'(\[]*({_NUMBER})(?:\s+-+\s+|\s*[–—]\s*)(?=[^\W\d_])")
_LABELLED = re.compile(
    rf"\b(?:score|rating)\b(?:\s+(?:is|of|would\s+be|should\s+be))?\s*[:=]?\s*({_NUMBER})(?!\s+(?:would|could|can|cannot|if|is|means|needs|requires)\b)",
    re.IGNORECASE,
)
_SENTENCE, _PART = re.compile(r"[.;!?](?=\s)|\n"), re.compile(r"[,:–—]|\b(?:but|and)\b", re.IGNORECASE)
_NAMED = re.compile(r"\b(?:ECGs?|EKGs?|recordings?|tracings?|leads?)\s*#?\d+(?:\s*(?:,|and|or|&|to|-)\s*#?\d+)*\b", re.IGNORECASE)
_COUNTED = re.compile(rf"{_NUMBER}(?=\s+[^\W\d_])(?!\s+(?:or|and|but|because|since|as|if|at|for|to|points?|stars?|marks?|overall|would|is)\b)", re.IGNORECASE)
_SUPPOSED = frozenset("if unless had were otherwise instead".split())
_GIVING = frozenset(
    "rate rated rating score scored scores give gives gets grade mark marks deserves receives assign award overall final total so hence therefore thus".split()
)
_AROUND = _GIVING | frozenset(  # what may stand around the one number of a reply for it to be the score
    "a an and answer as at be d for i in is it my number of on out point points response s scale star stars that the this to would".split()
)
_WORDS = {word: float(value) for value, word in enumerate(("zero", "one", "two", "three", "four", "five"))}


def read_score(text: str, cut: bool = False) -> tuple[float | None, str]:
    """The score from 0 to 5 that a reply gives, and ""; or None, and why there is none. cut: the reply hit its length limit.

    Read: "4", "4/5", "**Score: 3.5**", "4 out of 5", "On a scale from 0 to 5: 4.", "Four.", and with reasons "I'd rate this 4/5
    because ECG 2 is wrong", "4 - the answer is right". Not read: two different numbers, a number outside the scale or on
    another one ("8/10", "80 %"), one that speaks of something else ("1 error", "3 of 5 ECGs are right"), words alone.
    """
    text = without_thoughts(text).replace("½", ".5").strip()
    if not text:
        return None, CUT if cut else EMPTY
    word = re.fullmatch(r"\W*([a-z]+)\W*", text, re.IGNORECASE)
    if word and word[1].lower() in _WORDS:
        return _WORDS[word[1].lower()], ""
    text = re.sub(r"[*_`]|\\boxed", " ", text)
    rest = _SCALE.sub(" ", text)
    if cut and re.search(r"\d\W*\Z", rest):
        return None, CUT
    if _FRACTION.search(rest):
        return None, OTHER_SCALE
    labelled = {_float(found[1]) for found in _LABELLED.finditer(rest) if _SUPPOSED.isdisjoint(_words(_sentence(rest, found.start())))}
    numbers = _floats(_BARE, rest)
    stated, others = _stated(_RANGE.sub(" ", text))
    told = labelled | stated if len(labelled) == 1 else stated | others if stated else numbers
    if len(told) != 1:
        return None, SEVERAL if told else CUT if cut else NO_NUMBER
    if not labelled and not stated and not _AROUND.issuperset(_words(rest)):
        return None, IN_PROSE
    score = told.pop()
    return (score, "") if LOWEST <= score <= HIGHEST else (None, OUTSIDE)


def _stated(text: str) -> tuple[set[float], set[float]]:
    """Scores that a sentence gives out of five or that lead the text before a dash; other numbers that could be the score.

    Those are the rest of what is out of five, and numbers from 0 to 5 that neither name an ECG nor count something.
    """
    leading = _LEADING.match(text)
    stated = {_float(found[1]) for found in _OF_FIVE.finditer(text) if _gives(text, found)} | ({_float(leading[1])} if leading else set())
    free = _COUNTED.sub(" ", _NAMED.sub(" ", _OF_FIVE.sub(" ", text)))
    scores = {number for number in _floats(_BARE, free) if LOWEST <= number <= HIGHEST}
    return stated, _floats(_OF_FIVE, text) | scores


def _gives(text: str, found: re.Match[str]) -> bool:
    """Whether a number out of five is the score: it begins its sentence or stands after words that give one, and counts nothing."""
    sentence = _sentence(text, found.start())
    before = _PART.split(sentence)[-1]
    words = _words(before)
    given = not re.search(r"\w", sentence) or (_AROUND.issuperset(words) and not _GIVING.isdisjoint(words) and not re.search(r"\d", before))
    return given and _SUPPOSED.isdisjoint(_words(sentence)) and _AFTER_OF_FIVE.match(text, found.end()) is not None


def _sentence(text: str, end: int) -> str:
    """What of the sentence stands before a place, 500 characters at most."""
    return _SENTENCE.split(text[max(0, end - 500) : end])[-1]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())


def _floats(pattern: re.Pattern[str], text: str) -> set[float]:
    return set(map(_float, pattern.findall(text)))


def _float(number: str) -> float:
    return float(number.replace("−", "-"))
