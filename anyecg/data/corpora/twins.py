"""Simulated twins: pairs of records of one heart, with a finding and without, in MIMIC-IV-ECG's layout."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from anyecg.data.corpora.base import Corpus, Entry
from anyecg.data.corpora.mimic import MIMIC

PRESENT, ABSENT = "present", "absent"


class Twins(MIMIC):
    """Pairs for the task `twins`: labels are the finding of the pair, whether this record has it, and all it shows.

    They have no report, and are all of the test split, so that no other task asks about them and no stage sees them.
    """

    name: ClassVar[str] = "twins"
    layout: ClassVar[str] = "twins"

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        """patients: a pair each."""

    @property
    def reports(self) -> str:
        return ""

    def info(self) -> Mapping:
        return {"twins": True}

    def entries(self) -> Iterator[Entry]:
        table = self.table("twins.csv", ["study_id", "finding", "present", "findings"])
        found = {row.study_id: row for row in table.itertuples()}
        for entry in super().entries():
            if (row := found.get(entry.id)) is not None:
                state = PRESENT if row.present == "1" else ABSENT
                yield replace(
                    entry, split="test", statements=(), labels=(str(row.finding), state, *str(row.findings).split())
                )
