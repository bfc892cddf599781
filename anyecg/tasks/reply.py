"""What every parser does first: the final answer in what a model wrote, without thoughts, special tokens and markup."""

from __future__ import annotations

import json
import re
from typing import Any

_TAGS = r"(?:seed:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|analysis|reflection|scratchpad)"
_THOUGHT = re.compile(rf"[<\[◁]({_TAGS})[>\]▷].*?(?:[<\[◁]/\1[>\]▷]|\Z)", re.DOTALL | re.IGNORECASE)
_END_OF_THOUGHT = re.compile(rf"[<\[◁]/{_TAGS}[>\]▷]", re.IGNORECASE)  # the opening tag may stand in the prompt
_SPAN_OF_THOUGHT = re.compile(r"<\|begin_of_thought\|>.*?(?:<\|end_of_thought\|>|\Z)", re.DOTALL)
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*<\|message\|>")  # gpt-oss: the channel "final" holds the answer
_END_OF_TURN = re.compile(
    r"</s>|<eos>|<end_of_turn>|<\|(?:im_end|eot_id|end|return|endoftext|end_of_text|eom_id|end_of_solution)\|>",
    re.IGNORECASE,
)
_NEXT_TURN = re.compile(  # of a chat, or of examples that a model goes on with: "Question: ...", "### Instruction"
    r"\n[ \t]*(?:#{1,6}[ \t]*|\*\*)?(?:(?:user|human|question|instruction)\b(?:[ \t]*\d{1,3})?(?:\*\*)?[ \t]*(?::|\n)"
    r"|Q\d{0,3}[ \t]*:)",
    re.IGNORECASE,
)
_SPECIAL = re.compile(
    r"<\|[\w ]{1,40}\|>|</?s>|<(?:bos|eos|pad|unk)>|<(?:start|end)_of_turn>|\[/?INST\]", re.IGNORECASE
)
_ROLE = re.compile(r"^\s*(?:assistant|model|ai|bot)\s*(?::|\n)\s*", re.IGNORECASE)

_INVISIBLE = {ord(mark): None for mark in "\u200b\u200c\u200d\u200e\u200f\u2060\ufeff\u00ad"}
_PLAIN = str.maketrans(
    "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u2044\u2215\uff0f\u2018\u2019\u201a\u2032\u201c\u201d\u201e\u00ab\u00bb"
    "\uff0c\u3001\uff1b\uff1a\uff08\uff09\uff3b\uff3d\u3010\u3011\uff5b\uff5d\uff1d\uff5e\uff0b\uff05\uff1f\uff01\uff5c\u2022\u00b7\u25e6\u25aa\u2217",
    "-----" + "-----" + "///" + "''''" + '"""""' + ",,;:()[][]{}=~+%?!|" + "\u2022\u2022\u2022\u2022*",
) | {0x2014: " - ", 0x2015: " - "}
_GAP = re.compile(r"\n{3,}")
_BLANKS = re.compile(r"[^\S\n]+")
_ENTITIES = {
    "&lt;": "<",
    "&gt;": ">",
    "&amp;": "&",
    "&nbsp;": " ",
    "&quot;": '"',
    "&#39;": "'",
    "&ndash;": "-",
    "&mdash;": "-",
    "&minus;": "-",
}
_ENTITY = re.compile("|".join(map(re.escape, _ENTITIES)))
_ELEMENT = re.compile(r"</?(?:b|i|u|em|strong|code|span|mark|sup|sub|font|pre|small)\b[^<>]{0,80}>", re.IGNORECASE)
_BREAK = re.compile(r"<(?:br|/?p|/?li|/?ul|/?ol|/?div|/?h[1-6]|hr)\b[^<>]{0,80}>", re.IGNORECASE)
_FENCE = re.compile(
    r"(?<!`)```+(?:[ \t]*(?:json|python|text|txt|plaintext|markdown|md|yaml|xml|latex)?[ \t]*(?=\n|$))?",
    re.IGNORECASE | re.MULTILINE,
)
_EMPHASIS = re.compile(
    r"\*\*+|`+|~~+|(?<![\w_])_{1,3}(?=\w)|(?<=\w)_{1,3}(?![\w_])|(?<![\w*])\*(?=\S)|(?<=[^\s*])\*(?!\w)"
    r"|^[ \t]*#{1,6}[ \t]+",
    re.MULTILINE,
)
_MATH = re.compile(r"\\(?:text(?:bf|it|rm|tt)?|mathrm|mathbf)\s*\{([^{}]{0,400})\}")
_MATH_SPACE = re.compile(r"\\[,;! ]|\\(?:quad|qquad)\b|\$\$?")
_ESCAPE = re.compile(r"\\([\[\]()*_`#~|>-])")
_BOXED = re.compile(r"\\boxed\s*\{((?:[^{}]++|\{[^{}]*+\})*+)\}")
_ANSWER_TAG = re.compile(
    r"<(answer|final_?answer|solution|result|output|response|(?:final_?)?(?:score|rating|grade)|verdict)>"
    r"(.*?)(?:</\1>|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_ANSWER = re.compile(
    r"(?:^|(?<=[\s.;!?)\]\"']))(?:[-*•][ \t]+)?"
    r"(?:(?:(?:so|therefore|thus|hence|and),?\s+)?(?:(?:the|my|final|correct|best|ecg|short|brief"
    r"|overall)\s+){0,4}answers?"
    r"(?:\s*(?::|=|\s-\s|(?:is|are|would\s+be|should\s+be)\b\s*:?)|[ ]*(?=\n))|a\s?:(?=\s))\s*",
    re.IGNORECASE,
)
_CORRECTION = re.compile(
    r"\b(?:wait|hold\s+on|hang\s+on|correction|scratch\s+that|strike\s+that|on\s+second\s+thoughts?|oops|my\s+mistake"
    r"|i\s+meant?|or\s+rather|no,?\s+actually|actually,?\s+no"
    r"|let\s+me\s+(?:re-?consider|correct|re-?check|re-?think|revise|double[- ]check)(?:\s+(?:that|this|it|myself))?"
    r"|i\s+(?:was|am)\s+(?:wrong|mistaken)|i\s+made\s+(?:a\s+mistake|an\s+error)"
    r"|(?<=[.!?;]\s)actually(?=\s*,|\s+(?:it|i|the|my)\b)|(?<=\.\.)\s*no(?=\s*,\s*\S)"
    r"|(?:i\s+)?(?:correct|revise|change)\s+(?:myself|my\s+answer)"
    r"|i\s+(?:was\s+going\s+to|wanted\s+to)\s+(?:say|give|answer)\b[^;\n]{0,80}?\bbut(?=\s+(?:it|this|the|that|i|my)\b)"
    r"|(?:i\s+)?(?:(?:at\s+)?first|initially|originally)\s*,?\s*(?:i\s+)?(?:thought|believed|said|assumed|considered|read"
    r"|would\s+have\s+said|guessed|was\s+going\s+to\s+(?:say|give))\b[^;\n]{0,80}?\bbut(?:\s+(?:then|now|actually|in\s+fact|on\s+review|looking\s+again))?"
    r"(?=\s+(?:it|this|the|that|i|my)\b))\b",
    re.IGNORECASE,
)
# of a correction
_LEFT_OVER = re.compile(
    r"^[\s,.:;!-]*(?:(?:rather|actually|that\s+should\s+be|it\s+should\s+be|make\s+that|it\s+is|it's)\b)?[\s,:]+",
    re.IGNORECASE,
)


