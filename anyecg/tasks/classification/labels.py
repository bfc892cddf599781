"""Which labels of a corpus a report asserts, by the words of its statements and not by likeness."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

from anyecg.findings import FINDINGS, asserted, find

Label = tuple[str, str]  # a label set and a name in it
COMPLETE = re.compile(r"^complete\s+", re.IGNORECASE)  # a block is complete unless it is called incomplete


class LabelReader:
    """`reader(report)` -> the labels that the report asserts; what it denies ("no atrial fibrillation") it does not.

    labels: label set -> names; statements: what the corpus's own reports say -> label set -> the names that it stands
    for ("anteroseptal myocardial infarction" -> sub: "anterior myocardial infarction", super: "myocardial infarction").
    A phrase that is a finding is read in all of the finding's wordings; any other as it is written, and not where it is
    a part of a longer one ("AV block" in "first degree AV block").
    """

    def __init__(
        self, labels: Mapping[str, Sequence[str]], statements: Mapping[str, Mapping[str, Sequence[str]]] | None = None
    ) -> None:
        means: dict[str, set[Label]] = defaultdict(set)
        for group, names in labels.items():
            for name in names:
                means[_plain(name)].add((group, name))
        for statement, sets in (statements or {}).items():
            means[_plain(statement)] |= {(group, name) for group, names in sets.items() for name in names}
        self._of_finding: dict[str, set[Label]] = defaultdict(set)
        self._of_phrase: dict[str, set[Label]] = {}
        for phrase, said in means.items():
            key = _finding(phrase)
            if key:
                self._of_finding[key] |= said
            self._of_phrase[phrase] = set() if key else said
        longest_first = sorted(map(_spaced, means), key=lambda phrase: (-len(phrase), phrase))
        self._phrases = (
            re.compile(rf"(?<!\w)(?:{'|'.join(longest_first)})(?!\w)", re.IGNORECASE) if longest_first else None
        )

    def __call__(self, report: str) -> frozenset[Label]:
        said: set[Label] = set()
        for key in find(report):
            said |= self._of_finding.get(key, set())
        for phrase in asserted(report, self._phrases) if self._phrases else ():
            said |= self._of_phrase[_plain(phrase)]
        return frozenset(said)


def _plain(phrase: str) -> str:
    return " ".join(phrase.casefold().split())


def _spaced(phrase: str) -> str:
    return r"\s+".join(map(re.escape, phrase.split()))


def _finding(phrase: str) -> str | None:
    """The finding that a phrase names and says no more of; None where it is none."""
    plain = COMPLETE.sub("", phrase)
    return next((finding.key for finding in FINDINGS if finding.pattern.fullmatch(plain)), None)
