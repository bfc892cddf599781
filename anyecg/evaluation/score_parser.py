"""The score from 0 to 5 that a judge's reply gives, or why there is none.

Every number of a reply gets a part to play by the words around it. A number that names an ECG, counts findings, belongs
to one criterion, is denied, supposed, a bound or a deduction is no score. Of the others a final score comes before one
that is called the score, given or out of five, and these before a number that stands alone; two different ones of the
same rank are none.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from anyecg.tasks.reply import corrected, json_value, plain_text

LOWEST, HIGHEST = 0.0, 5.0
LONGEST, MOST = 2000, 60  # characters and numbers of a reply, without its thoughts, that are read

# Why a reply has no score.
EMPTY = "empty reply"
CUT, NO_NUMBER, SEVERAL = "reply cut before its number", "reply without a number", "reply with several numbers"
OUTSIDE, OTHER_SCALE, IN_PROSE = (
    "number outside 0 to 5",
    "score on another scale",
    "number in prose that is not called the score",
)

_N = (
    r"(?:(?<![\w.)])-)?(?<![\w.,^±])\d{1,9}(?:\.\d{1,9})?(?![\w,]{0,9}\d|\.{1,3}\d|\^)(?!(?!pts?\b|points?\b"
    r"|stars?\b|分|点)[^\W\d_])"
)
_SCORE = (
    r"(?:scores?|ratings?|grades?|marks?|evaluation|verdict|评分|分数|得分|打分|スコア|点数|punktzahl|bewertung|note"
    r"|puntuaci[oó]n|puntaje|calificaci[oó]n|punteggio|pontua[cç][aã]o|оценка)"
)
_FIVE = r"(?:a\s+(?:possible|maximum|total|max)\s+(?:of\s+)?)?(?:5(?:\.0+)?(?![\d.]{0,6}\d)|five\b)"
_OUT_OF = rf"\s*(?:/|\b(?:out\s+)?of\b|\b(?:von|sur|de|su)\b)\s*{_FIVE}(?:\s+possible\b)?"
_WORDS = {word: str(value) for value, word in enumerate(("zero", "one", "two", "three", "four", "five"))}
_WORD = "|".join(_WORDS)
_IN_WORDS = re.compile(
    rf"(?:(?<=score )|(?<=score: )|(?<=score is )|(?<=score of )|(?<=rating: )|(?<=rating of )"
    rf"|(?<=rating is ))(?:{_WORD})\b|\b(?:{_WORD})(?=\s+(?:out\s+)?of\s+(?:five|5)\b|\s*/\s*(?:five|5)\b"
    rf"|\s+(?:points?|stars?)\b)"
    rf"|\A\W*(?:a\s+)?(?:{_WORD})(?=\W*\Z|\s*[(:;.,\n-])",
    re.IGNORECASE,
)  # fmt: skip
_UNITS = r"(?:points?|pts?|stars?|marks?|分|点|punkte?n?|puntos?|punti|pontos?|балл(?:а|ов)?)"
_HALF = re.compile(r"(\d)\s*(?:½|\s1/2\b(?!\s*/))")
_AND_HALF = re.compile(rf"\b(\d|{_WORD})\s+and\s+(?:a\s+half|one\s+half|1/2)\b", re.IGNORECASE)
_ENDS_OF_SCALE = re.compile(  # "(0 = worst, 5 = best)", "from 0 (wrong) to 5 (right)"
    r"\([^()\d]*\b0\b[^()\d]*\b5\b[^()\d]*\)|\bfrom\s+0\s*(?:\([^()\d]*\)\s*)?(?:to|-)\s*5\s*(?:\([^()\d]*\))?",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(rf"(?:^|[:=\s])-\d+(?:\.\d+)?(?!\s*(?:=|{_UNITS}|for|because|due|since)\b)\s*(?:[.,;!?)\n]|$)")
_ZERO_TO_FIVE = re.compile(
    r"[(\[]?\s*\b(?:(?:from|between|of|on\s+a\s+scale\s+(?:of|from))\s+)?(?<![\d.])0(?:\.0)?\s*(?:-|to|and"
    r"|~)\s*5(?:\.0)?\b(?!\s*=|\.\d)(?:[\s-]*(?:scale|points?))?\s*[)\]]?",
    re.IGNORECASE,
)
_OTHER_RANGE = re.compile(
    r"(?:[(\[]\s*|\bscale\s+(?:of|from)\s+|\bscale\s+)\d+\s*(?:-|to)\s*\d+\s*(?:[)\]]|\b)|\b\d+\s*(?:-"
    r"|to)\s*\d+\s*(?:-?point\s+)?scale\b",
    re.IGNORECASE,
)
_MAXIMUM = re.compile(
    r"\(?\s*(?:out\s+of\s+)?\bmax(?:imum)?\b\.?(?:\s+(?:possible|score|points?|of|is"
    r"|being)){0,3}\s*[:=]?\s*5(?:\.0)?\b\s*\)?",
    re.IGNORECASE,
)
_PERCENT = re.compile(r"(?:[(=]\s*)?(?:or\s+|i\.e\.,?\s+)?\d+(?:\.\d+)?\s*%\s*\)?")
_CONFIDENCE = re.compile(
    r"\b(?:confidence|certainty|probability)\b\W{0,3}(?:level|score|is|of)?\W{0,3}\d+(?:\.\d+)?(?:\s*/\s*\d+)?\s*%?",
    re.IGNORECASE,
)
_SUM = re.compile(
    rf"(?<![\w./])[(\d][\d\s().]{{0,12}}(?:[+*x×/-][\d\s().]{{0,12}}){{1,4}}=\s*({_N})(?!\s*%)"
    rf"|{_N}(?:\s+{_UNITS})?\s+(?:minus|plus|less)\s+{_N}(?:\s+{_UNITS})?\s+(?:is|equals|gives|makes|=)\s+({_N})",
    re.IGNORECASE,
)
_OF_FIVE_IS = re.compile(rf"({_N}\s*/\s*5)\s*=\s*(?:0?\.\d+|{_N})(?!\s*/)")
_DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b")
_LIST = r"#?\d+(?:\s*(?:,\s*(?:and\s+)?|and|or|&|to|-|/)\s*#?\d+)*\b"
_THING = (
    r"(?:ECGs?|EKGs?|recordings?|tracings?|leads?|questions?|findings?|items?|parts?|steps?|cases?|figures?"
    r"|levels?|class(?:es)?|types?|versions?|options?|points?|criteri(?:on|a)|sections?|reports?|visits?"
    r"|patients?|no\.|number|days?|pages?)"
)
_NAMED = re.compile(rf"\b(?:{_THING})\s*{_LIST}(?:\s*(?:'s\s+score|score)?\s*[:=]\s*{_N}(?:\s*/\s*5)?)?", re.IGNORECASE)
_ECG_OF = re.compile(r"\b(?:ECGs?|EKGs?)\s+\d\s*/\s*\d\b", re.IGNORECASE)
_PROSE = (
    rf"(?:or|and|but|because|since|as|if|at|for|to|overall|would|is|was|in|on|out|of|with|given|due|though"
    rf"|although|however|instead|rather|from|here|seems?|should|appears?|only|not|it|the|a|an|this|that|my|score"
    rf"|scale|then|so|when|while|possible|{_UNITS})"
)
_FRACTION_OF = re.compile(
    rf"{_N}\s*(?:/|\b(?:out\s+)?of\b|\bof\s+the\b)\s*(?:the\s+)?\d+(?:\.\d+)?[ ]+(?!{_PROSE}\b|overall\b)[^\W\d_]+"
    rf"|{_N}\s+of\s+the\s+\d+\b",
    re.IGNORECASE,
)
_COUNTED = re.compile(rf"{_N}(?=(?:[ ]+|-)[^\W\d_])(?![ ]+{_PROSE}\b)", re.IGNORECASE)
_CRITERION = re.compile(
    r"\b(?:accuracy|completeness|relevance|clarity|rhythm|axis|precision|recall|coherence|fluency|correctness"
    r"|helpfulness|safety|details?|conciseness|consistency|usefulness|faithfulness|comprehensiveness|"
    rf"conduction|rate|morphology|diagnosis|interpretation|terminology)(?:\s+{_SCORE})?\s*(?:is|of"
    rf"|[:=-])?\s*{_N}(?:{_OUT_OF})?", re.IGNORECASE)  # fmt: skip
_DEDUCTION = re.compile(
    rf"(?:\b(?:deduct(?:ed|ing|ions?)?|subtract(?:ed|ing)?|minus|los(?:e|es|t|ing)|penalty|take\s+off"
    rf"|off)\b\W{{0,3}}(?:of\s+|a\s+)?{_N}(?:\s+{_UNITS})?(?:\s+(?:off|for))?"
    rf"|(?<![\w.])-\s?\d+(?:\.\d+)?\s+(?:{_UNITS}\s+)?(?:for|because|due|since)\b"
    rf"|{_N}\s+{_UNITS}\s+(?:off|deducted|lost|less|down|taken|are\s+deducted"
    rf"|is\s+deducted)\b)", re.IGNORECASE)  # fmt: skip
_PAST = re.compile(
    rf"{_N}(?:{_OUT_OF})?\s*(?:->|→|=>)(?=.{{0,30}}\d)|\(\s*(?:was|were|previously|originally|initially|formerly)\s+{_N}\s*\)|\b(?:initially|originally|previously"
    rf"|at\s+first|first\s+thought|i\s+thought|earlier)\b[^.;\n\d]{{0,40}}{_N}(?:{_OUT_OF})?",
    re.IGNORECASE,
)
_ASKED_BACK = re.compile(rf"{_N}\s*(?:{_OUT_OF})?\?\s*(?:hmm,?\s*)?no[,:.]?\s+(?={_N})", re.IGNORECASE)  # "4? No, 3."
_BOUND = re.compile(
    r"(?:(?<![-=<>])[<>≤≥±]=?|\b(?:at\s+(?:most|least)|(?:no\s+)?(?:more|less|higher|lower|greater|better"
    r"|worse)\s+than|above|below|under|over|up\s+to|maximum(?:\s+(?:score|of|is))*|minimum(?:\s+(?:score|of|is))*"
    r"|exceed(?:s|ing)?|beyond))\s*(?:an?\s+)?$",
    re.IGNORECASE,
)
_TURN = re.compile(r"[.;!?\n](?=\s|$)|\n|,?\s*\b(?:but|so|hence|therefore|thus|however|overall)\b", re.IGNORECASE)
_PIECE = re.compile(r"[.;!?](?=\s|$)|[\n,]|\b(?:but|so|hence|therefore|thus|however|and)\b|(?<=\d)\s-\s", re.IGNORECASE)
_NEGATED = re.compile(r"\b(?:not|never|cannot|hardly|nor|without)\b|n['’]t\b", re.IGNORECASE)
_SUPPOSED = re.compile(
    r"\b(?:if|unless|had|were|otherwise|instead|needs?|requires?|means?)\b"
    r"|(?<!score )(?<!rating )(?<!grade )\bwould(?!\s+(?:\w+\s+)?(?:give|rate|score|say|assign|award|be\s+my|put|grade"
    r"|mark)\b)\b|\bcould\b",
    re.IGNORECASE,
)
_AFTER_SUPPOSED = re.compile(
    rf"\s*(?:{_OUT_OF})?\s+(?:would\s+(?!be\s+my|be\s+the)|could|can|cannot|if|is\s+too|needs?|means?|requires?|unless"
    rf"|is\s+(?:completely|fully|entirely)|for\s+a\s+)",
    re.IGNORECASE,
)
_BE = (
    r"(?:\s*(?:is|was|are|est|ist|es|è|为|是|of|be|would\s+be|should\s+be|will\s+be|comes?\s+to|becomes?|remains?|stands?\s+at"
    r"|for\s+(?:this|the)\s+answer|now|[:=\"'|*-]|\(\s*\)|therefore|thus|hence|a|an|the|about|around|approximately"
    r"|~|≈|>)){0,6}\s*"
)
_OWN = (
    r"(?:^|[^\w\s]|\n|\b(?:the|my|a|final|overall|total|this|answer's|its|and|so|is|of|assigned|suggested|proposed"
    r"|resulting|appropriate|proper|right|correct|fair|le|la|die|der|das|el|judge's|with|numeric|numerical|response|give|giving|assign|i|as|quality|answer|llm)\s)\s*"
)
_FINAL = re.compile(
    rf"\b(?:final|overall|total|in\s+total|altogether|corrected|revised|adjusted|updated)\b\s*"
    rf"(?:{_SCORE}|answer|result)?{_BE}(?P<n>{_N})",
    re.IGNORECASE,
)
_LABELLED = re.compile(rf"(?:(?<=\")|(?P<own>{_OWN}))(?:final_|overall_)?{_SCORE}{_BE}(?P<n>{_N})", re.IGNORECASE)
_DISSENT = re.compile(
    rf"(?:^|[.;,!?\n]\s*)(?:no|rather|maybe|perhaps|make\s+that)\b[,:]?\s+(?:(?:it's|a|it\s+is)\s+)?(?P<n>{_N})",
    re.IGNORECASE,
)
_IS_SCORE = re.compile(
    rf"(?P<n>{_N})(?:{_OUT_OF})?\s+(?:(?:is|would\s+be|as)\s+(?:my|the)\s+(?:final\s+)?{_SCORE}"
    rf"|(?:seems|feels|sounds)\s+(?:fair|right|appropriate|reasonable|justified))\b",
    re.IGNORECASE,
)
_FRACTION = re.compile(rf"{_N}\s*(?:/|\bout\s+of\b)\s*\d", re.IGNORECASE)
_OTHER_FRACTION = re.compile(rf"{_N}\s*(?:/|\bout\s+of\b)\s*(?!{_FIVE})\d+(?:\.\d+)?", re.IGNORECASE)
_LABELLED_FRACTION = re.compile(
    rf"(?:{_SCORE}|\b(?:final|overall|total)\b){_BE}{_N}\s*(?:/|\bout\s+of\b)\s*\d", re.IGNORECASE
)
_GIVEN = re.compile(
    rf"\b(?:settle\s+(?:on|for)|put\s+(?:it|this|the\s+answer)\s+at|merits?|deserves?|earns?|receives?|gets?|worth|(?:would|'d|will|'ll)\s+(?:give|say|go\s+with|award|assign"
    rf"|settle\s+on)|(?:rate|grade|mark|score)\s+(?:it|this))\b"
    rf"(?:\s+(?:it|this|that|an?|the|answer|response|only|just|about|around|of|at|as|with|strong"
    rf"|solid)){{0,4}}\s+(?P<n>{_N})", re.IGNORECASE)  # fmt: skip
_OF_FIVE = re.compile(rf"(?P<n>{_N}){_OUT_OF}(?:\s*{_UNITS}\b)?", re.IGNORECASE)
_FOLLOWED = re.compile(
    r"\s*(?:\Z|[.,;:!?()\[\]}\"'=|\n-]|(?:because|since|as|due|given|but|overall|for|with|and|though|although|on|is"
    r"|would|in\s+total|considering)\b)",
    re.IGNORECASE,
)
_SPAN = re.compile(
    r"\s*(?:-|~|±|to|or|and|/|,?\s*(?:or|maybe|perhaps|possibly|nearly|almost))\s*(?:(?:maybe|even|a|perhaps)\s+)*\d",
    re.IGNORECASE,
)
_SPAN_BEFORE = re.compile(r"\d\s*(?:-|~|to|or|and)\s*$", re.IGNORECASE)
_GIVING = frozenset(
    "rate rated rating score scored scores give gives gets grade graded mark marks deserves receives assign assigned "
    "award awarded overall final total so hence therefore thus earns merits say think".split()
)
_GLUE = _GIVING | frozenset(
    "a an and answer as at be d for i in is it its my number of on out point points pts response s scale star stars "
    "that the this to would about around approximately roughly maybe perhaps probably think "
    "believe solid strong just only clear honest verdict judgement judgment evaluation assessment result assistant "
    "barely sum up summary mine from me perfect excellent full fair decent weak poor mediocre generous "
    "borderline quality accuracy overall "
    "conclusion value ll m my ok okay sure here with you your let me conclude reply grade level-headed".split()
)  # fmt: skip
_LINE = re.compile(rf"[\W_]*(?P<n>{_N})(?:{_OUT_OF})?(?:\s*{_UNITS})?[\W_]*")
_LEADING = re.compile(
    rf"\A[\s\"'(\[#~≈=>-]*(?P<n>{_N})(?:{_OUT_OF})?(?:\s*{_UNITS})?[)\]\"']?(?=\s*(?:[,;:]|\s-+\s|-\s|\(|\.\s|\n|!"
    rf"|\b(?:because|since|as|due|given|for|but)\b))",
    re.IGNORECASE,
)
_EXPLAINED = re.compile(  # a number that begins a reply, and what explains it
    rf"\A[\s\"'(\[#~≈=>]*(?P<n>{_N})(?:{_OUT_OF})?(?:\s*{_UNITS})?[)\]\"']?\s*(?:\((?!\s*\d)|:\s*(?=[^\W\d_])"
    rf"|-\s+(?=[^\W\d_])|;\s*(?=[^\W\d_])|\n\s*(?=[^\W\d_])|,?\s*\b(?:because|since|as|due|given)\b)",
    re.IGNORECASE,
)
_CONTESTED = re.compile(
    rf"\n\s*{_N}\s*[-.):]|\b(?:between|from|or|to|maybe|perhaps|possibly|rather|actually|but|so|hence|no|not|final|overall|total|{_SCORE})\b\W*"
    rf"(?:\w+\W+){{0,2}}{_N}|(?:^|[.!?\n])\s*{_N}\s*(?:{_OUT_OF})?\s*(?:$|[.!\n])",
    re.IGNORECASE,
)
_CONCLUDED = re.compile(
    rf"\b(?:so|hence|therefore|thus)\s*,?\s+(?:(?:a|an|i|say|give|it|it's|is)\s+){{0,3}}(?P<n>{_N})(?:{_OUT_OF})?"
    rf"(?:\s*{_UNITS})?[\W_]*\Z",
    re.IGNORECASE,
)
_TRAILING = re.compile(
    rf"(?:[:.;!?\n=]|->|\s-|,\s*so|\bas\s+it\s+(?:stands|is),?|\b(?:so|hence|therefore|thus|but))\s+(?:(?:a|an|i|say|give|it|about|around"
    rf"|maybe)\s+){{0,3}}(?P<n>{_N})(?:{_OUT_OF})?(?:\s*{_UNITS})?[\W_]*\Z",
    re.IGNORECASE,
)
_ENUMERATED = re.compile(r"^[ \t]*(\d)[.)][ \t]+(?=\S)", re.MULTILINE)


@dataclass(frozen=True)
class _Number:
    value: float
    at: int


def read_score(text: str, cut: bool = False) -> tuple[float | None, str]:
    """The score from 0 to 5 that a reply gives, and ""; or None, and why there is none. cut: the reply hit its length
    limit.

    Read: "4", "4/5", "**Score: 3.5**", "4 out of 5", "On a scale from 0 to 5: 4.", "Four.", JSON with a score, sums
    with their result, and with reasons "I'd rate this 4/5 because ECG 2 is wrong", "4 - the answer is right". Not read:
    two different numbers, a number outside the scale or on another one ("8/10", "80 %"), a bound (">= 4"), one that
    speaks of something else ("1 error", "3 of 5 ECGs are right"), words alone.
    """
    text = corrected(plain_text(text))
    if not text:
        return None, CUT if cut else EMPTY
    value = _json_score(json_value(text))
    if value is not None:
        return read_score(str(value)) if isinstance(value, str) else _within(value)
    text = _IN_WORDS.sub(
        lambda word: re.sub(_WORD, lambda found: _WORDS[found[0].lower()], word[0], flags=re.IGNORECASE), text
    )
    text = _AND_HALF.sub(lambda found: f"{_WORDS.get(found[1].lower(), found[1])}.5", text)
    text = _HALF.sub(r"\1.5", _ENDS_OF_SCALE.sub(" ", text))
    if _NEGATIVE.search(text) and not re.search(rf"\d\s*$|{_SUM.pattern}", text[: _NEGATIVE.search(text).start()]):
        return None, OUTSIDE
    text = re.sub(r"[ ]{2,}", " ", _ZERO_TO_FIVE.sub(" ", re.sub(r"\d{12,}", "_", text)))
    if cut and re.search(r"\d\W*\Z", re.sub(_OUT_OF, " ", text)):
        return None, CUT
    if len(text) > LONGEST:
        text = f"{text[: LONGEST // 2]}\n{text[-LONGEST // 2 :]}"  # a score stands first or last
    numbers = re.findall(_N, text)
    if len(numbers) > MOST:
        return None, SEVERAL
    if len(numbers) > 1:
        text = _MAXIMUM.sub(" ", text)
    if _OTHER_RANGE.search(text):
        return None, OTHER_SCALE
    percent = _PERCENT.search(text)
    text = _PERCENT.sub(" ", _CONFIDENCE.sub(" ", _OF_FIVE_IS.sub(r"\1", text)))
    text = _SUM.sub(lambda found: found[1] or found[2], text)
    text = _without_others(text)
    fraction = _FRACTION.search(_OF_FIVE.sub(" ", text))
    if fraction:
        if _LABELLED_FRACTION.search(_OF_FIVE.sub(" ", text)) or not (
            set(_scores(_FINAL, text)) | set(_scores(_LABELLED, text))
        ):
            return None, OTHER_SCALE
        text = _OTHER_FRACTION.sub(" _ ", text)
    found = _decided(text)
    if found is not None:
        return found if isinstance(found, tuple) else _within(found)
    if percent:
        return None, OTHER_SCALE
    return None, CUT if cut else IN_PROSE if numbers else NO_NUMBER


def _within(score: float) -> tuple[float | None, str]:
    return (score, "") if LOWEST <= score <= HIGHEST else (None, OUTSIDE)


def _json_score(value: Any) -> Any | None:
    """The score of a JSON reply: what its one key of that name holds; None where there is none."""
    if not isinstance(value, dict):
        return None
    keys = {str(key).lower().replace(" ", "_"): item for key, item in value.items()}
    for names in (
        ("final_score", "overall_score", "total_score", "final_rating"),
        ("score", "rating", "grade", "mark"),
        ("answer", "result", "value"),
    ):
        held = [keys[name] for name in names if name in keys]
        if held:
            one = held[0] if all(item == held[0] for item in held) else None
            return one if isinstance(one, (int, float, str)) and not isinstance(one, bool) else None
    return None


def _without_others(text: str) -> str:
    """A text without the numbers that name, count or take away something, or score one criterion; list markers too."""
    marks = [int(found[1]) for found in _ENUMERATED.finditer(text)]
    if len(marks) > 1 and marks == list(range(marks[0], marks[0] + len(marks))) and marks[0] < 2:
        text = _ENUMERATED.sub("- ", text)
    for pattern in (_DATE, _ASKED_BACK, _PAST, _DEDUCTION, _ECG_OF, _NAMED, _CRITERION, _FRACTION_OF):
        text = pattern.sub(" _ ", text)
    return _COUNTED.sub("_", _OF_FIVE.sub(r"\g<n>/5", text))


def _decided(text: str) -> float | tuple[None, str] | None:
    """The score of a text by rank, (None, why) where two stand against each other, None where there is none."""
    final, labelled = (
        set(_scores(_FINAL, text)),
        {*_scores(_LABELLED, text), *_scores(_IS_SCORE, text), *_scores(_GIVEN, text)},
    )
    if labelled:
        labelled |= set(_scores(_DISSENT, text))
    stated = {found for found in _of_five(text)}  # noqa: C416
    if None in final | labelled | stated:
        return None, SEVERAL
    if final:
        return final.pop() if len(final) == 1 else (None, SEVERAL)
    free = _free(text)
    concluded = _CONCLUDED.search(text)
    if concluded and float(concluded["n"]) in free:
        return float(concluded["n"])
    if labelled:
        told = labelled | stated
        return told.pop() if len(told) == 1 else (None, SEVERAL)
    if stated:
        told = stated | {number for number in free if LOWEST <= number <= HIGHEST}
        return told.pop() if len(told) == 1 else (None, SEVERAL)
    if re.search(rf"\(\s*{_N}\s+at\s+(?:most|best|least)\s*\)", text):
        return None, SEVERAL
    led = _EXPLAINED.match(text)
    if led and float(led["n"]) in free and not _CONTESTED.search(text, led.end("n")):
        return float(led["n"])
    if len(free) != 1:
        return (None, SEVERAL) if free else None
    alone = _LEADING.match(text) or _TRAILING.search(text) or any(_LINE.fullmatch(line) for line in text.split("\n"))
    return free.pop() if alone or _GLUE.issuperset(_words(text)) else None


def _scores(pattern: re.Pattern[str], text: str) -> Iterator[float | None]:
    """Numbers of a pattern that are neither denied nor supposed nor a bound; None for one end of a range."""
    for found in pattern.finditer(text):
        start, end = found.span("n")
        if _void(text, start, end):
            continue
        after = text[end : end + 60]
        yield (
            None
            if _SPAN.match(after)
            and not re.match(rf"\s*/\s*{_FIVE}", after)
            and not re.match(r"\s*(?:and|-)\s*_", after)
            else float(text[start:end])
        )


def _of_five(text: str) -> Iterator[float | None]:
    """Scores out of five that begin their sentence or stand after words that give one."""
    for found in _OF_FIVE.finditer(text):
        start, end = found.span("n")
        piece = _PIECE.split(text[max(0, start - 200) : start])[-1]
        piece = re.split(r"[:]", piece)[-1]
        words = _words(piece)
        given = not words or (
            _GLUE.issuperset(words) and (not _GIVING.isdisjoint(words) or set(words) <= _GLUE - _GIVING)
        )
        if _SPAN_BEFORE.search(text[max(0, start - 20) : start]):
            yield None
        elif given and "_" not in piece and not _void(text, start, end) and _FOLLOWED.match(text, found.end()):
            yield float(text[start:end])


def _free(text: str) -> set[float]:
    """Numbers that could be the score; one out of five counts too."""
    return {
        float(found[0])
        for found in re.finditer(_N, re.sub(_OUT_OF, " ", text, flags=re.IGNORECASE))
        if not _void(text, *_placed(found, text))
    }


def _placed(found: re.Match[str], text: str) -> tuple[int, int]:
    """Where a number of a text without "out of five" stands in the text: the first place of the same digits at or
    after it.
    """
    start = text.find(found[0], found.start())
    return (start, start + len(found[0])) if start >= 0 else found.span()


def _void(text: str, start: int, end: int) -> bool:
    """Whether a number is denied ("not a 5"), supposed ("5 if ...") or a bound ("at most 4")."""
    before = text[max(0, start - 200) : start]
    piece, turn = _PIECE.split(before)[-1], _TURN.split(before)[-1]
    rest = text[end : end + 200]
    after = _TURN.split(rest)[0]
    if (_BOUND.search(before) and not re.match(r"\s*>", rest)) or re.match(
        r"\s*(?:or\s+(?:more|less|higher|lower|better|above|below)|at\s+(?:most|best|least))\b", rest
    ):
        return True
    if _NEGATED.search(piece) or _SUPPOSED.search(turn) or _AFTER_SUPPOSED.match(rest):
        return True
    return re.search(r"\b(?:if|unless|had)\b", after) is not None


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text.lower())
