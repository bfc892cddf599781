"""Questions of ECGInstruct's families and forms (PULSE, sections 2.2 to 2.4) over each record's own statements."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from anyecg.config.checks import Checks
from anyecg.data.chance import chance
from anyecg.data.store.store import Stores
from anyecg.findings import FINDINGS, find
from anyecg.tasks.base import Task
from anyecg.tasks.ecg_instruct import words
from anyecg.tasks.report.build import report_text
from anyecg.types import MARKER, ECGSample, Turn, Window

KINDS = {  # family -> kinds of findings that it asks for
    "feature": ("axis", "voltage"),
    "rhythm": ("rhythm", "conduction", "ectopy"),
    "morphology": ("infarct", "st", "t_wave"),
}
FAMILIES = {
    family: {finding.key: finding.name for finding in FINDINGS if finding.kind in kinds}
    for family, kinds in KINDS.items()
}
FORMS = ("yes_no", "list", "choice", "fill", "open", "dialogue")
REPORT = "report"
LETTERS = "ABCDEFGH"
SHARES = {  # of the forms in each family, as Table A1 counts them, close-ended questions half yes or no
    "feature": {"yes_no": 0.35, "list": 0.35, "open": 0.03, "dialogue": 0.02, "fill": 0.06, "choice": 0.19},
    "rhythm": {"yes_no": 0.26, "list": 0.26, "open": 0.02, "dialogue": 0.01, "fill": 0.07, "choice": 0.38},
    "morphology": {"yes_no": 0.25, "list": 0.25, "open": 0.18, "dialogue": 0.06, "fill": 0.05, "choice": 0.21},
}


@dataclass(frozen=True)
class InstructConfig(Task.Config):
    """corpora: whose reports are asked about, empty for every corpus with reports; per_record: questions of each
    family an ECG; forms: share of each form in every family, empty for those of PULSE's Table A1; reports: report
    questions an ECG."""

    corpora: list[str] = field(default_factory=list)
    per_record: int = 1
    forms: dict[str, float] = field(default_factory=dict)
    reports: int = 1

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("per_record", "reports", "forms", least=0)
            check.among("forms", FORMS)


def instruct_questions(
    stores: Stores, cfg: InstructConfig, seed: int, dropped: Counter
) -> Iterator[tuple[str, ECGSample]]:
    """(split, question) for each record with a report; a finding that its report does not assert is taken as absent."""
    for store in stores:
        corpus, info = store.summary["corpus"], store.summary["info"]
        if cfg.corpora and corpus not in cfg.corpora:
            continue
        reserved = info.get("reserved", ())
        for record, patient, split, seconds, statements in store.rows(
            ["id", "patient", "split", "seconds", "statements"]
        ):
            if split in reserved or not statements:
                why = "test record of the classification task" if statements else "record without a usable statement"
                dropped["instruct_report", why] += 1
                continue
            report = report_text(statements)
            found = find(report)
            common: dict[str, Any] = {
                "patient": patient, "subset": corpus, "records": (Window(record, 0.0, seconds),), "evidence": (report,),
                "task": "ecg_instruct",
            }  # fmt: skip
            for number in range(cfg.reports):
                rng = chance(seed, "instruct", record, REPORT, number)
                asked = rng.choice(words.SETTINGS) + rng.choice(words.REPORT)
                yield split, _sample(f"{record}/{REPORT}/{number}", REPORT, REPORT, [(asked, report)], found, common)
            for family, known in FAMILIES.items():
                shares = cfg.forms or SHARES[family]
                for number in range(cfg.per_record):
                    rng = chance(seed, "instruct", record, family, number)
                    form = rng.choices(list(shares), list(shares.values()))[0]
                    turns, gold, options = asked_as(form, family, known, frozenset(found & known.keys()), rng)
                    yield (split, _sample(f"{record}/{family}/{number}", family, form, turns, gold, common, options))


def asked_as(
    form: str, family: str, known: Mapping[str, str], held: frozenset[str], rng: random.Random
) -> tuple[list[tuple[str, str]], frozenset[str], tuple[str, ...]]:
    """(question, answer) turns of a form about a family's findings, the findings that are right, and the options.

    known: the family's findings, key -> name; held: those of the record.
    """
    setting, topic = rng.choice(words.SETTINGS), rng.choice(words.TOPICS[family])
    if form == "yes_no":
        there = bool(held) and rng.random() < 0.5
        key = rng.choice(sorted(held if there else known.keys() - held))
        asked = rng.choice(words.YES_NO).format(name=known[key])
        return [(setting + asked, "Yes" if there else "No")], frozenset({key}) if there else frozenset(), (key,)
    if form == "list":
        absent = rng.sample(sorted(known.keys() - held), min(3, len(known) - len(held)))
        options = rng.sample(sorted({*absent, *held}), len({*absent, *held}))
        mark, between = rng.choice(words.MARKS)
        asked = rng.choice(words.LIST).format(options=", ".join(known[key] for key in options), mark=mark)
        answer = between.join(known[key] for key in options if key in held) or "none"
        return [(setting + asked, answer)], frozenset(held), tuple(options)
    if form == "choice":
        options = choices(family, known, held, rng)
        style = rng.choice(words.LETTERED)
        shown = "\n".join(style.format(letter=letter, text=text) for letter, text in zip(LETTERS, options))
        right = options.index(described(family, known, held))
        asked = rng.choice(words.CHOICE).format(topic=topic, options=shown)
        return [(setting + asked, LETTERS[right])], frozenset({LETTERS[right]}), tuple(options)
    said = described(family, known, held)
    if form == "fill":
        return [(setting + rng.choice(words.FILL).format(topic=topic), said)], frozenset(held), ()
    first = setting + rng.choice(words.OPEN).format(topic=topic)
    if form == "open":
        return [(first, f"The ECG shows {said}.")], frozenset(held), ()
    turns = [(first, f"The ECG shows {said}.")]
    for key in rng.sample(sorted(known), rng.randint(1, 3)):  # two to four turns
        turns.append((rng.choice(words.YES_NO).format(name=known[key]), "Yes" if key in held else "No"))
    return turns, frozenset({key}) & held, (key,)


def described(family: str, known: Mapping[str, str], held: Collection[str]) -> str:
    """A family's findings in words, in the vocabulary's order."""
    return " and ".join(known[key] for key in known if key in held) or words.NOTHING[family]


def choices(family: str, known: Mapping[str, str], held: Collection[str], rng: random.Random) -> list[str]:
    """Four to eight options in random order: what is right; absent findings, none, a part of what is right."""
    right = described(family, known, held)
    wrong = [known[key] for key in known if key not in held]
    if held:
        wrong.append(words.NOTHING[family])
    if len(held) > 1:  # a part of what is right is wrong as well
        wrong += [known[key] for key in known if key in held]
    wrong = rng.sample(wrong, min(rng.randint(3, 7), len(wrong)))
    return rng.sample([right, *wrong], len(wrong) + 1)


def _sample(
    id: str,
    family: str,
    form: str,
    turns: Sequence[tuple[str, str]],
    gold: Collection[str],
    common: Mapping[str, Any],
    options: Sequence[str] = (),
) -> ECGSample:
    spoken = [
        turn
        for number, (asked, answer) in enumerate(turns)
        for turn in (Turn("user", f"{MARKER}\n{asked}" if not number else asked), Turn("assistant", answer))
    ]
    return ECGSample(
        id=f"ecg_instruct/{id}",
        pool=f"instruct_{family}",
        conversation=tuple(spoken),
        meta={"family": family, "form": form, "gold": sorted(gold), "options": list(options)},
        **common,
    )
