"""Writes ECG-QA's released layout about a corpus: questions of all seven types whose answers are true of its index."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import pandas as pd
from rich.progress import track

from anyecg.findings import FINDINGS, find
from anyecg.types import DataError

VERSION = 1
SPLITS = {"train": "train", "val": "valid", "test": "test"}  # a corpus's splits -> ECG-QA's folders
FILE = 10_000  # questions of one file, which is named by its first sample_id, as released
NONE = "none"

# template id -> the question as the template has it, then paraphrases; the ids mean what they mean in the release
WORDINGS: dict[int, tuple[str, ...]] = {
    1: ("Does this ECG show symptoms of {a}?", "Is there {a} on this ECG?", "Can {a} be seen in this ECG tracing?"),
    4: ("Which symptom does this ECG show, {a} or {b}?", "Is it {a} or {b} that this ECG displays?"),
    8: ("What symptoms does this ECG show?", "Which symptoms can be identified on this ECG?"),
    **{first + number: tuple(wording.format(a="{a}", one=one, other=other) for wording in wordings)
       for first, one, other in ((43, "previous tracing", "recent tracing"), (57, "first ECG", "second ECG"))
       for number, wordings in enumerate((
           ("Is {a} no longer detected in the {other} compared to the "
            "{one}?", "Has {a} gone from the {other} since the {one}?"),
           ("Is {a} newly detected in the {other} compared to the "
            "{one}?", "Is {a} new in the {other}, absent from the {one}?"),
           ("Is {a} still detected in the {other} compared to the "
            "{one}?", "Does {a} persist in the {other} as in the {one}?"),
           ("Is {a} still not detected in the {other} compared to the "
            "{one}?", "Does the {other} still lack {a} as the {one} does?"),
           ("What is no longer detected in the {other} compared to the "
            "{one}?", "Which symptoms of the {one} has the {other} lost?"),
           ("What is newly detected in the {other} compared to the "
            "{one}?", "Which symptoms of the {other} are not in the {one}?"),
           ("What is still detected in the {other} compared to the "
            "{one}?", "Which symptoms of the {one} persist in the {other}?"),
       ))},
}  # fmt: skip
# the first verify and query template of each
FIRST = {"comparison_consecutive": (43, 47), "comparison_irrelevant": (57, 61)}


@dataclass(frozen=True)
class ECG:
    """One record of the index: what it shows, by the names that answers use."""

    id: str
    patient: str
    time: str
    names: frozenset[str]


@dataclass(frozen=True)
class Asked:
    """A question before it has a number and a wording."""

    template: int
    type: str
    answer: list[str]
    ecgs: list[str]
    attribute: list[str]


class Shown(Protocol):
    """What is asked of one recording of a corpus (`anyecg.data.corpora.base.Entry`)."""

    id: str
    patient: str
    split: str
    time: str
    statements: tuple[str, ...]
    labels: tuple[str, ...]


class Source(Protocol):
    """What is asked of a corpus (`anyecg.data.corpora.base.Corpus`)."""

    name: str

    def entries(self) -> Iterable[Shown]: ...
    def info(self) -> Mapping: ...


def write_ecgqa(corpus: Source, out: Path | str, seed: int, *, progress: bool = True) -> None:
    """Write an ECG-QA folder about a corpus: every ECG, every two consecutive ECGs of a patient, and every ECG
    with one of another patient, once for each question type.

    What an ECG shows is the statements of its codes where the corpus has them (`info()["statements"]`: PTB-XL), else
    the findings that its report asserts; records that say neither are left out. Questions lie in the split of their
    ECGs' patients. The same arguments give the same files, complete or not at all. DataError where `out` is there
    already.
    """
    out = Path(out)
    if out.exists():
        raise DataError(f"{out} is there already; delete it or choose another folder for the simulated ECG-QA")
    named, splits = _naming(corpus.info().get("statements")), defaultdict(list)
    for entry in track(corpus.entries(), f"ECG-QA of {corpus.name}", disable=not progress):
        if entry.statements:
            splits[entry.split].append(ECG(entry.id, entry.patient, entry.time, frozenset(named(entry))))
    part = out.with_name(f".{out.name}.part-{os.getpid()}")
    try:
        for split, folder in SPLITS.items():
            drawn, worded = (
                random.Random(f"{seed}/{corpus.name}/{split}/{what}") for what in ("questions", "wordings")
            )
            _write_questions(part, folder, _asked(splits[split], drawn), worded)
        _write_answers(part, sorted({name for ecgs in splits.values() for ecg in ecgs for name in ecg.names}))
        part.rename(out)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _naming(statements: Mapping[str, str] | None) -> Callable[[Shown], Iterable[str]]:
    """What names the things that an entry shows: the statements of its codes but "normal ECG", or the findings of
    its report.
    """
    if statements is None:
        shown = {finding.key: finding.name.lower() for finding in FINDINGS if finding.kind != "summary"}
        return lambda entry: (shown[key] for key in find(", ".join(entry.statements)) if key in shown)
    described = {code: text.lower() for code, text in statements.items() if code != "NORM"}
    return lambda entry: (described[code] for code in entry.labels if code in described)


def _asked(ecgs: list[ECG], rng: random.Random) -> Iterator[Asked]:
    """The questions of one split; what is asked about in vain is as common in it as what is asked about with
    success.
    """
    common = Counter(name for ecg in ecgs for name in sorted(ecg.names))
    if len(common) < 2:
        return
    for ecg in ecgs:
        name, truth = _claim(ecg.names, common, rng)
        yield Asked(1, "single-verify", [truth], [ecg.id], [name])
        pair = [name, _draw(common, {name}, rng)]
        rng.shuffle(pair)
        yield Asked(4, "single-choose", [one for one in pair if one in ecg.names] or [NONE], [ecg.id], pair)
        yield Asked(8, "single-query", sorted(ecg.names) or [NONE], [ecg.id], [])
    for kind, pairs in (
        ("comparison_consecutive", _consecutive(ecgs)),
        ("comparison_irrelevant", _irrelevant(ecgs, rng)),
    ):
        for before, after in pairs:
            changes = [before.names - after.names, after.names - before.names, before.names & after.names]
            verify, query = FIRST[kind]
            number = rng.randrange(4)
            name, truth = _claim([*changes, common.keys() - before.names - after.names][number], common, rng)
            yield Asked(verify + number, f"{kind}-verify", [truth], [before.id, after.id], [name])
            number = rng.randrange(3)
            yield Asked(query + number, f"{kind}-query", sorted(changes[number]) or [NONE], [before.id, after.id], [])


def _claim(holding: Set[str], common: Counter, rng: random.Random) -> tuple[str, str]:
    """A name and "yes" or "no": whether it is one of `holding`; either answer as likely, where there are names for
    both.
    """
    if holding and (len(holding) == len(common) or rng.random() < 0.5):
        return rng.choice(sorted(holding)), "yes"
    return _draw(common, holding, rng), "no"


def _draw(common: Counter, without: Set[str], rng: random.Random) -> str:
    names = [name for name in common if name not in without]
    return rng.choices(names, [common[name] for name in names])[0]


def _consecutive(ecgs: list[ECG]) -> Iterator[tuple[ECG, ECG]]:
    ordered = sorted(ecgs, key=lambda ecg: (ecg.patient, ecg.time, ecg.id))
    return ((before, after) for before, after in pairwise(ordered) if before.patient == after.patient)


def _irrelevant(ecgs: list[ECG], rng: random.Random) -> Iterator[tuple[ECG, ECG]]:
    if len({ecg.patient for ecg in ecgs}) < 2:
        return
    for before in ecgs:
        after = rng.choice(ecgs)
        while after.patient == before.patient:
            after = rng.choice(ecgs)
        yield before, after


def _write_questions(root: Path, folder: str, asked: Iterable[Asked], rng: random.Random) -> None:
    rows: dict[str, list[dict]] = {"template": [], "paraphrased": []}
    numbers: dict[tuple, int] = {}
    for form in rows:
        (root / form / folder).mkdir(parents=True)
    for sample, one in enumerate(asked):
        names = dict(zip("ab", one.attribute))
        row = {
            "template_id": one.template,
            "question_id": numbers.setdefault((one.template, *one.attribute), len(numbers)),
            "sample_id": sample,
            "question_type": one.type,
            "attribute_type": "scp_code",
        }
        attribute = one.attribute if one.type.startswith("single") else None
        rest = {
            "answer": one.answer,
            "ecg_id": [int(ecg) if ecg.isdigit() else ecg for ecg in one.ecgs],
            "attribute": attribute,
        }
        for form, wording in (
            ("template", WORDINGS[one.template][0]),
            ("paraphrased", rng.choice(WORDINGS[one.template])),
        ):
            rows[form].append({**row, "question": wording.format(**names), **rest})
        if len(rows["template"]) == FILE:
            _flush(root, folder, rows)
    _flush(root, folder, rows)


def _flush(root: Path, folder: str, rows: dict[str, list[dict]]) -> None:
    for form, some in rows.items():
        if some:
            (root / form / folder / f"{some[0]['sample_id']}.json").write_text(json.dumps(some, indent=4))
            some.clear()


def _write_answers(root: Path, names: list[str]) -> None:
    """The two tables of answers."""
    pd.Series(["no", "not sure", "yes", NONE, *names], name="class").to_csv(root / "answers.csv", index_label="index")
    options = {template: sorted([NONE, *names]) for template in WORDINGS}
    options |= {template: ["no", "yes"] for verify, query in FIRST.values() for template in range(verify, query)}
    options[1] = ["no", "not sure", "yes"]
    pd.Series(options, name="classes").to_csv(root / "answers_for_each_template.csv", index_label="template_id")
