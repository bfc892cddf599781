"""What an answer of the localization task says: intervals in seconds, that there is nothing, or nothing readable."""

from __future__ import annotations

import re
from functools import cache

import numpy as np

from anyecg.findings import FINDINGS
from anyecg.tasks.localization.intervals import union

_NUMBER = r"(\d++(?:\.\d++)?+)"
_SECONDS = r"(?:s|secs?|seconds?)"
_UNIT = rf"\s*{_SECONDS}?"
_OTHER = r"(?!\s*(?:ms|mv|mm|hz|bpm|min(?:utes?)?|beats?|PVCs?|PACs?|complex(?:es)?|contractions?|times|leads?)\b|\s*[%/])"  # no seconds
_INTERVALS = tuple(re.compile(pattern, re.IGNORECASE) for pattern in (
    rf"(?<![\w.]){_NUMBER}{_UNIT}\s*(?:-|–|—|~|to|until|through)\s*{_NUMBER}{_OTHER}{_UNIT}(?!\w)",
    rf"\bbetween\s+{_NUMBER}{_UNIT}\s+and\s+{_NUMBER}\s*{_SECONDS}(?!\w)",
    rf"[\[(](?=[^\])]{{0,40}}(?:\d\.\d|\d\s*s))\s*{_NUMBER}{_UNIT}\s*,\s*{_NUMBER}{_UNIT}\s*[\])]",  # a list of whole numbers may be of leads
    rf"\b(?:starts?|begins?)\s+(?:at|from)\s+{_NUMBER}{_UNIT}\s*,?\s*(?:and\s+)?(?:ends?|stops?)\s+at\s+{_NUMBER}{_OTHER}{_UNIT}(?!\w)",
))  # fmt: skip
_NONE = re.compile(
    r"\bno(?:ne)?\b(?!\s+(?:doubt|other|more|further)\b)[^.;\n]{0,200}\b(?:found|detected|present|seen|identified|observed)\b"
    r"|\b(?:not|isn't|aren't)\s+(?:found|detected|present|seen|identified|observed)\b|\babsent\b|^\W*(?:duration\W+)?none\W*$",
    re.IGNORECASE,
)
_ANYTHING = r"abnormalit(?:y|ies)|such\s+(?:beats?|abnormalit(?:y|ies)|findings?)"
_SIGN = r"(?:(?:evidence|signs?|episodes?|instances?|occurrences?)\s+of\s+)?"
_PLACE = r"(?:\s+(?:anywhere\s+)?(?:in|on|during|within)\s+(?:this|the)\s+(?:whole\s+|entire\s+)?(?:ECG|EKG|recording|tracing|strip|record|signal|window|segment))?"


def read_intervals(text: str, name: str, seconds: float) -> np.ndarray | None:
    """Disjoint intervals `[k, 2]` in seconds, sorted; k = 0 for "No X Found"; None if unreadable.

    Read: "Duration: 0.4s-3.7s, 4.6s-9.3s", "2.0s - 4.0s.", "2.0-4.0 s", "from 2 to 4 seconds", "between 2 and 4 seconds",
    "[2.0, 4.0]", "starts at 2.0 s and ends at 4.0 s"; "There are no PVCs." of what was asked. Overlapping intervals are
    merged and all are cut to the window. Unreadable: an interval that ends before it starts, intervals beside a denial
    ("No X Found"), intervals that leave nothing inside the window.
    """
    said = np.array([(float(start), float(end)) for pattern in _INTERVALS for start, end in pattern.findall(text)]).reshape(-1, 2)
    denial, whole = _denials(name)
    none = _NONE.search(text) is not None
    if not len(said):
        return said if none or whole.fullmatch(text) else None
    if none or denial.search(text) or (said[:, 1] < said[:, 0]).any():
        return None
    inside = union(said, seconds)
    return inside if len(inside) else None


@cache
def _denials(name: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Match where a text says that there is none of an abnormality, and a text that says so and nothing else.

    It goes by its name, in one or many, and by the other names of the same finding ("PVC").
    """
    names = [re.escape(name).replace(r"\ ", r"\s+") + "s?", *(finding.pattern.pattern for finding in FINDINGS if finding.pattern.fullmatch(name))]
    denial = rf"\bno\s+{_SIGN}(?:{'|'.join([*names, _ANYTHING])})(?!\w)"
    whole = rf"\W*(?:(?:duration|answer)\s*:\s*)?(?:no\s*[,.]\s*)?(?:there\s+(?:is|are)\s+)?{denial}{_PLACE}\W*"
    return re.compile(denial, re.IGNORECASE), re.compile(whole, re.IGNORECASE)