_NO_THEN = re.compile(r"^no(?=\s*[,:]\s*\w)[\s,:]+", re.IGNORECASE)  # "wait, no, it is ..."


def without_thoughts(text: str) -> str:
    """A reply without its reasoning: `<think>...</think>` and its likes, those that are not closed, and what stands
    before a lone `</think>`.
    """
    text = _SPAN_OF_THOUGHT.sub(" ", text)
    if "</" in text or "[/" in text or "◁/" in text:
        text = _THOUGHT.sub(" ", text)
        text = _END_OF_THOUGHT.split(text)[-1]
    else:
        text = _THOUGHT.sub(" ", text)
    channels = list(_CHANNEL.finditer(text))
    if channels:
        final = [channel for channel in channels if channel[1].lower() == "final"]
        return text[final[-1].end() :] if final else ""
    return text


def plain_text(text: str) -> str:
    """The final answer as plain text: no thoughts, special tokens, markup, invisible or typographic characters; lines
    are kept.

    Letters and digits stay as they are written. Of several boxes or `<answer>` tags the contents are joined by "; ".
    """
    text = without_thoughts(text.translate(_INVISIBLE)).translate(_PLAIN)
    # what follows is a turn that the model makes up
    text = next((part for part in _END_OF_TURN.split(text) if part.strip()), "")
    text = _NEXT_TURN.split(_ROLE.sub("", _SPECIAL.sub(" ", text)).lstrip())[0]
    text = _ENTITY.sub(lambda entity: _ENTITIES[entity[0]], text)
    tagged = [found[2] for found in _ANSWER_TAG.finditer(text) if found[2].strip()]
    if tagged:
        text = tagged[-1]
    text = _ELEMENT.sub("", _BREAK.sub("\n", text))
    text = _MATH_SPACE.sub(" ", _MATH.sub(r"\1", text)) if "\\" in text or "$" in text else text
    boxed = [found[1] for found in _BOXED.finditer(text)]
    if boxed:
        text = "; ".join(dict.fromkeys(boxed))
    text = _EMPHASIS.sub("", _ESCAPE.sub(r"\1", _FENCE.sub("", text)))
    return _GAP.sub("\n\n", "\n".join(_BLANKS.sub(" ", line).strip() for line in text.splitlines())).strip()


def last_answer(text: str) -> str:
    """What follows the last "Answer:" of a plain text, and of that what follows the last self-correction ("wait,
    ..."); else the text.
    """
    return corrected(_tail(_ANSWER, text))


def corrected(text: str) -> str:
    """What follows the last self-correction of a plain text, else the text."""
    tail = _tail(_CORRECTION, text).strip()
    return tail if tail == text.strip() else _NO_THEN.sub("", tail)


def _tail(pattern: re.Pattern[str], text: str) -> str:
    """What follows the last match; the text where there is none or nothing follows it."""
    end = max((found.end() for found in pattern.finditer(text)), default=0)
    tail = text[end:]
    return _LEFT_OVER.sub("", tail) if end and re.search(r"[\w\[{]", tail) else text


def json_value(text: str) -> Any | None:
    """The JSON (or Python literal list) that a plain text is, None where it is none; a list or a mapping only."""
    text = text.strip()
    if not text or text[0] not in "[{" or text[-1] not in "]}":
        return None
    for candidate in (text, text.replace("'", '"')):
        try:
            value = json.loads(candidate)
        except (ValueError, RecursionError):
            continue
        return value
    return None
