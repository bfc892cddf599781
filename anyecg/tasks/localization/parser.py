"""What an answer of the localization task says: intervals in seconds, that there is nothing, or nothing readable.

A text is read clause by clause. Each interval belongs to a subject: what was asked (its name or another name of the
same finding), another class ("normal beats"), or a measurement (PR, QRS, RR); only the first, or none at all, makes it
an answer. What is denied, counted ("beats 2-4"), supposed or offered as an alternative is no answer, and what
contradicts itself is not read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from anyecg.findings import FINDINGS
from anyecg.tasks.localization.intervals import union
from anyecg.tasks.reply import json_value, last_answer, plain_text

ASKED, OTHER = "\ue000", "\ue001"  # stand in a text for the name that was asked for, and for that of another class

_NUMBER = r"\d++(?:\.\d*+)?+(?!\.?\d)"
_SECONDS = r"(?:s(?:ec(?:ond)?s?|egundos?|econdi|ekunden?)?|secondes?)\b|秒"
_UNIT = rf"(?:\s*(?:{_SECONDS}|ms\b|msecs?\b|milliseconds?\b))"
_ABOUT = r"(?:(?:about|approximately|approx\.?|around|roughly|ca\.?|circa|t\s*=|time|seconds?|secs?|the|[~≈@])\s*)"
_SEPARATOR = (
    r"(?:[ ]*(?:-+>?|→|⇒|=>|~|\.{2,}|…|到|至)[ ]*"
    r"|\s+(?:to|until|till?|through|thru|up\s+to|bis|hasta|a|à|jusqu['’]à|fino\s+a|alle?|tot)\s+)"
)
_BEHIND = r"(?<![A-Za-z\d_.])"  # no letter or number of the same word stands before; a character of Chinese may


def _point(name: str) -> str:
    return rf"{_ABOUT}{{0,3}}(?P<{name}>{_NUMBER})(?P<{name}_unit>{_UNIT})?"


_AND = r"\s*(?:[,;/|]|-(?=\s))?\s*(?:(?:and|then|which|that|it)\s+){0,2}"
_AT = r"(?:\s*(?:time|point|at|of|is|from|on|[:=]|\(s\)))*\s*"
_INTERVALS = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in (
    ("edges", rf"\b(?:start(?:s|ing|ed)?|begin(?:s|ning)?|began|onset)(?:_(?:time|s|sec))?\b{_AT}{_point('a')}{_AND}"
              rf"(?:end(?:s|ing|ed)?|stop(?:s|ping|ped)?|offset|finish(?:es)?|last(?:s|ing)?\s+(?:until|till?|to)"
              rf"|continu(?:es|ing)\s+(?:until|till?|to)|until|till)(?:_(?:time|s|sec))?\b{_AT}{_point('b')}"),
    ("length", rf"\b(?:start(?:s|ing)?\s+(?:at|from)|begin(?:s|ning)?\s+(?:at|from)|onset\s+(?:at|of)?|at"
               rf"|from)\s*{_point('a')}{_AND}"
               rf"(?:(?:for|last(?:s|ing)?(?:\s+for)?|with)(?:\s+a\s+(?:total\s+)?(?:duration|length)\s+of)?)"
               rf"\s+{_point('b')}"),
    ("between", rf"\b(?:between|from|zwischen|entre|tra|fra|tussen)\s+{_point('a')}\s+(?:and|und|y|et|e|en)\s+"
                rf"{_point('b')}"),
    ("cells", rf"\|\s*{_point('a')}\s*\|\s*{_point('b')}\s*(?=\||\n|$)"),
    ("pair", rf"[\[(]\s*{_point('a')}\s*[,;]\s*{_point('b')}\s*[\])]"),
    ("range", rf"{_BEHIND}{_point('a')}{_SEPARATOR}{_point('b')}"),
))  # fmt: skip

_SINGLE = re.compile(rf"(?P<time>{_NUMBER})(?P<unit>{_UNIT})", re.IGNORECASE)
_MOMENT = re.compile(  # "at 3.2 s", "at 1.2 s, 3.4 s and 5.6 s"
    rf"\b(?:at|near|around)\s+{_ABOUT}{{0,2}}{_NUMBER}{_UNIT}(?:(?:\s*,\s*(?:and\s+)?|\s+and\s+){_NUMBER}{_UNIT})*",
    re.IGNORECASE,
)

_DATE = re.compile(r"\b(?:19|20|21)\d\d-\d\d-\d\d\b(?:[T ]\d\d:\d\d(?::\d\d)?)?|\b\d{1,2}/\d{1,2}/\d{4}\b")
_CLOCK = re.compile(r"(?<![\w:.])(?:(\d{1,2}):)?(\d{1,2}):(\d\d(?:\.\d+)?)(?![\w:])")
_ORDINAL = re.compile(r"\b(\d+)(?:st|nd|rd|th)\b(?!\s+(?:degree|ECG|EKG))", re.IGNORECASE)
_CHINESE = re.compile(r"(?<=[\u4e00-\u9fff])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?=[\u4e00-\u9fff])")  # where words meet
_EDGE = re.compile(r"\(\s*(?:onset|offset|start|end|begin(?:ning)?)\s*\)", re.IGNORECASE)
_HASH = re.compile(r"#\s*\d+\b")
_THOUSAND = re.compile(r"(?<![\d,.])(\d{1,2}),(\d{3})(?=\s*(?:ms|msec|milli))", re.IGNORECASE)
_COMMA = re.compile(r"(?<![\d,.])(\d+),(\d+)(?![,.]?\d)")
_FROM_START = re.compile(
    r"\b(?:from\s+)?the\s+(?:very\s+)?(?:beginning|start|onset)(?:\s+of\s+the\s+(?:\w+\s+)?(?:ECG|EKG|recording"
    r"|tracing|strip|record|signal|window|segment))?(?=\s+(?:to|until|till?|through|up\s+to)\s+\D{0,20}\d)",
    re.IGNORECASE,
)
_TO_END = re.compile(
    r"(\d\s*(?:s\w*)?)\s*(?:(?:-|to|until|till?|through"
    r"|up\s+to)\s*(?:the\s+)?(?:very\s+)?end\b(?:\s+of\s+the\s+(?:\w+\s+)?(?:ECG|EKG|recording|tracing|strip|record"
    r"|signal|window|segment))?|onwards?\b)",
    re.IGNORECASE,
)
_WORDS = {
    word: str(number) for number, word in enumerate("zero one two three four five six seven eight nine ten".split())
}
_WORD = re.compile(
    rf"\b({'|'.join(_WORDS)})(?=\s*(?:-|to|and|until)\s*(?:{'|'.join(_WORDS)})\s+seconds?\b|\s+seconds?\b)",
    re.IGNORECASE,
)

_RECORDING = r"(?:ECG|EKG|recording|tracing|strip|record|signal|window|segment|trace|period|duration|time)"
_ALL = re.compile(
    rf"\W*(?:duration\s*:?\s*|answer\s*:?\s*|{ASKED}\s*[:-]\s*)?(?:(?:in|over|during|throughout|through|across"
    rf"|for)\s+)?(?:the\s+)?(?:whole|entire|full|complete)\s+"
    rf"(?:{_RECORDING}|(?:\d+(?:\.\d+)?\s*-?\s*s(?:ec(?:ond)?s?)?)(?:\s+{_RECORDING})?)\W*", re.IGNORECASE)  # fmt: skip

_MEASURE = re.compile(
    r"(?:\b(?:PR|PQ|QRS|QTc?|R-?R|P-?P|JT|TP|P|T|U|ST|heart|ventricular|atrial|rate|HR|bpm|frequency|filter(?:ed)?"
    r"|bandwidth|axis|amplitude|voltage|(?:normal|reference)\s+(?:range|value|limit)s?"
    r"|paper\s+speed|age[ds]?|pauses?|cycle|coupling|compensatory|confidence|certainty|probability|score|threshold"
    r"|prematurity|latency|delay)\b"
    r"(?:[\s-]+(?:waves?|intervals?|durations?|complex(?:es)?|segments?|width|rate|time|lengths?|range|values?|was|is"
    r"|are|s)\b)*)", re.IGNORECASE)  # fmt: skip
_COUNTED = re.compile(
    r"\b(?:beats?|complex(?:es)?|ECGs?|EKGs?|leads?|pages?|grades?|mobitz|types?|class|stages?|level|score[ds]?"
    r"|samples?|points?|index|indices|figures?|channels?|rows?|lines?|"
    r"questions?|options?|cases?|patients?|visits?|episodes?|runs?|cycles?|numbers?|no\.|steps?|degree|version|V|#"
    r"|boxes|squares|grid|intercostal|items?)\s*#?\s*$", re.IGNORECASE)  # fmt: skip
_LASTING = re.compile(
    r"\b(?:every|lasting|lasts?|for|by|after|before|within|takes?|took|another|pauses?"
    r"|(?<!interval )(?<!intervals )(?<!period )(?<!segment )(?<!window )of|up\s+to|at\s+least|at\s+most)\s*$",
    re.IGNORECASE,
)
_LEADS_TO = re.compile(  # the word before an interval of whole numbers without a unit
    r"(?:^|[:;,.!?(\[{&\n|=+]|[-*•]|\b(?:durations?|at|from|between|in|to|time|times|seconds?|intervals?|found|present"
    r"|occurs?|and|is|are|segments?|periods?|onset|dauer|during|range|as|be|seen|detected|located|answer)"
    rf"|{ASKED}|\d[.)])\s*$", re.IGNORECASE)  # fmt: skip
_OTHER_LABEL = re.compile(
    r"\b(?!(?:durations?|times?|seconds|intervals?|answers?|onset|segments?|locations?|positions?|periods?|location"
    r"|found|results?|dauer|tiempo|durée|s|range|spans?|windows?|at|pvcs?|here)\b)[^\W\d_]+\s*[:=]\s*$",
    re.IGNORECASE,
)
_OTHER_UNIT = re.compile(
    r"\s*(?:ms|msec|mv|mm|cm|uv|µv|hz|bpm|min(?:ute)?s?|m|h|hours?|days?|years?|weeks?|months?|beats?|PVCs?|PACs?"
    r"|complex(?:es)?|contractions?|times|leads?|samples?|points?|boxes|squares|degrees?|per|"
    r"ECGs?|episodes?|seconds?\s+(?:apart|long|each)|lead)\b|\s*[%/°:]|\s*x\b", re.IGNORECASE)  # fmt: skip
_FOLLOWS = re.compile(
    r"\s*(?:$|[.,;:!?()\[\]{}&|\n\"'+-]|(?:and|or|in|on|at|with|is|are|was|were|for|where|when|while|because|since|as"
    r"|then|both|shows?|which|but|due)\b)",
    re.IGNORECASE,
)
_APART = re.compile(
    r"\s*(?:after|before|later|earlier|early|late|sooner|too|apart|long|wide|broad|thick|in\s+(?:length|duration)|each"
    r"|intervals?\b|pauses?)\b",
    re.IGNORECASE,
)
_LABEL_AFTER = re.compile(
    rf"\s*(?:[:(\[=|]|\b(?:is|are|was|were|shows?|has|have|contains?|represents?|corresponds?\s+to|indicates?"
    rf"|demonstrates?|exhibits?)\b)?\s*(?:\b(?:an?|the|of|some|this|that|as)\s+)*({ASKED}|{OTHER})",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(
    r"\s*[:(-]?\s*(?:(?:is|are|was|were|has|have|shows?|contains?|there\s+(?:is|are))\s+)?(?:not\b(?!\s+(?:sure"
    r"|certain))|no\b(?!\s+(?:doubt|other|more|further))|none\b|without\b|free\b|excluded\b|absent\b)"
    r"|\s*(?:is|are|was|were|does|do|has)n['’]?t\b|\s*(?:does|do|did)\s+not\b|\s*can(?:not"
    r"|'t)\b", re.IGNORECASE)  # fmt: skip
_NOT = (
    r"\b(?:not(?!\s+(?:only|sure|certain|just))|no(?!\s+(?:doubt|other|more|further|longer\b|later))|none|never"
    r"|without|free\s+of|except(?:ing)?(?:\s+for)?|exclud(?:es|ing|ed)|outside|neither|nor|rather\s+than"
    r"|instead\s+of|other\s+than|cannot|lacks?|absen(?:t|ce)|negative)\b|n['’]t\b"
)
_NEGATION = re.compile(_NOT, re.IGNORECASE)
_CLAUSE = re.compile(
    r"[,;:!?\n]|\.(?=\s|$)|\b(?:but|then|however|whereas|while|although|though|instead(?!\s+of)|yet|only)\b",
    re.IGNORECASE,
)
_LISTED = re.compile(r"[\s,;&*•-]*(?:\d+[.)])?\s*(?:(?:and|then|again|also|from|at|between)\b\s*)*", re.IGNORECASE)
_TURN = re.compile(r"[;!?\n]|\.(?=\s)|\b(?:but|however|instead)\b", re.IGNORECASE)
_SENTENCE = re.compile(r"[;!?\n]|\.(?=\s|$)")
_SUPPOSED = re.compile(
    r"\b(?:if|unless|would(?!\s+(?:say|estimate|guess|suggest|put|place|describe|mark))|were\s+it|suppose|assuming"
    r"|whether|e\.g\.|for\s+example|for\s+instance|example|format|such\s+as|like\s+this|asked|question)\b",
    re.IGNORECASE,
)
_MAYBE_NOT = re.compile(r"\b(?:(?:maybe|perhaps|possibly|or)\s+not|(?:might|may)\s+not\s+be)\b", re.IGNORECASE)
_OR = re.compile(r"\bor\b|\beither\b", re.IGNORECASE)
_LOOKED = re.compile(
    r"\b(?:looked|looking|examined|examining|reviewed|reviewing|analy[sz]ed|analy[sz]ing|inspected|checked|checking"
    r"|searched)\b",
    re.IGNORECASE,
)
_LENGTH = re.compile(
    rf"\b{_RECORDING}\s+(?:runs?|covers?|spans?|lasts?|goes|extends?|ranges?|of|is|was)(?:\s+(?:from|shown|recorded|of"
    rf"|over))*\s*$",
    re.IGNORECASE,
)
_OF_RECORDING = re.compile(
    r"\b(?:ECG|EKG|recording|tracing|strip|record|signal|trace)\s*[(,:]?\s*(?:from\s*)?$", re.IGNORECASE
)
_BULLET = re.compile(r"[\s\-*•]*(?:\d+[.)]\s*)?$")
_OF_IT = re.compile(
    r"\s*(?:in|of|for|during|within|before|after|preceding|following)\s+(?:(?:the|an?|this|each|every)\s+)?",
    re.IGNORECASE,
)
_PLACED = re.compile(r"(?:compensatory\s+)?pauses?|[PTU][\s-]*waves?", re.IGNORECASE)
_OPENS = re.compile(r"\s*(?:from|in|during|at)?\s*", re.IGNORECASE)
_LABEL_BEHIND = re.compile(  # "Between 5 s and 7 s, atrial fibrillation is present."
    rf"\s*,\s*(?:there\s+(?:is|are)\s+)?(?:(?:an?|the)\s+)?({ASKED}|{OTHER})"
    r"\s*(?:[.;]|$|(?:is|are|was|were|can\s+be|occurs?|appears?)\b(?!\s+(?:not|absent)))",
    re.IGNORECASE,
)
_POSITION = re.compile(r"\b(?:at|during|in|seen|occurs?|located|found|present)\s*$", re.IGNORECASE)
_PARTS = re.compile(
    r"\b(?:the\s+)?(?:first|second|third|last|other|latter|former)\s+(?:one|interval|segment|episode)\b", re.IGNORECASE
)

_ADJECTIVE = (
    r"(?:(?:any|an?|the|clear|clearly|definite|obvious|evident|apparent|visible|discernible|significant|true"
    r"|single|such|isolated|frequent|occasional|premature|recorded|sign\s+of|signs\s+of|evidence\s+(?:of"
    r"|for)|indications?\s+of|traces?\s+of|episodes?\s+of|instances?\s+of|occurrences?\s+of"
    r"|presence\s+of)\s+){0,4}"
)
_VERB = (
    r"(?:see|find|detect|identify|show|contain|have|observe|reveal|display|exhibit|demonstrate|include"
    r"|recogni[sz]e|notice|locate|present|appear|occur|exist)"
)
_FOUND = (
    r"(?:found|detected|present|seen|identified|observed|visible|noted|recorded|shown|there|evident|apparent"
    r"|discernible|displayed|recognized)"
)
_ABNORMALITY = (
    r"(?:abnormalit(?:y|ies)|such\s+(?:beats?|abnormalit(?:y|ies)|findings?|events?|episodes?)|of\s+(?:it"
    r"|them|these|those))"
)
_IS = r"(?:(?:is|are|was|were|has\s+been|have\s+been|can\s+be|could\s+be|being)\s+)"
_DENIAL = re.compile(
    rf"(?:\b(?:keine?|aucune?|pas\s+d[e'’]|sin|ninguna?|nessuna?|geen"
    rf"|no\s+se\s+(?:observan?|detectan?|encuentran?|aprecian?|ven?|identifican?)|il\s+n['’]y\s+a\s+pas\s+d[e'’])\s+"
    rf"|(?:没有|未见|未发现|无)\s*)(?:\w+\s+)?{ASKED}"
    rf"|\b(?:no|zero|0|without|free\s+(?:of|from)|absence\s+of|lack\s+of|lacks?|negative\s+for|devoid\s+of|not\s+any"
    rf"|not\s+a\s+single)\s+{_ADJECTIVE}(?:{OTHER}\s*(?:,|or|and|/)\s*){{0,4}}(?:{ASKED}|{_ABNORMALITY})"
    rf"|(?:\b(?:cannot|can\s+not|could\s+not|do(?:es)?\s+not|did\s+not|unable\s+to|fail(?:s|ed)?\s+to|never)|\b(?:can"
    rf"|could|do(?:es)?|did)n?['’]t)\s+(?:\w+ly\s+)?{_VERB}\s+{_ADJECTIVE}(?:{ASKED}|{_ABNORMALITY})"
    rf"|\bnone\s+of\s+(?:the|these|those|its)\s+\w+\s+(?:is|are|was|were|shows?|looks?\s+like)\s+(?:an?\s+)?{ASKED}"
    rf"|\b(?:neither|nor)\s+{_ADJECTIVE}{ASKED}|{ASKED}-free\b"
    rf"|\b(?:is|are|was|were)(?:\s+not|n['’]t)\s+{_ADJECTIVE}{ASKED}"
    rf"|{ASKED}[^.;,\n{ASKED}{OTHER}]{{0,40}}?(?:\b(?:is|are|was|were|has\s+been|have\s+been|can|could|do(?:es)?"
    rf"|did)?\s*(?:not|n['’]t|cannot)\s+(?:be\s+|been\s+)?(?:{_FOUND}|{_VERB})\b|\b(?:absent|none)\b"
    rf"|\bnot\s+(?:be\s+)?{_FOUND})"
    rf"|{ASKED}\s*(?::|=|\(|-)\s*(?:no|none|absent|not\s+{_FOUND}|negative)\b"
    rf"|\bnone\s+(?:{_IS})?{_FOUND}\b|\b(?:not|isn't|aren't)\s+(?:{_FOUND})\b|\bnothing\s+(?:{_IS})?{_FOUND}\b",
    re.IGNORECASE,
)  # fmt: skip
_NOTHING = re.compile(
    r"\W*(?:(?:duration|answer|results?|findings?|locations?|intervals?|times?|segments?)\W+)?(?:none|absent|\[\s*\]"
    r"|not\s+applicable:?\s*none)\W*",
    re.IGNORECASE,
)
_NONE_AHEAD = re.compile(
    r"\bor\s+(?:none|nothing|not\s+at\s+all)\b|(?:^|\bduration\W+|\banswer\W+)none\b", re.IGNORECASE
)
_MORE = re.compile(r"\b(?:no|not\s+any|without)\s+(?:other|more|further|additional)\b", re.IGNORECASE)
_PARTLY = re.compile(
    r"\b(?:after|before|until|till|beyond|outside|except|apart\s+from|other\s+than|elsewhere|otherwise"
    r"|in\s+the\s+(?:first|last|second|rest)|during\s+the\s+(?:first|last))\b",
    re.IGNORECASE,
)
_TIME = re.compile(r"\d\s*s(?:ec|\b)", re.IGNORECASE)
_LEADING_NO, _LEADING_YES = re.compile(r"^\W*no\b(?=\s*[,.:])", re.IGNORECASE), re.compile(r"\W*yes\b", re.IGNORECASE)
_NOT_NO = re.compile(r"(?:\bnot\b|n['’]t\b)[^,.;]{0,40}\b(?:no|without|free|absent)\b|\bno\s+no\b", re.IGNORECASE)
_UNCERTAIN = re.compile(r"\b(?:rule|ruled|exclude|excluded|excluding)\b|\bunless\b|\bif\b", re.IGNORECASE)
_ASSERTED = re.compile(
    rf"\bthere\s+(?:is|are)\s+(?:an?\s+|some\s+|several\s+)?{ASKED}|{ASKED}\s+(?:is|are|was"
    rf"|were)\s+(?:clearly\s+)?{_FOUND}",
    re.IGNORECASE,
)

_STARTS, _ENDS = (
    ("start", "onset", "begin", "from", "t0", "t_start"),
    ("end", "offset", "stop", "to", "t1", "t_end", "finish"),
)
_LABELS = (  # keys and headings of what an interval is of
    "label", "type", "class", "finding", "name", "abnormality", "category", "event", "rhythm", "beat", "diagnosis",
    "annotation", "kind", "condition", "arrhythmia", "interpretation",
)  # fmt: skip
_MILLI = re.compile(r"(?:^|[\W_])(?:ms|msecs?|milliseconds?)\b", re.IGNORECASE)
_OTHERS = (  # beside the findings and the names of beats: what else an ECG's seconds are said to be
    r"normal(?:ly)?(?:\s+(?:sinus|ventricular))?(?:\s+(?:rhythm|beats?|conduct(?:ion|ed)(?:\s+beats?)?|complex(?:es)?"
    r"|ECG|segment))?",
    r"sinus(?:\s+\w+)?",
    r"artifacts?",
    r"artefacts?",
    r"noise",
    r"(?:baseline\s+)?(?:wander"
    r"|drift)",
    r"(?:supra)?ventricular\s+tachycardia",
    r"S?VT",
    r"ventricular\s+fibrillation",
    r"VF(?:ib)?",
    r"(?:ventricular\s+)?(?:bi|tri)geminy",
    r"couplets?",
    r"(?:junctional|escape|paced|fusion|nodal)\s+(?:rhythm"
    r"|beats?)",
    r"asystole",
    r"(?:second|third|2nd|3rd)[- "
    r"]degree\s+(?:AV\s+)?block",
    r"ST[- ](?:segment\s+)?(?:elevation|depression|change)s?",
    r"T[- ]wave\s+(?:inversion"
    r"|change)s?",
    r"fusion\s+of\s+(?:ventricular"
    r"|paced)\s+and\s+normal\s+beats?",
    r"R-on-T\s+(?:PVCs?|premature\s+ventricular\s+contractions?)",
    r"(?:(?:aberrated|aberrant|atrial|ventricular|supraventricular|nodal|junctional|\(junctional\)|left|right|bundle"
    r"|branch|block|or)\s+){1,4}(?:(?:premature|escape|ectopic|or)\s+){0,3}beats?(?:\s+\([\w ]{1,30}\))?",
)


_LETTERS = re.compile(rf"[^\W\d_{ASKED}{OTHER}]+")
_FAMILIAR = frozenset(  # words around an interval that leave it an answer where none of its own subject is named
    "b c runs run into secondi t best fairly quite pretty m d rather sorry meant mean confident sure tell dalle "
    "alle tussen a abnormal "
    "abnormality about again all also an and another answer answers any appear appears approximately approx "
    "are around arrhythmia as asked at avf avl avr be been beat beats because begin beginning begins being "
    "believe between both but by ca can clearly clip complex complexes conclusion could course detected doubt "
    "due duration durations each ecg ekg electrocardiogram end ending ends episode episodes estimate "
    "estimated event events evident exactly example extends fifth finally final finding findings first for "
    "found fourth from given guess has have here highlighted i identified ii iii in indicated interval "
    "intervals is it its just last lasting lasts lead leads lie lies like likely locate located location "
    "locations main marked maybe me ml mlii moment most my namely near no note noted number observed occur "
    "occurred occurring occurs of offset on one only onset or our part per perhaps period periods place "
    "places position positions possible possibly present presumably probably put range ranges recorded "
    "recording region regions requested respectively result results roughly s sample samples say sec second "
    "seconds section see seen segment segments set shown shows signal since sixth so some span spans start "
    "starting starts stretch strip that the their them then there therefore these they think third this those "
    "through thus time times timestamp timestamps to total trace tracing until up v very visible was we were "
    "when where which whole will ectopic premature ventricular later twice once qrs wide contraction "
    "contractions window with within would x y yes you zone au bei bis da dal dans das dauer de del der des "
    "desde die du durata durée duración e el en entre est está et gefunden hay im ist kl la le les liegt "
    "liegen los se segunden segundos si sind sont sur tiempo un und une van von zeit zwischen à "
    "从 在 位于 于 持续时间 时间 至 到 秒 答案 起 止 出现在 间 之间".split()
)

LONGEST = 2000  # characters of an answer, without its thoughts, that are read
LONGEST_WAVE = 2.5  # s: no wave and no interval between two beats is longer


@dataclass
class _Interval:
    start: float
    end: float
    span: tuple[int, int]
    verdict: str = "yes"


def read_intervals(text: str, name: str, seconds: float) -> np.ndarray | None:
    """Disjoint intervals `[k, 2]` in seconds, sorted; k = 0 for "No X Found"; None if unreadable.

    text: an answer about one window; name: what was asked ("Premature ventricular contraction"); seconds: the window's
    length.
    Read: "Duration: 0.4s-3.7s, 4.6s-9.3s", "2.0-4.0 s", "from 2 to 4 seconds", "[2.0, 4.0]", "starts at 2.0 s and lasts
    2.0 s", "00:02 - 00:04", milliseconds, JSON and tables; "There are no PVCs." of what was asked. Overlapping
    intervals are merged and all are cut to the window.
    Unreadable: an interval that ends before it starts, alternatives, intervals beside a denial of what was asked, none
    inside the window.
    """
    text = last_answer(plain_text(text))[:LONGEST]
    try:
        held = _from_json(json_value(text), name)
        rows = _from_table(text, name) if held is None else held
    except _Unreadable:
        return None
    if rows or held is not None:
        return _inside(rows, seconds) if rows else np.zeros((0, 2))
    text = _masked(_spelled(text, seconds), name)
    if _ALL.fullmatch(text):
        return np.array([[0.0, seconds]])
    found = _intervals(text)
    if found is None:
        return None
    accepted = [interval for interval in found if interval.verdict == "yes"]
    parts = [interval for interval in accepted if not _is_recording(interval, text, seconds)]
    accepted = parts or accepted  # "in this ECG (0-10 s) it is at 1.2-2.0 s"
    if (accepted and any(interval.verdict == "open" for interval in found)) or (found and _MAYBE_NOT.search(text)):
        return None
    denied = _denied(text, found)
    if not accepted:
        return np.zeros((0, 2)) if denied else None
    return (
        None
        if denied or _NONE_AHEAD.search(text)
        else _inside([(interval.start, interval.end) for interval in accepted], seconds)
    )


@dataclass(frozen=True)
class Mention:
    """A stretch of a recording that a text speaks of, or a moment of it (start == end).

    start, end: seconds; span: where in the text it is written, `text[slice(*span)]`.
    """

    start: float
    end: float
    span: tuple[int, int]


def mentions(text: str, seconds: float) -> list[Mention]:
    """Every stretch and moment that a free text speaks of, in its order, whatever it says of them: "0.4s-3.7s",
    "from 2 to 4 seconds", "at 3.2 s". What it denies, what is a measurement ("QRS 0.08-0.10 s") and what lies behind
    the window's end is left out; seconds: the window's length.

    Unlike `read_intervals` it asks for no name and keeps the places in the text; it reads no answer to a question.
    """
    found: list[tuple[_Interval, bool]] = []
    for kind, pattern in _INTERVALS:
        for match in pattern.finditer(text):
            if any(match.start() < end and start < match.end() for start, end in (one.span for one, _ in found)):
                continue
            interval = _number_pair(kind, match, text)
            if isinstance(interval, _Interval):
                found.append((interval, False))
    for match in _MOMENT.finditer(text):
        for time in _SINGLE.finditer(text, match.start(), match.end()):
            if any(time.start() < end and start < time.end() for start, end in (one.span for one, _ in found)):
                continue
            scale = 0.001 if time["unit"].strip().lower().startswith("m") else 1.0
            moment = float(time["time"]) * scale
            found.append((_Interval(moment, moment, time.span()), True))
    found.sort(key=lambda one: one[0].span)
    kept = []
    for place, (interval, single) in enumerate(found):
        begin = found[place - 1][0].span[1] if place else 0
        end = found[place + 1][0].span[0] if place + 1 < len(found) else len(text)
        verdict, _ = _verdict(interval, text[begin : interval.span[0]], text[interval.span[1] : end], text)
        if verdict in ("no", "denied") and not (single and verdict == "no"):
            continue
        if interval.start < seconds:
            kept.append(Mention(interval.start, min(interval.end, seconds), interval.span))
    return kept


def _is_recording(interval: _Interval, text: str, seconds: float) -> bool:
    """Whether an interval is the whole window, written as the length of the recording: "ECG from 0 s to 10 s"."""
    return (
        interval.start == 0 and interval.end >= seconds and _OF_RECORDING.search(text[: interval.span[0]]) is not None
    )


def _inside(intervals: list[tuple[float, float]], seconds: float) -> np.ndarray | None:
    if any(end < start or start < 0 for start, end in intervals):
        return None
    inside = union(np.array(intervals), seconds)
    return inside if len(inside) else None


def _spelled(text: str, seconds: float) -> str:
    """A text whose clock times, ordinals, decimal commas and ends of the window are seconds in digits."""
    text = _CHINESE.sub(" ", _EDGE.sub("", _HASH.sub(" ", text)))
    text = _THOUSAND.sub(r"\1\2", _DATE.sub(" ", text))
    text = _CLOCK.sub(lambda clock: f"{int(clock[1] or 0) * 3600 + int(clock[2]) * 60 + float(clock[3]):g}s", text)
    text = _WORD.sub(lambda word: _WORDS[word[0].lower()], _ORDINAL.sub(r"\1", text))
    if not re.search(r"\d\.\d", text):
        text = _COMMA.sub(r"\1.\2", text)
    return _TO_END.sub(rf"\1 to {seconds:g}s", _FROM_START.sub("from 0s", text))


def _masked(text: str, name: str) -> str:
    """A text with `ASKED` for the name that was asked for and `OTHER` for those of other classes, the longest first."""
    spans = []
    for mark, pattern in ((ASKED, _names(name)), *((OTHER, pattern) for pattern in _others())):
        spans += [(found.start(), -found.end(), mark) for found in pattern.finditer(text)]
    parts, at = [], 0
    for start, end, mark in sorted(spans):
        if start >= at:
            parts += [text[at:start], mark]
            at = -end
    return re.sub(rf"({ASKED}|{OTHER})\s*\(\s*(?:{ASKED}|{OTHER})\s*\)", r"\1", "".join([*parts, text[at:]]))


@cache
def _names(name: str) -> re.Pattern[str]:
    """Matches what was asked by its name, in one or many, with and without what stands in brackets, and by the other
    names of the same finding.
    """
    bare = re.sub(r"\s*\([^)]*\)", "", name).strip()
    short = re.sub(r"\s+beats?$", "", bare, flags=re.IGNORECASE)
    forms = {form for form in (name, bare, short if " " in short else bare) if form}
    findings = [finding for finding in FINDINGS if any(finding.pattern.fullmatch(form) for form in forms)]
    words = [
        re.escape(form).replace(r"\ ", r"\s+") + r"(?:(?:e?s|\(s\)))?" for form in sorted(forms, key=len, reverse=True)
    ]
    return re.compile(
        "|".join(
            [
                rf"(?<!\w)(?:{'|'.join(words)})(?!\w)",
                *(finding.pattern.pattern + r"(?:\s+beats?\b)?" for finding in findings),
            ]
        ),
        re.IGNORECASE,
    )


@cache
def _others() -> tuple[re.Pattern[str], ...]:
    return (
        *(re.compile(rf"(?<!\w)(?:{part})(?!\w)", re.IGNORECASE) for part in _OTHERS),
        *(finding.pattern for finding in FINDINGS),
    )


def _intervals(text: str) -> list[_Interval] | None:
    """Every interval of a masked text in its order, each accepted as an answer or not; None where the text is
    malformed or ambiguous.
    """
    found: list[_Interval] = []
    taken: list[tuple[int, int]] = []
    for kind, pattern in _INTERVALS:
        for match in pattern.finditer(text):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            interval = _number_pair(kind, match, text)
            if interval is None:
                return None
            if interval:
                taken.append(match.span())
                found.append(interval)
    found.sort(key=lambda interval: interval.span)
    labelled = 0  # where the label that follows the interval before ends
    for place, interval in enumerate(found):
        before = text[found[place - 1].span[1] if place else 0 : interval.span[0]]
        begin = interval.span[0] - len(before)
        prefix = text[max(begin, labelled) : interval.span[0]]
        end = found[place + 1].span[0] if place + 1 < len(found) else len(text)
        suffix = text[interval.span[1] : end]
        if place and _OR.search(before):
            return None
        verdict, labelled = _verdict(interval, prefix, suffix, text)
        if verdict is None:
            return None
        if verdict == "as before":
            goes_on = place and (_LISTED.fullmatch(before) or not _TURN.search(before))
            verdict = found[place - 1].verdict if goes_on else "yes"
        interval.verdict = verdict
    return found


def _number_pair(kind: str, match: re.Match[str], text: str) -> _Interval | bool | None:
    """The interval of a match; False where its numbers are none in seconds, None where they are malformed."""
    units = [unit and unit.strip().lower() for unit in (match["a_unit"], match["b_unit"])]
    start, end = float(match["a"]), float(match["b"])
    before, after = text[max(0, match.start() - 60) : match.start()], text[match.end() : match.end() + 60]
    if (match["b_unit"] is None and _OTHER_UNIT.match(after)) or re.match(r"[^\W\u4e00-\u9fff]", after):
        return False
    if units[0] is None and units[1] is None:
        decimals = "." in match["a"] or "." in match["b"]
        if kind == "length" or (kind in ("between", "pair", "cells") and not decimals):
            return False
        if _OTHER_LABEL.search(before):
            return False  # "Confidence: 0.7-0.9"
        if (
            (kind not in ("pair", "cells") and not _FOLLOWS.match(after))
            or not (_LEADS_TO.search(before) or decimals)
            or _COUNTED.search(before)
        ):
            return False
    elif _COUNTED.search(before) and kind == "range":
        return False
    if any(unit and unit.startswith("m") for unit in units):
        scale = [0.001 if (unit or units[1] or "").startswith("m") else 1.0 for unit in units]
        start, end = start * scale[0], end * scale[1]
        if end < 1.0 and not re.search(r"\bfrom\s*$", before, re.IGNORECASE):
            return False  # "120-160 ms" is a width
    if kind == "length":
        end += start
    chained = re.match(rf"{_SEPARATOR}\d", after) or re.search(r"\d\s*-\s*$", before) if kind == "range" else None
    signed = re.search(r"(?:^|[\s:(\[,;])-$", before)
    if re.search(r"(?:±|\+\s?/?\s?-)\s*$", before):
        return False  # "±0.1-0.2 s"
    if chained or signed or end < start:
        return None
    return _Interval(start, end, match.span())


def _verdict(interval: _Interval, prefix: str, suffix: str, text: str) -> tuple[str | None, int]:
    """Whether an interval is an answer ("yes", "no", "denied", "as before"; "open" where words stand around it that may
    make it one of something else; None where it contradicts itself), and where a label that follows it ends.
    """
    label = _LABEL_AFTER.match(suffix)
    if label is None and _OPENS.fullmatch(_SENTENCE.split(prefix)[-1]):
        label = _LABEL_BEHIND.match(suffix)
    labelled = interval.span[1] + label.end() if label else 0
    sentence = _SENTENCE.split(prefix)[-1]
    clause = _CLAUSE.split(prefix)[-1]
    if _LOOKED.search(sentence) or (interval.start == 0 and _LENGTH.search(sentence)):
        return "no", 0
    denial = _NEGATION.search(clause)
    excepted = denial and denial[0].lower().startswith("except") and ASKED in clause[denial.end() :]
    if (
        (denial and not excepted)
        or _DENIED_AFTER.match(suffix)
        or _SUPPOSED.search(sentence)
        or _LASTING.search(prefix)
        or _APART.match(suffix)
    ):
        return "denied", labelled
    subject = _subject(_heading(prefix) or sentence, interval, text)
    if label:
        said = "yes" if label[1] == ASKED else "no"
        if subject and subject != said and not re.match(r"\s*[:=]", suffix):
            return None, labelled
        return said, labelled
    if _measure_after(suffix):
        return "no", labelled
    if not subject and _unfamiliar(sentence, suffix):
        return "open", labelled
    return subject or "as before", labelled


def _unfamiliar(sentence: str, suffix: str) -> bool:
    """Whether words around an interval without a subject may make it one of something else."""
    near = re.match(r"(?:\s*[:=])?[^\n.,;:!?()\[\]{}|]*", suffix)  # "0-1.2 s: regular"
    words = [*_LETTERS.findall(sentence), *_LETTERS.findall(near[0] if near else "")[:2]]
    return any(word.lower() not in _FAMILIAR for word in words)


def _heading(prefix: str) -> str:
    """The line before that ends in a colon, where nothing but a bullet stands between it and the interval; "" where
    there is none.
    """
    bare = _BULLET.sub("", prefix)
    return _SENTENCE.split(bare)[-1] if bare.endswith(":") and "\n" in prefix[len(bare) :] else ""


def _subject(sentence: str, interval: _Interval, text: str) -> str:
    """Whose interval it is by what stands before it: "yes" what was asked, "no" another class or a measurement, ""
    where nothing is named.
    """
    place, verdict = max((sentence.rfind(ASKED), "yes"), (sentence.rfind(OTHER), "no"))
    measures = list(_MEASURE.finditer(sentence))
    if (
        measures
        and interval.end <= LONGEST_WAVE
        and place > measures[-1].start()
        and _OF_IT.fullmatch(sentence, measures[-1].end(), place)
    ):
        return "no"  # "the QRS in the PVC: 0.14s-0.18s"
    if measures and measures[-1].start() > place:
        between = sentence[measures[-1].end() :]
        if _PLACED.fullmatch(measures[-1][0].strip()) and not between.strip(" ("):
            return "no"  # "a pause (2.0 s-3.1 s)"
        at, beyond = _POSITION.search(between), interval.end > LONGEST_WAVE
        if _CLAUSE.search(between.rstrip(" :")):
            return "no" if not (at or beyond) else verdict if place >= 0 else ""
        if not (ASKED in text and (at or beyond)):
            return "no"
    return verdict if place >= 0 else ""


def _measure_after(suffix: str) -> bool:
    found = re.match(r"\s*\)?\s*(?:is\s+(?:the|a|within)\s+)?(?:for\s+)?(?:the\s+)?", suffix)
    return _MEASURE.match(suffix, found.end()) is not None


def _denied(text: str, intervals: list[_Interval]) -> bool:
    """Whether a text says that what was asked is not there: in a sentence that says it of no part of the window, and
    in none the contrary.
    """
    if _NOTHING.fullmatch(text):
        return True
    accepted = any(interval.verdict == "yes" for interval in intervals)
    at, found = 0, False
    for sentence in _SENTENCE.split(text):
        place = text.find(sentence, at)
        at = place + len(sentence)
        inside = [interval for interval in intervals if place <= interval.span[0] and interval.span[1] <= at]
        denial = _DENIAL.search(sentence)
        if not denial or _about_other(sentence, denial):
            if not accepted and _ASSERTED.search(sentence):
                return False
            continue
        if (
            _MORE.search(sentence)
            or any(interval.verdict == "denied" for interval in inside)
            or _UNCERTAIN.search(sentence)
        ):
            continue
        if _PARTLY.search(sentence) or (not accepted and _TIME.search(_without(sentence, place, inside))):
            continue
        if len(_NEGATION.findall(_LEADING_NO.sub("", sentence))) > 2 or _NOT_NO.search(sentence):
            continue
        found = True
    return found and not _LEADING_YES.match(text)


def _without(sentence: str, place: int, intervals: list[_Interval]) -> str:
    """A sentence without its intervals."""
    for interval in reversed(intervals):
        sentence = sentence[: interval.span[0] - place] + sentence[interval.span[1] - place :]
    return sentence


def _about_other(sentence: str, denial: re.Match[str]) -> bool:
    """Whether a denial without a name ("none found", "not present") is of another class that its clause names."""
    if ASKED in denial[0]:
        return False
    clause = _CLAUSE.split(sentence[: denial.start()])[-1] + denial[0]
    return OTHER in clause or (OTHER in sentence and ASKED not in sentence)


class _Unreadable(Exception):
    """A JSON answer or a table whose intervals may be those of something else, or cannot be put together."""


def _from_json(value: Any, name: str, scale: float = 1.0) -> list[tuple[float, float]] | None:
    """The intervals in seconds of a JSON answer: pairs, or objects with a start and an end, at any depth, those of
    another class left out; None where it has anything else. name: what was asked; scale: seconds of its unit.
    """
    if isinstance(value, dict):
        plain = {str(key).lower().replace(" ", "_"): item for key, item in value.items()}
        scale = 0.001 if any(_MILLI.fullmatch(str(plain.get(key, ""))) for key in ("unit", "units")) else scale
        start = next((key for key in plain if key.startswith(_STARTS)), None)
        end = next((key for key in plain if key.startswith(_ENDS)), None)
        if start is not None and end is not None:
            labels = " ".join(str(item) for key, item in plain.items() if key.startswith(_LABELS))
            return _columns(plain[start], plain[end], *(_scale(key, scale) for key in (start, end)), labels, name)
        flags = [plain[key] for key in ("present", "found", "detected", "exists", "is_present") if key in plain]
        if any(flag is False for flag in flags):
            return [] if not any(plain.get(key) for key in plain) else None
        lists = [(key, item) for key, item in plain.items() if isinstance(item, (list, dict))]
        found = _from_json(lists[0][1], name, _scale(lists[0][0], scale)) if len(lists) == 1 else None
        if found == [] and any(flag is True for flag in flags):
            raise _Unreadable
        return found
    if isinstance(value, list):
        if not value:
            return []
        if all(isinstance(item, (list, dict)) for item in value):
            parts = [_pair(item, scale) if isinstance(item, list) else _from_json(item, name, scale) for item in value]
            return None if any(part is None for part in parts) else [pair for part in parts for pair in part or ()]
    return None


def _columns(
    start: Any, end: Any, start_scale: float, end_scale: float, labels: str, name: str
) -> list[tuple[float, float]] | None:
    """The interval of a start and an end, or those of as many starts as ends; none where a label says another class."""
    starts, ends = (part if isinstance(part, list) else [part] for part in (start, end))
    if len(starts) != len(ends):
        raise _Unreadable
    pairs = [(_seconds(a, start_scale), _seconds(b, end_scale)) for a, b in zip(starts, ends)]
    found = [(a, b) for a, b in pairs if a is not None and b is not None]
    if len(found) < len(pairs):
        return None
    return found if _is_asked(labels, name) else []


def _is_asked(label: str, name: str) -> bool:
    """Whether what stands beside an interval is what was asked, or says nothing; False for another class."""
    masked = _masked(plain_text(label), name)
    if OTHER in masked and ASKED not in masked:
        return False
    words = _LETTERS.findall(masked)
    if ASKED not in masked and any(len(word) == 1 or word.lower() not in _FAMILIAR for word in words):
        raise _Unreadable
    if OTHER in masked or _NEGATION.search(masked):
        raise _Unreadable
    return True


def _pair(item: list, scale: float) -> list[tuple[float, float]] | None:
    numbers = [_seconds(part, scale) for part in item]
    return [(numbers[0], numbers[1])] if len(numbers) == 2 and None not in numbers else None  # type: ignore[list-item]


def _scale(key: str, scale: float) -> float:
    """Seconds of the unit that a key or a heading names: "start_ms", "End (ms)"."""
    return 0.001 if _MILLI.search(key) else scale


def _seconds(value: Any, scale: float = 1.0) -> float | None:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value) * scale
    found = re.fullmatch(rf"\s*({_NUMBER})\s*({_UNIT})?\s*", value) if isinstance(value, str) else None
    if not found:
        return None
    unit = (found[2] or "").strip().lower()
    return float(found[1]) * (scale if not unit else 0.001 if unit.startswith("m") else 1.0)


def _from_table(text: str, name: str) -> list[tuple[float, float]]:
    """The intervals of a markdown table with a column of starts and one of ends, rows of another class left out."""
    rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in text.splitlines() if "|" in line]
    for place, header in enumerate(rows):
        heads = [cell.lower() for cell in header]
        start = next((k for k, cell in enumerate(heads) if cell.startswith(_STARTS)), None)
        end = next((k for k, cell in enumerate(heads) if cell.startswith(_ENDS)), None)
        if start is not None and end is not None:
            found = []
            for row in rows[place + 1 :]:
                if len(row) == len(header) and _seconds(row[start]) is not None:
                    labels = " ".join(cell for cell, head in zip(row, heads) if head.startswith(_LABELS))
                    scales = (_scale(heads[k], 1.0) for k in (start, end))
                    found += _columns(row[start], row[end], *scales, labels, name) or []
            return found
    return []
