"""What an answer says a quantity of an ECG measures: a number in the quantity's unit, or that it cannot be measured.

Every number of an answer belongs to a quantity (the one whose name stands nearest before it, or right after it), has a
unit, or is a bound, a reference range or something else. Those of the quantity asked for are brought to its unit; where
they are one value it is the answer, and where they differ nothing is read. A bare number is believed where it is
plausible in the quantity's unit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from anyecg.tasks.measure.quantities import Quantity
from anyecg.tasks.reply import json_value, last_answer, plain_text

LONGEST = 2000  # characters of an answer, without its thoughts, that are read


@dataclass(frozen=True)
class Measured:
    """value: in the quantity's unit; None where the answer says that it cannot be measured."""

    value: float | None


@dataclass(frozen=True)
class _Number:
    """A value of a text in one of `_UNITS`' units ("" without one), where it stands, and half the width of its
    range.
    """

    value: float
    unit: str
    start: int
    end: int
    half: float = 0.0


# A unit as written -> (the unit it is brought to, factor); the longest first.
_UNITS = (
    (r"milli-?seconds?|m\.?secs?\.?|ms|millisekunden?|millisecondes?|milisegundos?|毫秒", "ms", 1.0),
    (r"seconds?|secs?\.?|sekunden?|secondes?|segundos?|s|秒", "ms", 1000.0),
    (r"milli-?volts?|mv|毫伏", "mV", 1.0),
    (r"micro-?volts?|[uµμ]v", "mV", 0.001),
    (r"mm(?![\s/]*(?:s\b|sec|mv|hg))|millimet(?:er|re)s?", "mV", 0.1),  # on paper of 10 mm/mV
    (
        r"(?:beats?|b|heart\s*beats)\s*(?:per|/|a|each)\s*(?:min(?:ute)?s?|m)\b|bpm|/\s*min(?:ute)?|per\s+minute"
        r"|min\s*\^?-1|schläge\s+pro\s+minute|次/分钟?|s/min",
        "bpm",
        1.0,
    ),
    (r"degrees?|deg\.?|°|º|grad|degrés?|grados?|度", "degrees", 1.0),
)
_OTHER_UNITS = (
    r"hz|khz|%|mm\s*/\s*s(?:ec)?|mm\s*/\s*mv|mm\s*hg|years?|yrs?|y/?o|months?|days?|hours?|minutes?\b(?!\s*-)|cm|kg|leads?"
    r"|beats?(?!\s*(?:/|per|a\b|each))|complex(?:es)?|cycles?|(?:small|large|big|little)\s+(?:box|square)(?:es|s)?"
    r"|box(?:es)?|squares?|samples?|times|ecgs?|ekgs?|x\b|st\b|nd\b|rd\b|th\b|/\s*\d"
)
_UNIT = re.compile("|".join(rf"(?P<u{n}>{form})(?!\w)" for n, (form, *_) in enumerate(_UNITS)), re.IGNORECASE)
_OTHER_UNIT = re.compile(rf"[\s-]*(?:{_OTHER_UNITS})(?!\w)", re.IGNORECASE)
_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|\.\d+"
_NUMBER = re.compile(
    rf"(?<![\w.])(?P<sign>(?:(?<![\d\w)])-|\bminus\s+|\bnegative\s+|\bplus\s+|\+)?\s?)(?P<n>{_DIGITS})(?!\d|\.\d)"
    r"(?![A-Za-z]{0,2}\d)",
    re.IGNORECASE,
)
_COMMA = re.compile(r"(?<![\d,.])(\d{1,2}),(\d{1,3})(?![\d,])(?=\s*(?:s|sec|mv|秒|sek)|\s*$)", re.IGNORECASE)
_RANGE = re.compile(r"\s*(?:-+|to|until|bis|through|~|\.\.+|…)\s*", re.IGNORECASE)
_PLUS_MINUS = re.compile(rf"\s*(?:±|\+\s?/\s?-|plus\s+or\s+minus|plus/minus)\s*(?:{_DIGITS})", re.IGNORECASE)

