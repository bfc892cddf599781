"""The label sets of corpora as a question shows them: which set is asked of, and each label as acronym and name; and
what the tasks that ask for such labels share.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from anyecg.data.store.store import Store, Stores
from anyecg.tasks.classification.build import label_codes
from anyecg.tasks.release.conversations import file_problems
from anyecg.tasks.release.filed import FiledConfig, FiledTask
from anyecg.tasks.report.build import report_text
from anyecg.types import MARKER, DataError, ECGSample, Turn, Window

FEW = 12  # labels of a set that a question can list whole


@dataclass(frozen=True)
class LabelSet:
    """One label set of a corpus. shown: acronym -> name, in the corpus's order; info: of the corpus."""

    corpus: str
    group: str
    shown: Mapping[str, str]
    acronyms: Mapping[str, str]  # code -> acronym
    info: Mapping[str, Any]

    def held(self, codes: Iterable[str]) -> tuple[str, ...]:
        """The acronyms of the labels that a record's codes stand for, in the set's order."""
        there = {self.acronyms[code] for code in label_codes(codes, self.info, self.group)}
        return tuple(acronym for acronym in self.shown if acronym in there)


@dataclass(frozen=True)
class Labelled:
    """A record of a corpus with a label set, and the acronyms that it holds, in the set's order."""

    labels: LabelSet
    held: tuple[str, ...]
    record: str
    patient: str
    split: str
    seconds: float
    statements: list[str]

    def question(self, pool: str, asked: str, answer: str, meta: Mapping[str, Any]) -> tuple[str, ECGSample]:
        """(split, a question of a task over the whole record)."""
        sample = ECGSample(
            id=f"{pool}/{self.record}",
            task=pool,
            pool=pool,
            subset=self.labels.corpus,
            patient=self.patient,
            records=(Window(self.record, 0.0, self.seconds),),
            evidence=(report_text(self.statements),),
            conversation=(Turn("user", f"{MARKER}\n{asked}"), Turn("assistant", answer)),
            meta=meta,
        )
        return self.split, sample


@dataclass(frozen=True)
class LabelConfig(FiledConfig):
    """files: corpus -> a file or folder of ECGBench about it (parquet or JSON), whose questions are asked in place of
    ours.
    """

    sets: dict[str, str] = field(default_factory=dict)  # corpus (its key) -> the label set that is asked of


class LabelTask(FiledTask):
    """A task over the labels of corpora, or over ECGBench's files about them."""

    cfg: LabelConfig

    def check(self, corpora: Iterable[str]) -> list[tuple[str, str]]:
        known = [*corpora]
        wrong = [
            (f"{key}.{corpus}", f"corpora are {', '.join(known)}; add it there or leave it out here")
            for key in ("sets", "files")
            for corpus in getattr(self.cfg, key)
            if corpus not in known
        ]
        return wrong + file_problems(self.cfg.files, self.cfg.absent)


def label_set(store: Store, group: str) -> LabelSet:
    """A label set of a store's corpus by its name; DataError where the corpus has none of that name."""
    info, corpus = store.summary["info"], store.summary["corpus"]
    names = info.get("labels", {}).get(group)
    if not names:
        known = ", ".join(info.get("labels", {})) or "none"
        raise DataError(f"corpus {corpus} has no label set '{group}' (it has {known})")
    acronyms = {code: _acronym(code, name, info) for code, name in names.items()}
    shown: dict[str, str] = {}
    for code, name in names.items():
        shown.setdefault(acronyms[code], name)
    return LabelSet(corpus, group, shown, acronyms, info)


def label_sets(stores: Stores, chosen: Mapping[str, str], few: bool) -> Iterator[tuple[Store, LabelSet]]:
    """The label set that is asked of each corpus: the one chosen (corpus -> set), else, where nothing is chosen, its
    first one with at most `FEW` labels (few) or with more.
    """
    for store in stores:
        corpus, sets = store.summary["corpus"], store.summary["info"].get("labels", {})
        if chosen:
            group = chosen.get(corpus)
        else:
            group = next((name for name, names in sets.items() if names and (len(names) <= FEW) == few), None)
        if group is not None:
            yield store, label_set(store, group)


def labelled(stores: Stores, cfg: LabelConfig, few: bool) -> Iterator[Labelled]:
    """The records of each corpus with such a label set (few: as for `label_sets`) that no file asks about."""
    for store, labels in label_sets(stores, cfg.sets, few):
        if labels.corpus not in cfg.files:
            columns = ["id", "patient", "split", "seconds", "statements", "labels"]
            for record, patient, split, seconds, statements, codes in store.rows(columns):
                yield Labelled(labels, labels.held(codes), record, patient, split, seconds, statements)


def written(acronym: str, name: str) -> str:
    """A label as an option shows it: "AF(atrial fibrillation)"."""
    return acronym if acronym == name else f"{acronym}({name})"


def _acronym(code: str, name: str, info: Mapping[str, Any]) -> str:
    """A label in short: its acronym, else its code where that is a word, else its name."""
    acronym = info.get("acronyms", {}).get(code)
    return acronym or (code if any(letter.isalpha() for letter in code) else name)
