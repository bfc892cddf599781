"""A patient's ECGs in order of time: the series that MultiECG questions are asked of, and how each is named in text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from anyecg.config.checks import Checks
from anyecg.data.chance import chance
from anyecg.data.store.store import Store
from anyecg.endpoint import EndpointConfig
from anyecg.findings import FINDINGS, find
from anyecg.tasks.report.build import report_text
from anyecg.types import MARKER

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


@dataclass(frozen=True)
class MultiECGConfig:
    """max_ecgs: ECGs of the longest question; runs_per_patient, questions_per_run: how many series of ECGs of one
    patient are asked about, and how often; writer: the endpoint whose LLM writes the questions (without a url they are
    made by rules)."""

    max_ecgs: int = 6
    runs_per_patient: int = 2
    questions_per_run: int = 4
    writer: EndpointConfig = field(default_factory=EndpointConfig)

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("max_ecgs", least=2, most=len(ORDINALS))
            check.number("runs_per_patient", "questions_per_run", least=0)


@dataclass(frozen=True)
class Visit:
    """One ECG of a series: its report, and the findings that report asserts (in the vocabulary's order)."""

    record: str
    seconds: float
    date: str
    report: str
    findings: tuple[str, ...]


@dataclass(frozen=True)
class Series:
    """Two to six consecutive ECGs of one patient."""

    id: str
    patient: str
    visits: tuple[Visit, ...]

    def __len__(self) -> int:
        return len(self.visits)

    def having(self, finding: str) -> list[int]:
        """The positions of the ECGs that show a finding."""
        return [k for k, visit in enumerate(self.visits) if finding in visit.findings]

    def ecg(self, k: int) -> str:
        """ "second ECG": an ECG by its place, which is never ambiguous (two may share a day)."""
        return f"{ORDINALS[k]} ECG"

    def dated(self, k: int) -> str:
        """ "second ECG, collected on 2168-12-15": the same with its date, where the source has one."""
        return f"{self.ecg(k)}, collected on {self.visits[k].date}" if self.visits[k].date else self.ecg(k)

    def prompt(self, question: str) -> str:
        """The user's text: every ECG with its date and the days since the first, each with its own marker."""
        return "\n".join([*ecg_lines([visit.date for visit in self.visits]), question])


def ecg_lines(dates: Sequence[str]) -> list[str]:
    """ "ECG 2 (2168-12-15, 4 days after the first): <ecg>": a line an ECG, by its ISO date or "" where it has none."""
    lines = []
    for k, when in enumerate(dates):
        if k and when and dates[0]:
            days = (date.fromisoformat(when) - date.fromisoformat(dates[0])).days
            when += ", the same day" if not days else f", {days} day{'s' * (days != 1)} after the first"
        lines.append(f"ECG {k + 1}{f' ({when})' if when else ''}: {MARKER}")
    return lines


class Histories:
    """The patients of a store who have two reported ECGs or more.

    It keeps compact columns and one bit a finding, not objects, so a pass over 800,000 ECGs needs little memory.
    """

    def __init__(self, store: Store) -> None:
        table = store.table(["patient", "time", "id", "split", "seconds", "statements"])
        table = table.set_column(table.num_columns - 1, "statements", _coded(table["statements"]))
        table = table.filter(pc.greater(pc.list_value_length(table["statements"]), 0))
        self._table = table.sort_by([(name, "ascending") for name in ("patient", "time", "id")]).combine_chunks()
        self._found = np.fromiter(
            (_bits(find(report_text(one.as_py()))) for one in self._table["statements"]), np.uint64, len(table)
        )
        patients = self._table["patient"]
        starts = (
            np.flatnonzero(np.r_[True, pc.not_equal(patients[1:], patients[:-1]).to_numpy()])
            if len(patients)
            else np.array([], dtype=int)
        )
        ends = np.r_[starts[1:], len(patients)] if len(patients) else starts
        self._spans = np.stack([starts, ends], axis=1)[ends - starts > 1]

    def series(self, split: str, cfg: MultiECGConfig, seed: int) -> Iterator[Series]:
        """The series of a split's patients: `cfg.runs_per_patient` each at most, none twice."""
        for begin, end in map(np.ndarray.tolist, self._spans):
            if self._table["split"][begin].as_py() != split:
                continue
            patient = self._table["patient"][begin].as_py()
            rng = chance(seed, "series", patient)
            seen = set()
            for _ in range(cfg.runs_per_patient):
                count = rng.randint(2, min(cfg.max_ecgs, end - begin, len(ORDINALS)))
                first = rng.randint(0, end - begin - count)
                if (first, count) not in seen:
                    seen.add((first, count))
                    visits = tuple(self._visit(row) for row in range(begin + first, begin + first + count))
                    yield Series(f"{patient}/{first}-{first + count - 1}", patient, visits)

    def _visit(self, row: int) -> Visit:
        record, seconds, time, statements = (
            self._table[name][row].as_py() for name in ("id", "seconds", "time", "statements")
        )
        found = int(self._found[row])
        return Visit(
            record,
            seconds,
            time[:10],
            report_text(statements),
            tuple(finding.key for bit, finding in enumerate(FINDINGS) if found >> bit & 1),
        )


def _coded(statements: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same lists as numbers into a vocabulary: reports are made of few different statements."""
    coded = [pa.ListArray.from_arrays(chunk.offsets, chunk.values.dictionary_encode()) for chunk in statements.chunks]
    return pa.chunked_array(coded, pa.list_(pa.dictionary(pa.int32(), pa.string())))


def _bits(found: frozenset[str]) -> int:
    return sum(1 << bit for bit, finding in enumerate(FINDINGS) if finding.key in found)