_LEAD = r"(?:aV[RLF]|V[1-6]|I{1,3})"
_NAMES = {  # quantity or wave -> its names; a lead may stand in those of amplitudes
    "heart_rate": r"(?:heart|ventricular|pulse|sinus|beat(?:ing)?)?\s*\brate|\bHR|heart\s*beat|pulse|frequency"
    r"|herzfrequenz|fréquence\s+cardiaque|frecuencia\s+cardíaca|心率",
    "atrial_rate": r"atrial\s+rate",
    "rr_interval": r"R-?R(?:\s*-?\s*intervals?)?|RR",
    "pr_interval": r"P[-\s]?[RQ](?:\s*-?\s*(?:intervals?|durations?|time|segment))?|PQ-?zeit",
    "qtc_interval": r"corrected\s+QT(?:\s*-?\s*intervals?)?(?:\s*\(\s*QTc(?:\s*,\s*\w+)?\s*\))?|QT[-\s]?c[BF]?"
    r"(?:\s*-?\s*intervals?)?(?:\s*\(\s*(?:bazett|fridericia)(?:['’]?s)?(?:\s+formula)?\s*\))?",
    "qt_interval": r"QT(?![-\s]?c\b)(?:\s*-?\s*(?:intervals?|durations?|time))?",
    "qrs_axis": r"(?:QRS|electrical|cardiac|heart|mean|frontal(?:\s+plane)?|R[-\s]wave)\s+(?:electrical\s+)?ax[ie]s"
    r"|(?<!P )(?<!T )(?<!wave )axis(?:\s+of\s+(?:the\s+)?QRS)?|ax[ie]s\s+deviation|lagetyp|电轴",
    "p_axis": r"P(?:[-\s]wave)?\s+ax[ie]s",
    "t_axis": r"T(?:[-\s]wave)?\s+ax[ie]s",
    "qrs_duration": r"QRS(?!\s+ax)(?:\s*-?\s*(?:complex(?:es)?))?(?:\s*-?\s*(?:durations?|width|intervals?|complex"
    r"|breite|dauer|time))?",
    "p_duration": r"P[-\s]?wave\s+(?:duration|width)|P\s+duration",
    "r_amplitude": r"R(?:[-\s]?waves?|[-\s]?peaks?)?(?:\s+(?:amplitudes?|heights?|voltages?))|R[-\s]?(?:waves?|peaks?)"
    rf"|R(?=\s*[-(]?\s*(?:in\s+)?(?:lead\s+)?{_LEAD}\b)",
    "s_amplitude": r"S(?:[-\s]?waves?)?(?:\s+(?:amplitudes?|depths?|voltages?))|S[-\s]?waves?"
    rf"|S(?=\s*[-(]?\s*(?:in\s+)?(?:lead\s+)?{_LEAD}\b)",
    "st_level": r"ST(?:[-\s]?segments?)?(?:\s+(?:levels?|elevations?|depressions?|deviations?))?|J[-\s]?points?",
    "t_amplitude": r"T(?:[-\s]?waves?)?(?:\s+(?:amplitudes?|heights?|voltages?))|T[-\s]?waves?",
    "p_amplitude": r"P(?:[-\s]?waves?)?\s+(?:amplitudes?|heights?)",
    "q_amplitude": r"Q[-\s]?waves?(?:\s+(?:amplitudes?|depths?))?",
    "recording": r"(?:recording|strip|tracing|window|segment)(?:\s+(?:length|duration))?|sampl(?:ed|ing)(?:\s+(?:rate"
    r"|frequency))?|paper\s+speed|calibration|gain|filter(?:ed|ing)?|bandwidth|confidence|age[ds]?|score|probability"
    r"|tolerance|uncertainty|error|difference|(?:small|large)\s+(?:box|square)(?:es|s)?",
}
_NAME = re.compile("|".join(rf"(?P<{name}>(?<![\w-])(?:{form})(?!\w))" for name, form in _NAMES.items()), re.IGNORECASE)
_IN_LEAD = re.compile(rf"(?<![\w-])(?:in\s+|of\s+)?(?:the\s+)?(?:lead\s+)?({_LEAD})(?![\w-])")

