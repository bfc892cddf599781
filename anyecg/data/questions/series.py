"""A patient's ECGs in order of time: the series that MultiECG questions are asked of, and how each is named in text."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pandas as pd

from anyecg.data.findings import FINDINGS, find
from anyecg.data.questions.config import QuestionsConfig
from anyecg.data.questions.phrasings import chance
from anyecg.data.questions.report import report_text
from anyecg.types import MARKER

ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth")


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
        """"second ECG": an ECG by its place, which is never ambiguous (two may share a day)."""
        return f"{ORDINALS[k]} ECG"

    def dated(self, k: int) -> str:
        """"second ECG, collected on 2168-12-15": the same with its date, where the source has one."""
        return f"{self.ecg(k)}, collected on {self.visits[k].date}" if self.visits[k].date else self.ecg(k)

    def prompt(self, question: str) -> str:
        """The user's text: every ECG with its date and the days since the first, each with its own marker."""
        lines = []
        for k, visit in enumerate(self.visits):
            when = visit.date
            if k and when and self.visits[0].date:
                days = (date.fromisoformat(when) - date.fromisoformat(self.visits[0].date)).days
                when += ", the same day" if not days else f", {days} day{'s' * (days != 1)} after the first"
            lines.append(f"ECG {k + 1}{f' ({when})' if when else ''}: {MARKER}")
        return "\n".join([*lines, question])


def all_series(records: pd.DataFrame, cfg: QuestionsConfig, seed: int) -> Iterator[tuple[str, Series]]:
    """(split, series) of every patient with two ECGs or more, `cfg.runs_per_patient` at most and none twice."""
    told = records[records["statements"].map(len) > 0].sort_values(["patient", "time", "id"], kind="stable")
    columns = ["id", "seconds", "time", "statements"]
    for patient, rows in told.groupby("patient", sort=True):
        if len(rows) < 2:
            continue
        visits = tuple(_visit(*row) for row in rows[columns].itertuples(index=False, name=None))
        rng = chance(seed, "series", patient)
        seen = set()
        for _ in range(cfg.runs_per_patient):
            count = rng.randint(2, min(cfg.max_ecgs, len(visits), len(ORDINALS)))
            first = rng.randint(0, len(visits) - count)
            if (first, count) not in seen:
                seen.add((first, count))
                yield rows["split"].iloc[0], Series(f"{patient}/{first}-{first + count - 1}", patient, visits[first : first + count])


def _visit(record: str, seconds: float, time: str, statements) -> Visit:
    report = report_text(statements)
    found = find(report)
    return Visit(record, seconds, time[:10], report, tuple(finding.key for finding in FINDINGS if finding.key in found))
