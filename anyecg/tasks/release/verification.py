"""Are the answers of a released file those of the annotations? Each localization answer is derived again from the
source.
"""

from __future__ import annotations

import functools
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import wfdb

from anyecg.data.corpora import corpora
from anyecg.data.corpora.annotated import Annotated
from anyecg.data.corpora.base import Entry
from anyecg.data.corpora.waveform import BROKEN
from anyecg.tasks.localization.build import answer_text, clipped, spans
from anyecg.tasks.release.rows import CLASSES, abnormality, corpus_of, fault, intervals, is_localization, named, paths
from anyecg.types import DataError

HUNDREDTH = 0.01  # s
Intervals = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Disagreement:
    """A row whose answer is not what the annotations say. row: counted from 1; start, end: the window, in samples of
    the source.
    """

    file: str
    row: int
    dataset: str
    record: str
    start: int
    end: int
    name: str
    said: str
    annotated: str


@dataclass
class Verification:
    """What was found: every row is either checked or counted in `unchecked`, under the reason why it was not.

    agree: checked rows whose answer is the annotations', of which `rounding` only within 0.1 s; missing: dataset ->
    ECGs or annotation files that do not exist -> how many rows are about them; malformed: [file, row, what is wrong];
    unreadable: what is wrong with a record's header or annotations.
    """

    agree: int = 0
    rounding: int = 0
    disagreements: list[Disagreement] = field(default_factory=list)
    missing: dict[str, Counter] = field(default_factory=dict)
    malformed: list[tuple[str, int, str]] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    unchecked: Counter = field(default_factory=Counter)

    @property
    def checked(self) -> int:
        return self.agree + len(self.disagreements)

    @property
    def sound(self) -> bool:
        """Whether every answer checked agrees and nothing is missing, malformed or unreadable."""
        return not (self.disagreements or self.missing or self.malformed or self.unreadable)

    def as_json(self) -> dict:
        """The same as plain data."""
        return {
            "agree": self.agree,
            "checked": self.checked,
            "rounding": self.rounding,
            "disagreements": [asdict(one) for one in self.disagreements],
            "missing": [path for found in self.missing.values() for path in found],
            "unchecked": dict(self.unchecked),
            "malformed": [{"file": file, "row": row, "why": why} for file, row, why in self.malformed],
            "unreadable": self.unreadable,
        }


class Verifier:
    """Checks rows against the folders of their sources; what it found is in `result`.

    roots: registry name of a corpus -> the folder of the source as downloaded.
    """

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self.result = Verification()
        self._sources = {name: _Source(corpora[name], root) for name, root in roots.items()}

    def check(self, file: str, number: int, row) -> None:
        """Derive the answer of a row again and compare; never raises for what a row or its recording is like."""
        result = self.result
        why = fault(row)
        if why:
            result.malformed.append((file, number, why))
            result.unchecked["malformed row"] += 1
            return
        corpus = corpus_of(row)
        source = self._sources.get(corpus)
        if source is None:
            result.unchecked[f"no --root for {corpus}"] += 1
            return
        absent = [path for path in paths(row) if not source.has(path)]
        if not absent and is_localization(row) and source.annotated:
            absent = source.lacks(paths(row)[0])
        if absent:
            result.missing.setdefault(corpus, Counter()).update(absent)
            result.unchecked["ECG or annotation file that does not exist"] += 1
        elif not is_localization(row):
            result.unchecked["not a localization row"] += 1
        elif not source.annotated:
            result.unchecked[f"{corpus} has no beat annotations"] += 1
        else:
            self._compare(file, number, row, source)

    def _compare(self, file: str, number: int, row: Mapping, source: _Source) -> None:
        result, path = self.result, paths(row)[0]
        start, end, symbol = row["ecg_start"], row["ecg_end"], abnormality(row)
        record = source.record(path)
        if isinstance(record, DataError):
            if str(record) not in result.unreadable:
                result.unreadable.append(str(record))
            result.unchecked["record whose header or annotations cannot be read"] += 1
            return
        if (
            end > record.samples + HUNDREDTH * record.fs
        ):  # a released window may end within a sample at the paper's 100 Hz
            result.malformed.append(
                (file, number, f"ecg_end: {end} lies behind the record, which has {record.samples:.0f} samples")
            )
            result.unchecked["malformed row"] += 1
            return
        said, true = intervals(row["answer"]), record.intervals(symbol, start, end)
        agrees = agreement(said, true)
        if agrees and named(row["answer"]) in (symbol, None):
            result.agree += 1
            result.rounding += agrees == "rounding"
        else:
            name = CLASSES[symbol]
            result.disagreements.append(
                Disagreement(
                    file, number, corpus_of(row), path, start, end, name, row["answer"], answer_text(name, true)
                )
            )