_NO_NUMBER = re.compile(
    r"\b(?:not\s+(?:be\s+)?(?:reliably\s+|accurately\s+|clearly\s+)?(?:measur(?:able|ed)|determin(?:able|ed)"
    r"|assess(?:able|ed)|calculat(?:ed|able)|computed|obtainable|applicable|defined|identifiable|quantifiable"
    r"|available|discernible)|un-?measur(?:able|ed)|immeasurable|indeterminate|undetermined|undefined|non-?measurable"
    r"|n/a|cannot\s+(?:be\s+)?(?:\w+ly\s+)?(?:measured?|determined?|assess(?:ed)?|calculated?|computed?|define[sd]?"
    r"|obtain(?:ed)?|quantif(?:y|ied))|can(?:no|')t\s+(?:be\s+)?(?:\w+ly\s+)?(?:measured?|determined?|assess(?:ed)?"
    r"|calculated?)|could\s+not\s+be\s+(?:\w+ly\s+)?(?:measured|determined|assessed|calculated)"
    r"|(?:is|was)\s+impossible\s+to\s+measure|impossible\s+to\s+(?:measure|determine)|unable\s+to\s+(?:measure"
    r"|determine)|nicht\s+messbar|no\s+medible|non\s+mesurable|不可测量|无法测量|does\s+not\s+(?:apply|exist)"
    r"|isn['’]?t\s+measurable)(?!\w)",
    re.IGNORECASE,
)
_NULL = re.compile(r"\W*(?:none|null|nan|absent|not\s+present|n\.?a\.?|-+)\W*", re.IGNORECASE)
_BOUND = re.compile(
    r"(?:[<>≤≥]=?|\b(?:less|more|greater|longer|shorter|higher|lower|larger|smaller|wider|narrower|slower|faster)"
    r"\s+than|\b(?:above|below|under|over|exceed(?:s|ing)?|up\s+to|at\s+(?:least|most)|beyond|within|until|from|every"
    r"|maximum(?:\s+of)?|minimum(?:\s+of)?|limits?(?:\s+(?:of|is))?|cut-?off(?:\s+(?:of|is))?|threshold(?:\s+(?:of"
    r"|is))?|±|\+/-))\s*(?:or\s+equal\s+to\s+)?(?:an?\s+)?$",
    re.IGNORECASE,
)
_REFERENCE = re.compile(
    r"\b(?:normal(?:ly)?|reference|expected|typical(?:ly)?|usual(?:ly)?|norm|healthy)\b"
    r"(?:\s+(?:is|range|ranges|values?|limits?|interval|adult|upper|lower|between|of|for|are|being|duration|sinus"
    r"|rate|from|axis|PR|QRS|QTc?|[:=,]))*\W*$",
    re.IGNORECASE,
)
_REFERENCE_AFTER = re.compile(
    r"\s*\)?\s*(?:is|are|being)?\s*(?:considered\s+)?(?:the\s+)?(?:normal|reference|upper\s+limit|lower\s+limit)\s*"
    r"(?:range|limits?|values?|interval)?\b",
    re.IGNORECASE,
)
_LOW = re.compile(  # "ST depression of 0.1 mV" is -0.1 mV
    r"\b(?:depress(?:ed|ion)s?|below|under|negative)\b(?!.*\b(?:elevat(?:ed|ion)s?|above|no|not|or|and)\b)",
    re.IGNORECASE | re.DOTALL,
)
_NOT_LOW = re.compile(r"\b(?:no|not|without|absent)\b", re.IGNORECASE)
_LOW_AFTER = re.compile(
    r"\s*(?:of\s+)?(?:(?:horizontal|downsloping|upsloping)\s+)?(?:ST[-\s]?(?:segment\s+)?)?(?:depress(?:ed|ion)|(?:below|under)\s+(?:the\s+)?(?:baseline|isoelectric))\b",
    re.IGNORECASE,
)
_DENIED = re.compile(
    r"(?:\bnot|n['’]t|\brather\s+than|\binstead\s+of|\bnever)\s+(?:(?:a|an|exactly|equal\s+to|at)\s+)?$"
)
_SUPPOSED = re.compile(r"\b(?:if|unless|would\s+be|e\.g\.|for\s+example|such\s+as|suppose|assuming)\b", re.IGNORECASE)
_OR = re.compile(r"\s*,?\s*(?:or|/)\s*(?:maybe|perhaps|possibly|even|about)?\s*$", re.IGNORECASE)
_SENTENCE = re.compile(r"[;!?\n|]|\.(?=\s|$)|\((?!\s*(?:[\d.+~-]|\w+\s*\)))")
_KEYS = ("value", "answer", "measurement", "result", "final_answer", "estimate")


