"""The label sets of corpora as a question shows them: which set is asked of, and each label as acronym and name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from anyecg.data.store.store import Store, Stores
from anyecg.tasks.classification.build import label_codes
from anyecg.types import DataError

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


def written(acronym: str, name: str) -> str:
    """A label as an option shows it: "AF(atrial fibrillation)"."""
    return acronym if acronym == name else f"{acronym}({name})"


def _acronym(code: str, name: str, info: Mapping[str, Any]) -> str:
    """A label in short: its acronym, else its code where that is a word, else its name."""
    acronym = info.get("acronyms", {}).get(code)
    return acronym or (code if any(letter.isalpha() for letter in code) else name)
