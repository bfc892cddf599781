"""What an answer to an ECG-QA question says: yes, no or not sure; or a set of answers of the vocabulary.

An answer of the vocabulary is read as it is written and never by likeness ("normal sinus rhythm" is none). What stands
around it is taken
off: thoughts, markup, list markers, lead-ins ("This ECG shows"), an explanation after it. Where anything else is left,
nothing is read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Any

from anyecg.findings import find
from anyecg.tasks.reply import json_value, last_answer, plain_text

VERIFY = ("not sure", "yes", "no")
LEADS = ("i", "ii", "iii", "avr", "avl", "avf", *(f"v{k}" for k in range(1, 7)))
LONGEST = 2000  # characters of an answer, without its thoughts, that are read
_AROUND = " \t\n.,;:!*\"'`"
_KEYS = ("answer", "final_answer", "answers", "response", "result", "output", "prediction")

_OPTION = r"(?:(?:option|choice|answer)\s+)?(?:[a-h]|\d{1,2}|[ivx]{1,4})\s?[.):]|\(\s*(?:[a-h]|\d{1,2})\s*\)"
_MARKER = re.compile(
    rf"(?:^|(?<=[\n•]))\s*(?:[-*•>]\s*)?(?:(?:{_OPTION})(?:\s+|(?=[^\W\d]))|[-*•>]\s+)|(?:^|\s+)(?:\d{{1,2}}"
    rf"|[a-h])\)\s+",
    re.IGNORECASE,
)
_ECG = (
    r"(?:(?:ecgs?|ekgs?|electrocardiograms?|tracings?|recordings?|signals?|rhythm|strips?|heart|leads?|findings?"
    r"|diagnos[ie]s|two|both|new|current|latest|recent|given|first|second|provided)\s+)"
)
_SHOWS = (
    r"(?:shows?|displays?|reveals?|exhibits?|has|have|contains?|presents?(?:\s+with)?|demonstrates?|indicates?"
    r"|suggests?|is|are|shares?|both\s+show)"
)
_LEAD_IN = re.compile(
    rf"^(?:(?:sure|certainly|of\s+course|okay|ok|well|so|therefore|thus|hence|overall|here(?:'s|\s+is)?)\b[,:!.]?\s*"
    rf"|(?:based\s+on|according\s+to|from|in|looking\s+at|given|after\s+(?:reviewing|analy[sz]ing))\s+(?:the|this"
    rf"|these|my)\s+(?:\w+\s+)?(?:ecgs?|ekgs?|tracings?|recordings?|signals?|analysis|data|image"
    rf"|waveforms?)\s*,\s*(?:there\s+(?:is|are)\s+|(?:i\s+)?(?:see|can\s+see|it\s+is)\s+)?"
    rf"|i(?:'d|'ll)\s+(?:say|choose|pick|select|go\s+(?:with|for)|answer)\s+"
    rf"|i\s+(?:(?:would|can|could|will)\s+)?(?:go\s+(?:with|for)|answer|think|believe|say|see|choose|pick|select)\s+(?:that\s+)?(?:it\s+is\s+"
    rf"|it's\s+)?"
    rf"|(?:it|this|that)(?:\s+(?:is|shows?|has|would\s+be|must\s+be|indicates?)|'s)\s+"
    rf"|(?:the|this|these|both)\s+{_ECG}{{1,3}}{_SHOWS}\s+"
    rf"|there(?:\s+(?:is|are)|'s)\s+"
    rf"|(?:the\s+)?(?:[\w-]+\s+){{1,3}}(?:is|are)\s*:\s*"
    rf"|(?:(?:the|my|final|correct|best|ecg|most\s+likely)\s+){{0,4}}answers?\s*(?:is|are|:|=|would\s+be)\s*:?\s*"
    rf"|(?:(?:the|my|main|primary|new|ecg|cardiac|heart|noise|signal|final|identified|detected|observed|key)\s+){{0,3}}"
    rf"(?:rhythm|findings?|diagnos[ie]s|leads?|results?|conclusion|impression|interpretation|symptoms?|noises?"
    rf"|statements?|conditions?|abnormalit(?:y|ies)|features?|types?|stage|axis|response|output|ecg)\s*:\s*"
    rf"|(?:both|only|in|the|an?)\s+(?=\w))",
    re.IGNORECASE,
)  # fmt: skip
_SEPARATOR = (
    r"[,;&|\n•+/]|\.(?=\s|$)|(?<!\w)(?:first|second|third|fourth|final)(?:ly)?\s*[,:]|(?<!\w)(?:and|both|with|plus|as\s+well\s+as|along\s+with|together\s+with"
    r"|in\s+addition\s+to|also)(?!\w)"
)
_BECAUSE = re.compile(r"[\s,.;:(-]{0,4}\b(?:because|since|as\s+(?:the|there|it|shown|seen|evidenced|indicated)"
                      r"|due\s+to|given\s+(?:the|that)|evidenced\s+by|this\s+is\s+(?:because|based|due|shown|supported"
                      r"|indicated|evident)"
                      r"|(?:the\s+)?(?:explanation|reason(?:ing)?|rationale|justification|evidence|note)\s*(?::|is\b)"
                      r"|which\s+is|where\s+the)", re.IGNORECASE)  # fmt: skip
_INSTEAD = re.compile(r"\s*,?\s*(?:\(\s*)?(?:and\s+|but\s+)?(?:not|rather\s+than|instead\s+of)\s+(?:the\s+)?$")
_CLOSING = re.compile(  # what may follow an answer and says no more
    r"\s*\(\s*(?:option|choice|answer|rate|heart\s+rate|hr|confidence|certainty|probability)\b[^()]*\)\s*$"
    r"|\s+at\s+(?:about\s+|a\s+rate\s+of\s+)?\d+\s*(?:bpm|/\s*min|beats\s+per\s+minute)\s*$"
    r"|\s+only\s*$|[\s,]+(?:definitely|certainly|for\s+sure|i\s+(?:think|believe|would\s+say)|in\s+my\s+opinion)\s*$"
    r"|[\s,]+(?:is|are)\s+(?:what\s+(?:this|the)\s+(?:ecg|ekg|tracing|recording)\s+(?:shows?|displays?)"
    r"|(?:clearly\s+)?(?:present|shown|seen|visible|observed|detected|found|evident)(?:\s+(?:here|in\s+(?:this|the)\s+"
    r"(?:ecg|ekg|tracing|recording)))?|(?:the|my)\s+(?:correct\s+|final\s+)?answer|correct)\s*$"
)
_ADDS = re.compile(
    r"\b(?:also|additionally|addition|plus|besides|another|both|however|but|although|or|either|maybe|perhaps|possibly"
    r"|actually|instead|might|may|could|not\s+sure|alternatively|answer|wait|correction|no\W)\b|\?"
)
_CONDITIONAL = re.compile(
    r"\b(?:would|n't|not|without|unlike|rules?\s+out|excludes?|excluded|rather\s+than|in\s+contrast\s+to|absence\s+of)\b"
)
_RULE = re.compile(r"[\s|:-]*-{2,}[\s|:-]*")  # the line below the heading of a table
_BOTH = re.compile(
    r"\W*both(?:\s+(?:of\s+(?:them|these|those)|are\s+(?:present|seen|correct)|findings?|options?|answers?))?\W*"
)
_NEITHER = re.compile(
    r"\W*(?:none(?=\s+of\s+(?:them|these|those|the\s+two))|neither)"
    r"(?:\s+(?:of\s+(?:them|these|those|the\s+two)|is\s+present|are\s+present|one))?\W*"
)
_LEAD = re.compile(rf"(?:lead\s+)?({'|'.join(sorted(LEADS, key=len, reverse=True))})")
_RANGE = re.compile(r"(?<![\w-])(?:leads?\s+)?v([1-6])\s*(?:-|to|through)\s*(?:lead\s+)?v?([1-6])(?![\w-])")

_SAID = {
    "yes": "yes",
    "yeah": "yes",
    "yep": "yes",
    "yup": "yes",
    "true": "yes",
    "correct": "yes",
    "affirmative": "yes",
    "present": "yes",
    "no": "no",
    "nope": "no",
    "nah": "no",
    "false": "no",
    "incorrect": "no",
    "absent": "no",
    "not present": "no",
    "not really": "no",
    "definitely not": "no",
    "certainly not": "no",
    "absolutely not": "no",
    "clearly not": "no",
    "of course not": "no",
    "not at all": "no",
    "i think not": "no",
    "i don't think so": "no",
    "i do not think so": "no",
    "i think so": "yes",
    "definitely": "yes",
    "certainly": "yes",
    "absolutely": "yes",
    "it does": "yes",
    "it does not": "no",
    "it doesn't": "no",
    "it is": "yes",
    "it is not": "no",
    "it isn't": "no",
    "there is": "yes",
    "there is not": "no",
    "there isn't": "no",
    "negative": "no",
    "not sure": "not sure",
    "unsure": "not sure",
    "uncertain": "not sure",
    "not certain": "not sure",
}
_PLAIN_WORDS = frozenset(  # which lead an answer, whatever follows; the others say it alone only
    ("yes", "yeah", "yep", "yup", "no", "nope", "nah", "not sure", "unsure", "uncertain", "not certain")
    + ("not really", "not present")
)
_WORD = "|".join(re.escape(word).replace(r"\ ", r"\s+") for word in sorted(_SAID, key=len, reverse=True))
_LEADING = re.compile(rf"({_WORD})(?![\w-])")
_NO_ANSWER = re.compile(
    r"no[-\s]+(?:one|answer|idea|clue|way\s+to|comment|opinion|information|response|body|problem|worries)\b|nobody"
)
_NO_NOUN = re.compile(
    r"no\s+(?!(?:evidence|signs?|indications?|symptoms?|it|there|this|the|that|because|as|since)\b)\w"
)
_LONE = re.compile(
    rf"(?<![\w-])(yes|no)(?![\w-])(?=\s*(?:$|[.,;:!?)\"'\n-]))|(?:^|(?<=[.\n]))\s*({_WORD})\s*(?=[.!]?\s*(?:$|\n))"
)
_GLUE = frozenset(
    "i i'd i'm am would say think believe guess it is it's the this that my so therefore thus hence based on ecg ecgs "
    "ekg answer final sure well ok okay in opinion conclusion conclude from to analysis "
    "tracing and then overall short brief question given recording signal definitely certainly clearly of course as "
    "shown above summary data provided option choice be must should absolutely lean towards toward".split()
)  # fmt: skip
_TURNED = re.compile(r"\A.*\bactually,?\s+(?=(?:no|yes)\b\W*\Z)", re.IGNORECASE | re.DOTALL)
_EITHER = re.compile(
    r"(?<!\w)(?:yes\s*(?:/|\||\bor\b(?:\s+maybe)?|\band\b)\s*no|no\s*(?:/|\||\bor\b(?:\s+maybe)?|\band\b)\s*yes)(?!\w)"
)
_IS_THERE = re.compile(
    r"(?P<what>[^.,;:!?\n]+?)\s+(?:is|are|can\s+be)(?P<nt>n't|\s+not)?\s+(?:clearly\s+)?"
    r"(?:(?P<no>absent)|present|seen|visible|observed|detected|found|evident|identified|noted|there)\b"
)
_STATES = re.compile(
    r"(?:(?:the|this|these|both|two|first|second|new|recent|latest|given|current)\s+)*(?:ecgs?|ekgs?|tracings?"
    r"|recordings?|signals?|i|we|there(?='s|\s))(?:\s+|(?='s))(?P<not>(?:(?:do(?:es)?|can|could)(?:\s+not|n't)|cannot"
    r"|can't)\s+)?(?:(?:do(?:es)?|can)\s+)?"
    r"(?P<verb>shows?|displays?|reveals?|exhibits?|has|have|contains?|demonstrates?|indicates?|is|are|'s|sees?|find|detect|notice"
    r"|observe)(?P<nt>n't"
    r"|\s+not)?\s+(?P<no>no\s+|not\s+any\s+|any\s+)?"
    r"(?:(?:an?|the|any|some|clear|evidence|signs?|symptoms?|presence|of)\s+)*(?P<what>[^.,;:!?\n]+)"
)  # fmt: skip
_STOP_WORDS = frozenset(
    "a an the of in on is are was were does do did this that ecg ekg show shows any there or and to with have has been "
    "be from it at for symptoms symptom evidence sign signs please answer briefly first second present seen found "
    "detected identified observed noted visible indication any".split()
)


def read_verdict(text: str, allowed: Collection[str] = VERIFY, question: str = "") -> frozenset[str] | None:
    """Which of yes, no and not sure an answer gives, as a set of one; None if none, or one that is not allowed, or two.

    A leading word counts ("No, the ..."), one that ends a sentence of glue ("Based on the ECG, yes."), and a sentence
    that states what the question names ("The ECG does not show static noise."). question: the user's text.
    """
    said = last_answer(plain_text(text))[:LONGEST]
    value = _unpacked(json_value(said))
    said = _TURNED.sub("", said) if value is None else said
    if isinstance(value, bool):
        said = "yes" if value else "no"
    elif isinstance(value, list) and len(value) == 1:
        said = str(value[0])
    elif isinstance(value, str):
        said = value
    said = _MARKER.sub("", said.casefold(), count=1).strip(_AROUND + "[](){}<>-$ ")
    verdict = _verdict(said, question.casefold())
    return frozenset({verdict}) if verdict in allowed else None


def _verdict(said: str, question: str) -> str | None:
    if _NO_ANSWER.match(said) or _EITHER.search(said):
        return None
    said = re.sub(r"^(?:(?:i\s+am|i'm|it\s+is|it's)\s+)(?=(?:not\s+sure|unsure|uncertain|not\s+certain)\b)", "", said)
    said = re.sub(r"^(?:that|this|it)(?:\s+is|'s)\s+(?=(?:(?:in)?correct|true|false)\s*(?:$|[.!,]))", "", said)
    leading = _LEADING.match(said)
    words = [_SAID[" ".join(leading[0].split())]] if leading else []
    if leading and leading[0] == "no" and _NO_NOUN.match(said):
        words = []  # "No P waves": it is stated of something
    if words and words[0] == "not sure" and re.search(r"(?<!\w)(?:yes|no)(?![\w-])\s*(?:$|[.,;!?])", said):
        return None
    if leading and (leading[1] not in _PLAIN_WORDS) and not re.match(r"\s*(?:$|[.,;:!\n-])", said[leading.end() :]):
        words = []
    for found in _LONE.finditer(said):
        if leading and found.start() < leading.end():
            continue
        sentence = re.split(r"[.;!?\n]", said[max(0, found.start() - 200) : found.start()])[-1]
        if (leading and words) or _GLUE.issuperset(re.findall(r"[\w']+", sentence)):
            words.append(_SAID[" ".join((found[1] or found[2]).split())])
    stated = _stated(said[leading.end() :].lstrip(_AROUND + "-") if leading and words else said, question)
    words += [stated] if stated else []
    kinds = set(words)
    if leading and words and words[0] in ("yes", "no"):
        kinds -= {"not sure"}  # "Yes, but not sure"
    return kinds.pop() if len(kinds) == 1 else None


def _stated(said: str, question: str) -> str | None:
    """What the first sentence of an answer states about what the question names; None where it names something else
    or nothing.
    """
    found = (
        _STATES.match(said)
        or re.match(r"(?P<no>no)\s+(?:(?:evidence|signs?|symptoms?)\s+of\s+)?(?P<what>[^.,;:!?\n]+)", said)
        or _IS_THERE.match(said)
    )
    if not found:
        return None
    groups = found.groupdict()
    what = [word for word in re.findall(r"[\w/()-]+", found["what"]) if word not in _STOP_WORDS]
    if not what or not set(what) <= set(re.findall(r"[\w/()-]+", question)):
        return None
    denials = (groups.get("no") or "").startswith(("no", "absent"))
    negations = bool(groups.get("not")) + bool(groups.get("nt")) + denials
    return None if negations > 1 else "no" if negations else "yes"


def read_answers(
    text: str, vocabulary: Collection[str], more: Collection[str] = (), question: str = "", ranges: bool = True
) -> frozenset[str] | None:
    """The set of answers of the vocabulary that a text gives and nothing besides; None otherwise.

    more: answers known beside the vocabulary's; question: the user's text, whose two answers "both" means; ranges:
    whether "V1-V3" is three leads. Without a vocabulary, what stands between separators is an answer.
    """
    known = frozenset(vocabulary) | frozenset(more)
    said = last_answer(plain_text(text))[:LONGEST]
    value = _unpacked(json_value(said))
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        said = "\n".join(value)
    elif isinstance(value, str):
        said = value
    said = _CLOSING.sub("", " ".join(_untabled(said).casefold().split(" ")).strip(_AROUND + " "))
    if not vocabulary:
        return _between(plain(said), known) or None
    if _BOTH.fullmatch(said):
        offered = _offered(question.casefold(), known)
        return offered if len(offered) == 2 else None
    if _NEITHER.fullmatch(said):
        return frozenset({"none"}) if "none" in known and len(_offered(question.casefold(), known)) == 2 else None
    if ranges:
        said = _RANGE.sub(_leads, said)
    said = re.sub(r"\(\s*((?:and\s+|but\s+)?(?:not|rather\s+than|instead\s+of)\s[^()]*)\)", r"\1", said)
    grounds = re.match(r"(?:based\s+on|given|due\s+to|because\s+of)\s+[^,.;\n]{1,80},\s*", said)
    if grounds and not any(_found(grounds[0], known)):
        said = said[grounds.end() :]
    said = _not_but(said, known)
    found = _read(_without_reasons(said, known), known)
    return found if found is not None else _explained(said, known)


def _not_but(said: str, known: frozenset[str]) -> str:
    """ "not sinus rhythm but atrial flutter" as "atrial flutter"."""
    denied = re.match(r"\s*(?:it\s+is\s+|it's\s+)?not\s+(?:an?\s+|the\s+)?", said)
    if denied:
        for start, end, _ in _found(said, known):
            turn = re.compile(r"\s*,?\s*but\s+(?:rather\s+)?").match(said, end)
            if start == denied.end() and turn:
                return said[turn.end() :]
    return said


def _explained(said: str, known: frozenset[str]) -> frozenset[str] | None:
    """The answers of the first sentence, where those that follow explain it: they name no answer and assert no finding,
    or name one in the conditional or a denial, and add nothing.
    """
    first, *others = re.split(r"\.(?=\s)|\n", said.strip(), maxsplit=1)
    found = _read(first, known) if others else None
    if found is None:
        return None
    for sentence in re.split(r"\.(?=\s|$)|[\n;]", others[0]):
        if _ADDS.search(sentence):
            return None
        named = {answer for _, _, answer in _found(sentence, known)} - found
        if not any(answer.startswith("lead ") for answer in found):
            named = {answer for answer in named if not answer.startswith("lead ")}
        if (named or find(sentence)) and not _CONDITIONAL.search(sentence):
            return None
    return found


def _untabled(text: str) -> str:
    """A text whose tables are their cells, a line each, without headings."""
    lines = text.split("\n")
    rules = [n for n, line in enumerate(lines) if "|" in line and _RULE.fullmatch(line)]
    for rule in reversed(rules):
        del lines[max(rule - 1, 0) : rule + 1]
    return "\n".join(line.strip().strip("|").replace("|", "\n") for line in lines) if rules else text


def plain(text: str) -> str:
    """An answer as it is compared: in lower case, without what leads in to it and the blanks and stops around it."""
    said = re.sub(r"[^\S\n]+", " ", text.casefold()).strip(_AROUND)
    return (
        _LEAD_IN.sub("", said).strip(_AROUND)
        if re.match(r"(?:(?:the|my|final|correct|ecg)\s+)*answers?\b", said)
        else said
    )


def _unpacked(value: Any) -> Any:
    """The answer of a JSON object."""
    if isinstance(value, dict):
        keys = {str(key).lower().replace(" ", "_"): item for key, item in value.items()}
        return next((keys[key] for key in _KEYS if key in keys), next(iter(keys.values())) if len(keys) == 1 else None)
    return value


def _leads(ends: re.Match[str]) -> str:
    """ "v1-v3" as the names of its leads; as it stands where it runs backwards."""
    first, last = int(ends[1]), int(ends[2])
    return ", ".join(f"lead v{k}" for k in range(first, last + 1)) if first < last else ends[0]


def _read(said: str, known: frozenset[str]) -> frozenset[str] | None:
    said = _MARKER.sub(lambda marker: "\n", said) if not _is_known(said, known) else said
    said = _bare(said, known)
    spans = list(_found(said, known))
    found: set[str] = set()
    at = 0
    for start, end, answer in [*spans, (len(said), len(said), "")]:
        gap = said[at:start]
        if at and not gap.strip() and answer and "\n" not in gap:
            return None  # "sinus rhythm sinus rhythm"
        if answer and _INSTEAD.search(gap) and found:
            gap, answer = _INSTEAD.sub("", gap), None
        items = _gap(gap, known, first=at == 0, last=start == len(said))
        if items is None:
            return None
        found |= items
        if answer:
            found.add(answer)
        at = end
    return frozenset(found) or None


def _gap(gap: str, known: frozenset[str], first: bool, last: bool) -> set[str] | None:
    """The answers in what stands between whole answers: leads by their bare names; None where anything else is left."""
    found: set[str] = set()
    if not first and re.search(r"[()>]|(?<!\n)-|\.$" if not last else r"[()>]", gap):
        return None  # "left axis deviation.normal heart axis", "baseline drift (lead V1)"
    for part in re.split(_SEPARATOR, gap):
        part = part.strip(_AROUND + "?()[]{}<>-$ ")
        if not part or part in ("leads", "lead", "the", "in", "a", "an"):
            continue
        bare = _LEAD.fullmatch(part.removeprefix("leads ").removeprefix("in ").removeprefix("the "))
        if not bare or f"lead {bare[1]}" not in known:
            return None
        found.add(f"lead {bare[1]}")
    return found


def _is_known(said: str, known: frozenset[str]) -> bool:
    return said.strip(_AROUND) in known


def _bare(said: str, known: frozenset[str]) -> str:
    """A text without its lead-ins and the brackets and quotes around it."""
    for _ in range(6):
        said = said.strip(_AROUND + "<>$ ")
        if _is_known(said, known):
            return said
        if len(said) > 2 and said[0] in "([{" and said[-1] in ")]}" and said[0] not in said[1:-1]:
            said = said[1:-1]
            continue
        shorter = _LEAD_IN.sub("", said, count=1)
        if shorter == said:
            return said
        said = shorter
    return said


def _without_reasons(said: str, known: frozenset[str]) -> str:
    """A text up to where it begins to explain; whole answers that hold such a word are kept."""
    ends = [(start, end) for start, end, _ in _found(said, known)]
    for reason in _BECAUSE.finditer(said):
        inside = any(start <= reason.start() and reason.end() <= end for start, end in ends)
        if not inside and any(end <= reason.start() for _, end in ends):
            return said[: reason.start()]
    return said


def _offered(question: str, known: frozenset[str]) -> frozenset[str]:
    return frozenset(answer for _, _, answer in _found(question, known))


def _found(said: str, known: frozenset[str]) -> Iterator[tuple[int, int, str]]:
    """(start, end, answer) of each whole answer, the longest first."""
    for match in _whole(known).finditer(said):
        yield match.start(), match.end(), " ".join(match[0].split())


@lru_cache(maxsize=1024)
def _whole(known: frozenset[str]) -> re.Pattern[str]:
    answers = "|".join(map(re.escape, sorted(known, key=lambda answer: (-len(answer), answer))))
    return re.compile(rf"(?<![\w-])(?:{answers})(?![\w-])" if answers else r"(?!)")


def _between(said: str, known: frozenset[str]) -> frozenset[str]:
    """What stands between separators, save those inside an answer that is known."""
    parts, start = [], 0
    inside = [(begin, end) for begin, end, _ in _found(said, known)]
    for match in re.finditer(r"[,;&\n]|\.(?=\s)|(?<!\w)(?:and|both)(?!\w)", said):
        if not any(begin <= match.start() < end for begin, end in inside):
            parts.append(said[start : match.start()])
            start = match.end()
    return frozenset(part.strip(_AROUND) for part in [*parts, said[start:]] if re.search(r"\w", part))