def read_measurement(text: str, asked: Quantity) -> Measured | None:
    """The value of a quantity in its own unit, or that it is not measurable; None where the text says neither, or both,
    or two different values.

    Read: "162 ms", "0.16 s", "about 72 beats per minute", "PR interval: 162 ms, QRS 90 ms" (the one asked for),
    "160-170 ms" (its middle, where the range is no wider than the tolerance), "-30°", "850 µV", JSON, tables. Not read:
    "160 or 180 ms", "> 200 ms", a reference range, an implausible bare number ("0.16" for an interval in ms).
    """
    text = last_answer(plain_text(text))[:LONGEST]
    value = json_value(text)
    if value is not None:
        unpacked = _from_json(value, asked)
        if unpacked is None:
            return None
        text = unpacked
    text = _COMMA.sub(r"\1.\2", text.replace("º", "°").replace("−", "-"))
    if _NULL.fullmatch(text):
        return Measured(None)
    numbers = _of_asked(text, asked)
    if numbers is None:
        return None
    denied = _not_measurable(text, asked)
    if denied or not numbers:
        return Measured(None) if denied and not numbers else None
    values = [_converted(number, asked) for number in numbers]
    kept = [value for value in values if value is not None]
    if len(kept) < len(values) or not kept:
        return None
    middle = kept[0]
    # one value written twice, "0.16 s (162 ms)", may be rounded
    alike = max(0.02 * abs(middle), 10.0 if asked.unit == "ms" else 0.5 if asked.unit != "mV" else 0.005)
    exact = max(numbers, key=lambda number: len(re.sub(r"\D", "", text[number.start : number.end]).lstrip("0")))
    if any(abs(value - middle) > alike for value in kept):
        return None
    return Measured(_converted(exact, asked) if len(kept) > 1 else middle)


def waves_named(text: str) -> frozenset[str]:
    """The quantities without a lead that a text names, as `Quantity.wave` has them ("heart_rate", "pr_interval")."""
    return frozenset(wave for _, _, wave, _ in _named(text))


def _of_asked(text: str, asked: Quantity) -> list[_Number] | None:
    """The numbers of a text that are the quantity's; None where one of them is a bound, supposed, one of two, or a
    range too wide.
    """
    names = list(_named(text))
    kept: list[_Number] = []
    unclear = False
    for number in _numbers(text):
        owner = _owner(number, names, text)
        if owner is not None and not _is_asked(*owner, asked):
            continue
        if number.unit and number.unit != asked.unit:
            continue
        before, after = text[: number.start], text[number.end :]
        sentence = _SENTENCE.split(before)[-1]
        if _REFERENCE.search(before[-80:]) or _REFERENCE_AFTER.match(after) or _DENIED.search(before):
            continue
        if _BOUND.search(before[-40:]) or _SUPPOSED.search(sentence):
            unclear = True
            continue
        if _OR.search(before[-20:]) and kept and text[kept[-1].end : number.start].strip(" ,") in ("or", "/"):
            return None
        if asked.wave == "st_level" and (
            (_LOW.search(sentence[-60:]) and not _NOT_LOW.search(sentence)) or _LOW_AFTER.match(after)
        ):
            number = replace(number, value=-abs(number.value))
        if number.half > max(asked.tolerance, asked.relative * abs(number.value)):
            return None
        kept.append(number)
    bare = [number for number in kept if not number.unit]
    if bare and len(bare) < len(kept):
        kept = [number for number in kept if number.unit]  # "lead 2: 0.8 mV"
    if not kept and unclear:
        return None
    return kept


def _numbers(text: str) -> Iterator[_Number]:
    """Every number of a text with its unit; a range is its middle. Numbers of other units are left out."""
    at = 0
    for found in _NUMBER.finditer(text):
        if found.start() < at:
            continue
        first, unit, end = _valued(found, text)
        spread = _PLUS_MINUS.match(text, end)
        if spread:
            end = spread.end()
            written = _UNIT.match(text, end + len(text[end:]) - len(text[end:].lstrip()))
            if written and not unit:
                unit, end = _unit_of(written)[0], written.end()
                first *= _unit_of(written)[1]
        joined = _RANGE.match(text, end)
        between = re.search(r"\bbetween\s+(?:about\s+)?$", text[: found.start()], re.IGNORECASE)
        joined = re.compile(r"\s*and\s*").match(text, end) if between else joined
        other = _NUMBER.match(text, joined.end()) if joined else None
        half = 0.0
        if other and not spread:
            second, second_unit, last = _valued(other, text)
            if not unit and second_unit:
                factor = second / float(other["n"].replace(",", "")) if float(other["n"].replace(",", "")) else 1.0
                first, unit = first * abs(factor), second_unit
            if second >= first and (unit == second_unit):
                yield _Number((first + second) / 2, unit, found.start(), last, (second - first) / 2)
                at = last
                continue
        if not unit and _OTHER_UNIT.match(text, end):
            continue
        at = end
        yield _Number(first, unit, found.start(), end, half)