def agreement(said: Intervals, true: Intervals) -> str:
    """Whether two answers agree: "exact"; "rounding" where no time differs by more than 0.1 s, neighbours with no more
    between them may be one, and what rounds to nothing may be said ("10.0s-10.0s"); "" where they do not."""
    if list(said) == list(true):
        return "exact"
    ahead, seen = [(0, 0)], set()  # how many intervals of each are matched
    while ahead:
        i, j = ahead.pop()
        if (i, j) == (len(said), len(true)):
            return "rounding"
        if (i, j) in seen or i == len(said):
            continue
        seen.add((i, j))
        if said[i][0] == said[i][1]:
            ahead.append((i + 1, j))
        if j < len(true) and _near(said[i][0], true[j][0]):
            ahead += [
                (k + 1, m + 1) for k in _joined(said, i) for m in _joined(true, j) if _near(said[k][1], true[m][1])
            ]
    return ""


def _joined(intervals: Intervals, first: int) -> Iterator[int]:
    """The interval `first` and those after it that may be one with it, each touching the next."""
    yield first
    for k in range(first + 1, len(intervals)):
        if not _near(intervals[k - 1][1], intervals[k][0]):
            return
        yield k


def _near(a: float, b: float) -> bool:
    return abs(a - b) <= 0.1 + 1e-6


class _Source:
    """One source as downloaded: which ECGs it has, and the beats of each record, read once."""

    def __init__(self, kind: type, root: Path) -> None:
        self._corpus = kind(kind.Config(), root)
        self.annotated = isinstance(self._corpus, Annotated)
        self.has = functools.cache(self._has)
        self.lacks = functools.cache(self._lacks)
        self.record = functools.cache(self._record)

    def _is_file(self, path: str, suffix: str) -> bool:
        return os.path.isfile(f"{self._corpus.root / path}{suffix}")  # False too for what can be no path

    def _has(self, path: str) -> bool:
        return any(self._is_file(path, suffix) for suffix in (".hea", ".dat", ".mat"))

    def _lacks(self, path: str) -> list[str]:
        """The files without which no answer about a record can be derived, of those that are not there."""
        return [f"{path}{suffix}" for suffix in (".hea", ".atr") if not self._is_file(path, suffix)]

    def _record(self, path: str) -> _Record | DataError:
        where = self._corpus.root / path
        try:
            header = wfdb.rdheader(str(where))
            samples, fs = float(header.sig_len or np.inf), float(header.fs)
            if not fs > 0:
                raise ValueError(f"{fs} Hz")
        except BROKEN as error:
            return DataError(f"{where}.hea: cannot be read as a WFDB header ({type(error).__name__}: {error})")
        try:
            annotations = self._corpus.annotations(Entry(path, path, path, ""))
        except DataError as error:
            return error
        times = np.array([round(time * fs) for time, _ in annotations], dtype=np.float64)
        symbols = np.array([symbol for _, symbol in annotations], dtype=object)
        inside = (times >= 0) & (times <= samples)
        return _Record(fs, samples, times[inside], symbols[inside])


class _Record:
    """A record's annotations in samples of its source: what is exactly half a tenth rounds as it did there."""

    def __init__(self, fs: float, samples: float, times: np.ndarray, symbols: np.ndarray) -> None:
        self.fs, self.samples = fs, samples
        self._spans = functools.cache(lambda symbol: spans(times, symbols, symbol, samples))

    def intervals(self, symbol: str, start: int, end: int) -> list[tuple[float, float]]:
        """Where a class lies in a window, in seconds from its start to one decimal."""
        return clipped((self._spans(symbol) - start) / self.fs, 0.0, (end - start) / self.fs)
