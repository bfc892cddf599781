"""The recurring phrases of PTB-XL's written reports in English: German and Swedish ones by a glossary kept as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

FILE = Path(__file__).with_suffix(".tsv")
SENTENCE = re.compile(r"(?<!\bunbest)(?<!\bintraventr)(?<!\d)[.;](?:\s|$)|\n")
WORD = re.compile(r"[^\s,:]+")
LETTERS = re.compile(r"[^\W\d_]{2,}")  # what counts as a word: neither a number nor a lead's single letter
SHARE = 0.75  # of a sentence's words that are English where it is an English sentence
LEADS = re.compile(r"(?:i{1,3}|av[rlf]|v\d(?:-v?\d)?|\d)", re.IGNORECASE)


@dataclass(frozen=True)
class English:
    """phrases: the statements of a report in English, in its order, each once; words: of the report; covered: those
    that a phrase of the glossary or an English sentence holds.
    """

    phrases: tuple[str, ...]
    words: int
    covered: int


@dataclass(frozen=True)
class Glossary:
    """phrases: first word -> (words, English) of every phrase that begins so, the longest first ("" says nothing);
    english: the words of English sentences.
    """

    phrases: dict[str, list[tuple[tuple[str, ...], str]]]
    english: frozenset[str]


@cache
def glossary() -> Glossary:
    """The glossary of `glossary.tsv`."""
    regions: dict[str, str] = {}
    phrases: dict[tuple[str, ...], str] = {}
    words: set[str] = set()
    for line in FILE.read_text(encoding="utf-8").splitlines():
        kind, _, rest = line.partition("\t")
        source, _, meaning = rest.partition("\t")
        if kind == "region":
            regions |= dict.fromkeys(source.split("|"), meaning)
        elif kind == "english":
            words.update(source.split())
        elif kind in ("phrase", "nothing"):
            for form, (region, name) in product(
                source.split("|"), regions.items() if "<region>" in source else [("", "")]
            ):
                phrases[tuple(form.replace("<region>", region).split())] = meaning.replace("<region>", name)
    first: dict[str, list[tuple[tuple[str, ...], str]]] = {}
    for spoken, meaning in sorted(phrases.items(), key=lambda item: -len(item[0])):
        first.setdefault(spoken[0], []).append((spoken, meaning))
    return Glossary(first, frozenset(words))


def english(report: str) -> English:
    """A report of PTB-XL in English.

    A sentence mostly of English words stays as it is; elsewhere the longest phrase of the glossary that begins at a
    word is taken, and a word that begins none is passed over and not counted as covered.
    """
    known, found, total, covered = glossary(), [], 0, 0
    for sentence in SENTENCE.split(report.lower()):
        words = [word for raw in WORD.findall(sentence) if (word := _bare(raw))]
        counted = sum(bool(LETTERS.search(word)) for word in words)
        total += counted
        native = [word for word in words if word.strip(".") in known.english or LEADS.fullmatch(word)]
        if counted and len(native) >= SHARE * len(words):
            covered += sum(bool(LETTERS.search(word)) for word in native)
            found.append(" ".join(words).strip(" .").replace("ecg", "ECG"))
            continue
        place = 0
        while place < len(words):
            form, meaning = next(
                (
                    (form, meaning)
                    for form, meaning in known.phrases.get(words[place], ())
                    if tuple(words[place : place + len(form)]) == form
                ),
                ((), ""),
            )
            covered += sum(bool(LETTERS.search(word)) for word in form)
            found += [meaning] if meaning else []
            place += len(form) or 1
    return English(tuple(dict.fromkeys(found)), total, covered)


def _bare(word: str) -> str:
    """A word without brackets around it; those within it ("extrasystole(n)", "QRS(T)") stay."""
    word = word.strip("!?")
    return word if "(" in word[1:] else word.strip("()")
