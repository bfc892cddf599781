"""Which options of a multiple-choice question an answer gives: by letter, by text, or both.

Two ways of reading. "strict": an option counts where it stands as a whole word and is not denied; a letter and a text
that disagree, two options where one is asked for, and anything else that is open are no answer. "published": as the
scorers of published benchmarks read, the first letter that stands by itself, else the first option whose text occurs as
a whole word; a denial is not looked at. In both, what cannot be read is None and counts as wrong.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal

from anyecg.tasks.ecg_qa.parser import read_verdict
from anyecg.tasks.reply import json_value, last_answer, plain_text

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LONGEST = 2000  # characters of an answer, without its thoughts, that are read
LIST = 120  # characters of a list of options that is denied as one
Mode = Literal["strict", "published"]
_KEYS = ("answer", "final_answer", "choice", "option", "answers", "result", "response", "selected", "label", "letter")
_NOT = re.compile(
    r"(?:\b(?:not|no|nor|neither|never|without|cannot|excludes?|excluded|excluding|rules?\s+out|ruled\s+out|rather\s+than"
    r"|instead\s+of|unlike|eliminates?|eliminated|reject(?:s|ed)?|wrong|incorrect|except|opposed\s+to|would\s+(?:have|show|be|need|require)|unlikely"
    r"|against)\b|n['’]t\b)",
    re.IGNORECASE,
)
_NOT_AFTER = re.compile(
    r"\s*(?:\)|\")?\s*(?:(?:is|are|was|were|can|could|does|do|has|have)\s*(?:not|n['’]t)\b|cannot\b|(?:is|are|was|were)\s+"
    r"(?:wrong|incorrect|unlikely|excluded|ruled\s+out|absent|false|impossible|less\s+likely)\b|would\b"
    r"|[).:=\s-]*(?:(?:(?<=[:)=-])no|(?<=[:)=-]\s)no|false|wrong|incorrect|not\s+(?:present|seen|correct)|absent)\s*(?:$|[.,;:!)\n]|(?=\(?[A-Z]\b))|[❌✗✘✖]))",
    re.IGNORECASE,
)
_CLAUSE = re.compile(r"[.;!?\n]|,(?=\s)|\b(?:but|because|since|while|whereas|however)\b", re.IGNORECASE)
_REASON = re.compile(
    r"(?:[\s,.;:(-]{0,4}\b(?:because|since|as\s+(?:the|there|it)|due\s+to|given\s+that|explanation|reason(?:ing)?|rationale"
    r"|justification)\b|(?<!\b[A-Za-z])\.\s|\n)",
    re.IGNORECASE,
)
_OTHER = re.compile(r"\b(?:none|neither|all|both)\s+of\s+(?:the\s+)?(?:above|these|them|options)\b", re.IGNORECASE)


_SPEAKER = re.compile(  # "I think" is no lead I
    r"['’]|\s+(?:\w+ly\s+)?(?:am|have|had|do|don|did|can|cannot|could|would|will|might|may|must|think|believe|see|rule|ruled|exclude"
    r"|choose|chose|pick|select|say|find|found|note|notice|observe|conclude|suggest|suspect|assume|guess|looked|analy[sz]ed)\b"
)


def read_choice(text: str, options: Sequence[str], mode: Mode = "strict") -> int | None:
    """The index of the one option that an answer gives; None where it gives none or several."""
    found = read_choices(text, options, mode)
    return next(iter(found)) if found is not None and len(found) == 1 else None


def read_choices(text: str, options: Sequence[str], mode: Mode = "strict") -> frozenset[int] | None:
    """The indices of the options that an answer gives; None where it cannot be read.

    options: their texts, without letters. Read: "B", "(b)", "B. left axis deviation", "Option B", "The answer is B
    because A would ...", "left axis deviation", JSON, "A, C and D", "leads II and III". A question of yes and no is
    read as a verdict.
    """
    said = last_answer(plain_text(text))[:LONGEST].strip()
    value = _unpacked(json_value(said))
    if isinstance(value, list):
        parts = [read_choices(str(item), options, mode) for item in value if not isinstance(item, (list, dict))]
        return None if None in parts or not parts else frozenset().union(*(part for part in parts if part))
    if value is not None:
        said = value
    if not said:
        return None
    plain = [_plain(option) for option in options]
    if mode == "published":
        return _published(said, plain)
    exact = [n for n, option in enumerate(plain) if _plain(said) == option]
    if exact:
        return frozenset(exact[:1])
    if set(plain) == {"yes", "no"}:
        verdict = read_verdict(text, ("yes", "no"))
        return frozenset({plain.index(next(iter(verdict)))}) if verdict else _lettered(said, len(plain))
    if _OTHER.search(said) and not any(_OTHER.search(option) for option in options):
        return None
    lines = _lines(said, plain)
    if len(lines) == len(plain) > 2:
        said = "\n".join(line for line in said.splitlines() if not _option(line, plain))  # the question once more
    elif len(lines) > 1:
        return lines
    head = _REASON.split(said, maxsplit=1)[0]
    for part in dict.fromkeys((head, said)):  # an explanation may name other options
        letters, texts = _lettered(part, len(plain)) or frozenset(), _named(part, plain)
        if letters and texts and not texts <= letters and not letters <= texts:
            return None
        if letters and texts and letters != texts and not _listed(part):
            return None
        found = letters or texts
        if found:
            return None if re.search(r"\b(?:or|either|vs|versus)\b", _without(part, plain)) else found
    return None


def _published(said: str, plain: Sequence[str]) -> frozenset[int] | None:
    """The first letter by itself, else the first option whose text occurs."""
    letter = re.search(rf"(?<![A-Za-z])([{LETTERS[: len(plain)]}])(?![A-Za-z'’])", said)
    if letter:
        return frozenset({LETTERS.index(letter[1])})
    places = [
        (found.start(), -len(option), n)
        for n, option in enumerate(plain)
        if (found := _whole(option).search(_plain(said)))
    ]
    return frozenset({min(places)[2]}) if places else None


def _lines(said: str, plain: Sequence[str]) -> frozenset[int]:
    """The options that stand with letter and text on lines of their own: "A. sinus rhythm"."""
    return frozenset(number for line in said.splitlines() for number in _option(line, plain))


def _option(line: str, plain: Sequence[str]) -> list[int]:
    """The option that a line is, by letter and text; none where it is anything else."""
    found = re.fullmatch(rf"[\s*(•-]*([{LETTERS[: len(plain)]}])[).:]\s*(.+)", line)
    number = LETTERS.index(found[1]) if found else 0
    return [number] if found and _plain(found[2]) == plain[number] else []


def _lettered(said: str, count: int) -> frozenset[int] | None:
    """The options that a text gives by their letters; None where it gives none."""
    upper, either = LETTERS[:count], LETTERS[:count] + LETTERS[:count].lower()
    only = re.fullmatch(rf"[\s(\[*\"']*([{either}])[\s)\].:*\"',!]*", said)
    if only:
        return frozenset({LETTERS.index(only[1].upper())})
    if re.fullmatch(rf"[\s(\[]*[{either}](?:[\s,;&)(/+]+(?:and\s+)?[{either}])+[\s)\].]*", said):
        return frozenset(LETTERS.index(letter.upper()) for letter in re.findall(rf"\b[{either}]\b", said))
    form = re.compile(
        rf"(?:\b(?i:(?:options?|choices?|answers?|letters?)(?:\s+(?:is|are))?|select|choose|pick|think|say)\s*:?\s*\(?([{either}])\b\)?"
        rf"|\b(?i:so|thus|hence|therefore|probably|likely),?\s+\(?([{upper}])(?=\)?[.,;:!]?\s*(?:$|\n)|[.):]\s)"
        rf"|(?<![\w(])\(([{either}])\)|(?:^|[\n.;:,]\s*|\b(?:and|but)\s+)([{upper}])(?=[.):]\s|[.):]?\s*(?:$|\n)|\s*[,&]\s*[{upper}]\b"
        rf"|\s+and\s+[{upper}]\b)|(?<![\w'])([{upper}])(?=\s+(?:is(?!\s+for\b)|because|since|as|seems|would\s+be)\b))"
    )
    found = set()
    for match in form.finditer(said):
        group = next(n for n, letter in enumerate(match.groups(), start=1) if letter)
        if not _denied(said, match.start(group), match.end(group)):
            found.add(LETTERS.index(match[group].upper()))
    return frozenset(found) or None


def _named(said: str, plain: Sequence[str]) -> frozenset[int]:
    """The options whose text stands in a text as whole words and is not denied; a longer option hides one inside it."""
    text, taken, found = _plain(said), [], set()
    for n in sorted(range(len(plain)), key=lambda n: -len(plain[n])):
        for match in _whole(plain[n]).finditer(text):
            if any(start < match.end() and match.start() < end for start, end in taken):
                continue
            if plain[n] == "i" and _SPEAKER.match(text, match.end()):
                continue
            taken.append(match.span())
            if re.match(r"(?:no|not|none|without)\b", plain[n]) or not _denied(text, *match.span(), plain):
                found.add(n)
    return frozenset(found)


def _denied(text: str, start: int, end: int, plain: Sequence[str] = ()) -> bool:
    """Whether what stands at a place of a text is denied in its clause, by itself or in a list: "not A, B or C".

    plain: the options' texts, which a list may have in place of letters.
    """
    item = "|".join([r"\(?[A-Z]\)?", *map(re.escape, sorted(plain, key=len, reverse=True))])
    separator = r"\s*(?:,\s*(?:and|or|nor)?|\band|\bor|\bnor|&)\s*"
    far, near = text[: max(0, start - LIST)], text[max(0, start - LIST) : start]
    before = far + re.sub(rf"(?:(?<![\w-])(?:{item}){separator})+\(?$", "", near)
    after = re.match(rf"(?:{separator}(?:{item})(?![\w-]))+(?=\s+(?:are|were)\b)", text[end : end + LIST])
    return bool(_NOT.search(_CLAUSE.split(before)[-1]) or _NOT_AFTER.match(text[end + (after.end() if after else 0) :]))


def _listed(said: str) -> bool:
    """Whether a text is nothing but options, one after another."""
    return len(re.split(r"[,;\n]|\band\b", said)) > 1


def _without(said: str, plain: Sequence[str]) -> str:
    """A text in lower case without its options' own words."""
    text = _plain(said)
    for option in sorted(plain, key=len, reverse=True):
        text = _whole(option).sub(" ", text)
    return text


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.casefold().replace("–", "-").replace("−", "-")).strip(" .,;:!\"'`*")


def _whole(option: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.-]){re.escape(option)}(?![\w-]|\.\d)") if option else re.compile(r"(?!)")


def _unpacked(value: Any) -> Any:
    """The answer of a JSON object or list; iterates no deeper."""
    if isinstance(value, dict):
        keys = {str(key).lower(): item for key, item in value.items()}
        value = next((keys[key] for key in _KEYS if key in keys), next(iter(keys.values())) if len(keys) == 1 else None)
    return value if isinstance(value, (str, list)) else None


def lettered(options: Sequence[str]) -> Iterator[str]:
    """ "A. left axis deviation", ... as a question shows them."""
    return (f"{LETTERS[n]}. {option}" for n, option in enumerate(options))
