"""The kinds of MultiECG question: each reads a series and says question, answer, reference and what the answer
asserts.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from anyecg.findings import BY_KEY
from anyecg.tasks.multi_ecg.series import Series

NUMBERS = ("None", "One", "Two", "Three", "Four", "Five", "Six")


@dataclass(frozen=True)
class Asked:
    """A question with its answer.

    reference: the answer as data; asserts: the findings a reader of the answer must come away with;
    finding, truth: of a yes/no question, so that each finding is asked as often with either answer.
    """

    question: str
    answer: str
    reference: dict
    asserts: frozenset[str]
    finding: str = ""
    truth: bool | None = None


# finding -> how many ECGs of the split show it: what is asked about in vain is as common as what is asked about with
# success
Prevalence = Mapping[str, int]
Kind = Callable[[Series, Prevalence, random.Random], Asked | None]


def key_findings(series: Series, common: Prevalence, rng: random.Random) -> Asked | None:
    """What one ECG shows."""
    k = rng.randrange(len(series))
    found = series.visits[k].findings
    if not found:
        return None
    return Asked(
        f"What are the key findings from the {series.dated(k)}?",
        f"The {series.ecg(k)} shows {listed(found)}.",
        {"ecg": k + 1, "findings": list(found)},
        frozenset(found),
    )


def changes(series: Series, common: Prevalence, rng: random.Random) -> Asked | None:
    """What is new and what has gone between two ECGs."""
    a, b = sorted(rng.sample(range(len(series)), 2))
    before, after = series.visits[a].findings, series.visits[b].findings
    new, gone = [f for f in after if f not in before], [f for f in before if f not in after]
    question = f"What changes between the {series.dated(a)} and the {series.dated(b)}?"
    reference = {"from": a + 1, "to": b + 1, "new": new, "resolved": gone}
    if not before and not after:
        return None
    if not new and not gone:
        return Asked(question, f"Nothing changes: both ECGs show {listed(after)}.", reference, frozenset(after))
    parts = [f"The {series.ecg(b)} newly shows {listed(new)}."] if new else []
    parts += [f"The {series.ecg(b)} no longer shows {listed(gone, 'or')}."] if gone else []
    return Asked(question, " ".join(parts), reference, frozenset(new))


def consistent(series: Series, common: Prevalence, rng: random.Random) -> Asked | None:
    """What all ECGs share."""
    shared = [f for f in series.visits[0].findings if len(series.having(f)) == len(series)]
    question = f"Which findings are consistent across all {NUMBERS[len(series)].lower()} ECGs?"
    if not shared:
        return Asked(question, "There is nothing that all ECGs share.", {"findings": []}, frozenset())
    return Asked(question, f"All ECGs show {listed(shared)}.", {"findings": shared}, frozenset(shared))


def rhythm(series: Series, common: Prevalence, rng: random.Random) -> Asked | None:
    """How the rhythm goes."""
    rhythms = [tuple(f for f in visit.findings if BY_KEY[f].kind == "rhythm") for visit in series.visits]
    if not all(rhythms):
        return None
    question = "How does the cardiac rhythm develop over these ECGs?"
    reference = {"rhythms": [list(found) for found in rhythms]}
    asserts = frozenset(f for found in rhythms for f in found)
    if len(set(rhythms)) == 1:
        return Asked(question, f"The rhythm stays the same: {listed(rhythms[0])} in all ECGs.", reference, asserts)
    course = [
        f"{listed(found)} in the {series.ecg(k)}" for k, found in enumerate(rhythms) if not k or found != rhythms[k - 1]
    ]
    return Asked(question, f"The rhythm goes from {' to '.join(course)}.", reference, asserts)


def first_seen(series: Series, common: Prevalence, rng: random.Random) -> Asked | None:
    """Which ECG first shows a finding; every place, and "none", is as likely as the series allows."""
    firsts: dict[int | None, list[str]] = {}
    for finding in common:
        having = series.having(finding)
        firsts.setdefault(having[0] if having else None, []).append(finding)
    if not firsts:
        return None
    k = rng.choice(sorted(firsts, key=lambda place: -1 if place is None else place))
    finding = _drawn(firsts[k], common, rng)
    question = f"In which ECG does {BY_KEY[finding].name} first appear?"
    if k is None:
        return Asked(question, f"No ECG shows {BY_KEY[finding].name}.", {"finding": finding, "ecg": None}, frozenset())
    return Asked(
        question,
        f"The {series.ecg(k)} is the first to show {BY_KEY[finding].name}.",
        {"finding": finding, "ecg": k + 1},
        frozenset([finding]),
    )


def how_many(series: Series, common: Prevalence, rng: random.Random) -> Asked | None:
    """How many ECGs show a finding; every number is as likely as the series allows."""
    counts: dict[int, list[str]] = {}
    for finding in common:
        counts.setdefault(len(series.having(finding)), []).append(finding)
    if not counts:
        return None
    count = rng.choice(sorted(counts))
    finding = _drawn(counts[count], common, rng)
    name, total = BY_KEY[finding].name, NUMBERS[len(series)].lower()
    if count == len(series):
        answer = f"All {total} ECGs show {name}."
    elif count:
        answer = f"{NUMBERS[count]} of the {total} ECGs show{'s' * (count == 1)} {name}."
    else:
        answer = f"No ECG shows {name}."
    return Asked(
        f"How many of the {total} ECGs show {name}?",
        answer,
        {"finding": finding, "count": count},
        frozenset([finding] if count else []),
    )


def present(series: Series, common: Prevalence, rng: random.Random) -> Asked | None:
    """Whether one ECG shows a finding (yes/no)."""
    k = rng.randrange(len(series))
    return _yes_or_no(
        [f for f in common if f in series.visits[k].findings],
        [f for f in common if f not in series.visits[k].findings],
        common,
        rng,
        "Does the {ecg} show {name}?",
        "Yes, the {ecg} shows {name}.",
        "No, the {ecg} does not show {name}.",
        series.dated(k),
        series.ecg(k),
    )


def persists(series: Series, common: Prevalence, rng: random.Random) -> Asked | None:
    """Whether a finding of the first ECG is still there in the last (yes/no)."""
    first, last = series.visits[0].findings, series.visits[-1].findings
    return _yes_or_no(
        [f for f in common if f in first and f in last],
        [f for f in common if f in first and f not in last],
        common,
        rng,
        "The first ECG shows {name}. Is it still there in the {ecg}?",
        "Yes, the {ecg} still shows {name}.",
        "No, the {ecg} no longer shows {name}.",
        series.dated(len(series) - 1),
        series.ecg(len(series) - 1),
    )


def _drawn(findings: list[str], common: Prevalence, rng: random.Random) -> str:
    return rng.choices(findings, [common[finding] for finding in findings])[0]


def _yes_or_no(
    true: list[str],
    false: list[str],
    common: Prevalence,
    rng: random.Random,
    question: str,
    yes: str,
    no: str,
    asked: str,
    said: str,
) -> Asked | None:
    truth = rng.random() < 0.5
    if not (true if truth else false):
        return None
    finding = _drawn(true if truth else false, common, rng)
    name = BY_KEY[finding].name
    return Asked(
        question.format(ecg=asked, name=name),
        (yes if truth else no).format(ecg=said, name=name),
        {"finding": finding, "answer": "yes" if truth else "no"},
        frozenset([finding] if truth else []),
        finding,
        truth,
    )


KINDS: dict[str, Kind] = {
    "key_findings": key_findings,
    "changes": changes,
    "consistent": consistent,
    "rhythm": rhythm,
    "first_seen": first_seen,
    "how_many": how_many,
    "present": present,
    "persists": persists,
}


def listed(findings: Iterable[str], last: str = "and") -> str:
    """ "A, B and C": findings by name."""
    names = [BY_KEY[finding].name for finding in findings]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} {last} {names[-1]}"