def _valued(found: re.Match[str], text: str) -> tuple[float, str, int]:
    """A number with its sign in the unit of `_UNITS` that follows it, that unit ("" without one), and where both
    end.
    """
    value = float(found["n"].replace(",", ""))
    if re.search(r"-|minus|negative", found["sign"], re.IGNORECASE):
        value = -value
    after = re.compile(r"[\s-]{0,2}").match(text, found.end())
    unit = _UNIT.match(text, after.end()) if after else None
    if not unit:
        return value, "", found.end()
    name, factor = _unit_of(unit)
    return value * factor, name, unit.end()


def _unit_of(found: re.Match[str]) -> tuple[str, float]:
    place = next(n for n in range(len(_UNITS)) if found[f"u{n}"])
    return _UNITS[place][1:]


def _named(text: str) -> Iterator[tuple[int, int, str, str]]:
    """(start, end, name of `_NAMES`, lead or "") of every quantity that a text names."""
    for found in _NAME.finditer(text):
        lead = _IN_LEAD.match(text, found.end() + len(text[found.end() :]) - len(text[found.end() :].lstrip(" (")))
        yield found.start(), lead.end() if lead else found.end(), str(found.lastgroup), lead[1] if lead else ""


def _owner(number: _Number, names: list[tuple[int, int, str, str]], text: str) -> tuple[str, str] | None:
    """The quantity that a number is of: named before it in its sentence, or right after it; None where none is."""
    before = [name for name in names if name[1] <= number.start]
    if before:
        _, end, name, lead = before[-1]
        if not _SENTENCE.search(text[end : number.start].replace("|", " ").replace("(", " ")):
            return name, lead
    after = next((name for name in names if name[0] >= number.end), None)
    if after and re.fullmatch(r"\s*(?:\(\s*)?(?:is\s+the\s+|for\s+(?:the\s+)?|of\s+)?", text[number.end : after[0]]):
        return after[2], after[3]
    return None


def _is_asked(name: str, lead: str, asked: Quantity) -> bool:
    return name == asked.wave and (not lead or not asked.lead or lead.lower() == asked.lead.lower())


def _not_measurable(text: str, asked: Quantity) -> bool:
    """Whether a text says that the quantity, or what it speaks of without a name, cannot be measured."""
    for found in _NO_NUMBER.finditer(text):
        sentence = _SENTENCE.split(text[: found.start()])[-1]
        names = [(name, lead) for _, _, name, lead in _named(sentence)]
        if not names or _is_asked(*names[-1], asked):
            return True
    return False


def _converted(number: _Number, asked: Quantity) -> float | None:
    """A number in the quantity's unit; None where it has none and is not plausible in it."""
    if number.unit == asked.unit:
        return round(number.value, 6)
    return round(number.value, 6) if asked.low <= number.value <= asked.high else None


def _from_json(value: Any, asked: Quantity) -> str | None:
    """A JSON answer as text: its value with its unit, or that of the key that names the quantity; None where that is
    not one value.
    """
    if isinstance(value, list):
        return _from_json(value[0], asked) if len(value) == 1 else None
    if not isinstance(value, dict):
        return str(value)
    plain = {str(key).lower().replace(" ", "_"): item for key, item in value.items()}
    unit = next((str(plain[key]) for key in ("unit", "units") if key in plain), "")
    for key in _KEYS:
        if key in plain and not isinstance(plain[key], (dict, list)):
            return "not measurable" if plain[key] is None else f"{plain[key]} {unit}"
    lines = []
    for key, item in plain.items():
        if key in ("unit", "units", "explanation", "reasoning", "confidence"):
            continue
        inner = _from_json(item, asked) if isinstance(item, (dict, list)) else item
        words = re.sub(r"_?(ms|s|bpm|mv|uv|deg(?:rees)?)$", "", key).replace("_", " ")
        suffix = re.search(r"_(ms|s|bpm|mv|uv|deg(?:rees)?)$", key)
        lines.append(f"{words}: {'not measurable' if inner is None else inner} {suffix[1] if suffix else unit}")
    return "\n".join(lines)
