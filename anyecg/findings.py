"""The vocabulary of ECG findings that the simulator writes, the questions ask about and the judge reads.

`find` turns any report or answer into the set of finding keys it asserts. It matches whole words ("AF" is not in
"AFL"), follows negation ("no atrial fibrillation", "PVCs have resolved") and knows the wordings of MIMIC-IV-ECG's
machine statements, of PTB-XL's English and German reports and of common abbreviations.

What the sources call "T wave changes" or "ST-T changes" of a region counts as T-wave inversion there; a statement that
only raises a possibility ("cannot rule out anterior infarct") counts as asserted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

KINDS = ("rhythm", "conduction", "ectopy", "voltage", "infarct", "st", "t_wave", "axis", "summary")


@dataclass(frozen=True)
class Finding:
    """One thing an ECG can show.

    Attributes:
        key: identifier, snake case.
        name: plain phrase for questions and answers, e.g. "left bundle branch block".
        statement: as a MIMIC-IV-ECG machine statement says it.
        scp: PTB-XL's SCP-ECG code, or None where the standard has none.
        kind: one of `KINDS`.
        pattern: recognises the finding in free text; matched case-insensitively and word-bounded.
    """

    key: str
    name: str
    statement: str
    scp: str | None
    kind: str
    pattern: re.Pattern[str]


def _words(*alternatives: str) -> re.Pattern[str]:
    return re.compile(r"(?<!\w)(?:" + "|".join(alternatives) + r")(?!\w)", re.IGNORECASE)


_ANY = r"(?:infero|antero|postero)?-?(?:inferior|anterior|lateral|septal|posterior)"
_JOIN = r"(?:\s*(?:/|,|&|and)\s*)"
_REGION = {
    "inferior": r"(?:inferior|infero-?(?:lateral|posterior))",
    "anterior": r"(?:anterior|septal|antero-?(?:septal|lateral))",
    "lateral": r"(?:(?:infero|antero|postero)?-?lateral)",
}


def _regional(region: str, change: str) -> tuple[str, str]:
    """Both word orders: "inferior/lateral <change>" and "<change>, inferior leads"."""
    chain = rf"(?:{_ANY}{_JOIN})*{_REGION[region]}(?:{_JOIN}{_ANY})*"
    return (
        rf"{chain}\s+(?:leads\s+)?{change}",
        rf"{change}(?:,|\s+in|\s+of)?(?:\s+the)?\s+{chain}\s+(?:leads?|wall|region)",
    )


_T = r"(?:(?:ST[- ]?)?T(?:[- ]waves?)?\s+(?:inversions?|changes|abnormalit(?:y|ies))|inverted\s+T[- ]?waves?)"
_STE = r"(?:ST[- ]?(?:segment\s+)?elevations?|STE)"
_STD = r"(?:ST[- ]?(?:segment\s+)?depressions?|STD)"
_MI = r"(?:(?:myocardial\s+)?infarct(?:ion|s)?|MI|infarkt)"
_PLURAL = r"(?:s|\(s\))?"
_BEAT = rf"(?:contraction|complex|complexe|beat|extrasystole|depolarization){_PLURAL}"
_BLOCK = r"(?:\s+bundle)?\s+branch\s+block"

FINDINGS: tuple[Finding, ...] = (
    Finding(
        "sinus_rhythm",
        "sinus rhythm",
        "Sinus rhythm",
        "SR",
        "rhythm",
        _words(r"sinus\s+rhythm", "NSR", "sinusrhythmus"),
    ),
    Finding(
        "sinus_bradycardia",
        "sinus bradycardia",
        "Sinus bradycardia",
        "SBRAD",
        "rhythm",
        _words(r"sinus\s+brady(?:cardia)?", r"sinus\s?bradykardie"),
    ),
    Finding(
        "sinus_tachycardia",
        "sinus tachycardia",
        "Sinus tachycardia",
        "STACH",
        "rhythm",
        _words(r"sinus\s+tachy(?:cardia)?", r"sinus\s?tachykardie"),
    ),
    Finding(
        "sinus_arrhythmia",
        "sinus arrhythmia",
        "Sinus arrhythmia",
        "SARRH",
        "rhythm",
        _words(r"sinus\s+arr?h?ythmia", r"sinus\s?arrhythmie"),
    ),
    Finding(
        "atrial_fibrillation",
        "atrial fibrillation",
        "Atrial fibrillation",
        "AFIB",
        "rhythm",
        _words(r"atrial\s+fib(?:rillation)?", "AF", r"a[- ]?fib", "vorhofflimmern"),
    ),
    Finding(
        "atrial_flutter",
        "atrial flutter",
        "Atrial flutter",
        "AFLT",
        "rhythm",
        _words(r"atrial\s+(?:fibrillation\s*(?:/|or)\s*)?flutter", "AFLT?", r"a[- ]?flutter", "vorhofflattern"),
    ),
    Finding(
        "first_degree_av_block",
        "first degree AV block",
        "1st degree A-V block",
        "1AVB",
        "conduction",
        _words(
            r"(?:1st|first)[- ]degree\s+(?:A-?V|atrioventricular)[- ]block",
            "1AVB",
            r"prolonged\s+PR[- ]interval",
            r"PR[- ]prolongation",
            r"AV[- ]block\s+(?:I|1)\.?(?:\s*grades)?",
        ),
    ),
    Finding(
        "left_bundle_branch_block",
        "left bundle branch block",
        "Left bundle branch block",
        "CLBBB",
        "conduction",
        _words(
            rf"(?<!incomplete )left{_BLOCK}", "C?LBBB", r"(?<!unvollständiger )(?<!inkompletter )linksschenkelblock"
        ),
    ),
    Finding(
        "right_bundle_branch_block",
        "right bundle branch block",
        "Right bundle branch block",
        "CRBBB",
        "conduction",
        _words(
            rf"(?<!incomplete )right{_BLOCK}", "C?RBBB", r"(?<!unvollständiger )(?<!inkompletter )rechtsschenkelblock"
        ),
    ),
    Finding(
        "left_anterior_fascicular_block",
        "left anterior fascicular block",
        "Left anterior fascicular block",
        "LAFB",
        "conduction",
        _words(r"left\s+anterior\s+(?:fascicular\s+|hemi-?)block", "LAFB", r"linksanteriorer\s+hemiblock"),
    ),
    Finding(
        "premature_ventricular_contraction",
        "premature ventricular contraction",
        "PVC(s)",
        "PVC",
        "ectopy",
        _words(
            rf"PVC{_PLURAL}",
            rf"VPC{_PLURAL}",
            rf"premature\s+ventricular\s+{_BEAT}",
            rf"ventricular\s+(?:premature\s+|ectopic\s+)?{_BEAT}",
            r"ventricular\s+ectopy",
            r"premature\s+complexes,\s+vent",
            r"ventrikuläre\s+extrasystolen?(?:\(n\))?",
        ),
    ),
    Finding(
        "premature_atrial_contraction",
        "premature atrial contraction",
        "PAC(s)",
        "PAC",
        "ectopy",
        _words(
            rf"PAC{_PLURAL}",
            rf"APC{_PLURAL}",
            rf"premature\s+(?:atrial|supraventricular)\s+{_BEAT}",
            rf"(?:atrial|supraventricular)\s+(?:premature\s+|ectopic\s+)?{_BEAT}",
            r"(?:atrial|supraventricular)\s+ectopy",
            r"premature\s+complexes,\s+(?:vent\s+&\s+)?supraven",
            r"supraventrikuläre\s+extrasystolen?(?:\(n\))?",
        ),
    ),
    Finding(
        "ventricular_run",
        "nonsustained ventricular tachycardia",
        "Nonsustained ventricular tachycardia",
        None,
        "ectopy",
        _words(
            r"non-?sustained\s+(?:ventricular\s+tachycardia|VT)",
            "NSVT",
            r"ventricular\s+runs?",
            r"(?:runs?|salvos?)\s+of\s+(?:PVCs|premature\s+ventricular\s+contractions)",
        ),
    ),
    Finding(
        "left_ventricular_hypertrophy",
        "left ventricular hypertrophy",
        "Left ventricular hypertrophy",
        "LVH",
        "voltage",
        _words(r"left\s+ventricular\s+hypertrophy", "V?C?LVH", r"links(?:ventrikuläre\s+)?hypertrophie"),
    ),
    Finding(
        "low_voltage",
        "low QRS voltage",
        "Low QRS voltages",
        "LVOLT",
        "voltage",
        _words(r"low(?:\s+QRS)?[- ]voltages?", "niederspannung"),
    ),
    Finding(
        "infarct_inferior",
        "inferior infarct",
        "Inferior infarct - age undetermined",
        "IMI",
        "infarct",
        _words(*_regional("inferior", _MI), r"inferiorer\s+infarkt"),
    ),
    Finding(
        "infarct_anterior",
        "anterior infarct",
        "Anterior infarct - age undetermined",
        "AMI",
        "infarct",
        _words(*_regional("anterior", _MI), r"anter(?:ior|oseptal)er\s+infarkt"),
    ),
    *(
        Finding(
            f"st_elevation_{region}",
            f"{region} ST elevation",
            f"{region.title()} ST elevation",
            "STE_",
            "st",
            _words(*_regional(region, _STE)),
        )
        for region in ("inferior", "anterior", "lateral")
    ),
    *(
        Finding(
            f"st_depression_{region}",
            f"{region} ST depression",
            f"{region.title()} ST depression",
            "STD_",
            "st",
            _words(*_regional(region, _STD)),
        )
        for region in ("inferior", "lateral")
    ),
    *(
        Finding(
            f"t_inversion_{region}",
            f"{region} T wave inversion",
            f"{region.title()} T wave changes may be due to myocardial ischemia",
            "INVT",
            "t_wave",
            _words(*_regional(region, _T)),
        )
        for region in ("inferior", "anterior", "lateral")
    ),
    Finding(
        "left_axis_deviation",
        "left axis deviation",
        "Left axis deviation",
        None,
        "axis",
        _words(r"left\s+axis(?:\s+deviation)?", r"leftward\s+axis", r"(?:ü|ue)berdrehter\s+linkstyp"),
    ),
    Finding(
        "right_axis_deviation",
        "right axis deviation",
        "Right axis deviation",
        None,
        "axis",
        _words(r"right\s+axis(?:\s+deviation)?", r"rightward\s+axis", "rechtstyp"),
    ),
    Finding(
        "normal_ecg",
        "normal ECG",
        "Normal ECG",
        "NORM",
        "summary",
        _words(
            r"(?<!otherwise )(?<!except for )normal\s+(?:ECG|EKG|electrocardiogram)(?!\s+except)",
            r"within\s+normal\s+limits",
            r"(?<!sonst )normales\s+EKG",
        ),
    ),
    Finding(
        "borderline_ecg",
        "borderline ECG",
        "Borderline ECG",
        None,
        "summary",
        _words(r"borderline\s+(?:normal\s+|abnormal\s+)?(?:ECG|EKG|electrocardiogram)"),
    ),
    Finding(
        "abnormal_ecg",
        "abnormal ECG",
        "Abnormal ECG",
        None,
        "summary",
        _words(r"(?<!borderline )abnormal\s+(?:ECG|EKG|electrocardiogram)"),
    ),
)

BY_KEY: dict[str, Finding] = {finding.key: finding for finding in FINDINGS}

_SENTENCE = re.compile(r"[.;:!?\n]+(?:\s|$)|\n")
# "AF: no", "AF (absent)"
_VERDICT = re.compile(
    r"\s*(?::|=|\(|\?)\s*(?=(?:no|none|not|absent|negative|excluded|resolved|unlikely)\b)", re.IGNORECASE
)
_STOP = re.compile(
    r",|\bbut\b|\bhowever\b|\balthough\b|\bthough\b|\binstead\b(?!\s+of)|\bwhile\b|\bwhereas\b"
    r"|(?<!consistent )(?<!compatible )(?<!associated )(?<!keeping )(?<!ECG )(?<!ECGs )(?<!one )(?<!none )\bwith\b"
    r"|\bexcept\b|\baber\b|\band\s+(?:now\s+)?(?:shows?|has|have|is)\b",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    r"(?:\b(?:no|none|not|cannot|without|absence\s+of|absent|neither|nor|never|denies|negative\s+for|free\s+of"
    r"|instead\s+of|rather\s+than|lacks?|resolution\s+of|resolved|disappearance\s+of"
    r"|fail(?:s|ed)?\s+to\s+(?:show|reveal|demonstrate)|excludes|rules\s+out|unlikely|kein(?:e[nr]?)?|ohne)|n['’]t)\b"
    r"(?!\s+(?:only|significant\s+change|change|doubt|longer\s+(?:normal|absent)|(?:be\s+)?(?:rule|ruled|exclude"
    r"|excluded)\b))",
    re.IGNORECASE,
)
_NON = re.compile(r"\bnon[- ]$", re.IGNORECASE)  # "non-AF"
_AFTER = re.compile(
    r"(?:^|\s)(?:(?:is|are|was|were|has|have|had|does|do|did|ca|can|could)(?:\s+been|\s+now)?\s*)?"
    r"(?:(?:not|n['’]t)\b(?!\s+(?:only|(?:be\s+)?(?:ruled\s+out|excluded)))|cannot\s+be\s+(?:seen|found|identified"
    r"|detected)"
    r"|absent|negative|none|no(?:\s+longer)?(?=\s*[,)]|\s*$)|no\s+longer|resolved|disappeared|gone|unlikely"
    r"|(?<!not be )ruled\s+out|(?<!not be )excluded"
    r"|replaced\s+by)",
    re.IGNORECASE,
)
REACH = 400  # characters that a negation reaches at most, so that an endless text is read in time
_LIST = re.compile(r"\b(?:or|nor)\b", re.IGNORECASE)
_TURN = re.compile(r"\bbut\b|\bhowever\b", re.IGNORECASE)


def find(text: str) -> frozenset[str]:
    """The keys of the findings that a text asserts; a finding named only under negation is left out."""
    return frozenset(
        finding.key
        for sentence in _sentences(text)
        for finding in FINDINGS
        if any(not _denied(sentence, match) for match in finding.pattern.finditer(sentence))
    )


def asserted(text: str, pattern: re.Pattern[str]) -> list[str]:
    """What a pattern matches in a text, save where the text denies it."""
    return [
        match.group()
        for sentence in _sentences(text)
        for match in pattern.finditer(sentence)
        if not _denied(sentence, match)
    ]


def _sentences(text: str) -> list[str]:
    return _SENTENCE.split(_VERDICT.sub(" ", text))


def _denied(sentence: str, match: re.Match[str]) -> bool:
    """Whether a negation before the match reaches it, or one after it belongs to it.

    A comma ends a negation (reports are comma-joined statements) unless the list goes on to an "or".
    """
    if _NON.search(sentence, max(0, match.start() - 4), match.start()):
        return True
    first, end = max(0, match.start() - REACH), _clause_end(sentence, match.end())
    last_or = max((word.start() for word in _LIST.finditer(sentence, first, end)), default=-1)
    stops = _STOP.finditer(sentence, first, match.start())
    last_stop = max((stop.start() for stop in stops if stop.group() != "," or stop.end() > last_or), default=-1)
    if any(cue.end() > last_stop for cue in _BEFORE.finditer(sentence, first, match.start())):
        return True
    tail = sentence[match.end() : match.end() + REACH]
    stop = _STOP.search(tail)
    tail = tail[: stop.start()] if stop else tail
    after = _AFTER.search(tail)
    return after is not None and not any(other.pattern.search(tail, 0, after.start()) for other in FINDINGS)


def _clause_end(sentence: str, start: int) -> int:
    """Where the clause that holds position `start` ends."""
    stop = _TURN.search(sentence, start, start + REACH)
    return stop.start() if stop else min(len(sentence), start + REACH)
