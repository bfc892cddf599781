"""Counterfactual twins: does the report change with the one finding that was switched on in the same heart?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pandas as pd

from anyecg.data.chance import chance
from anyecg.data.corpora.twins import PRESENT
from anyecg.findings import BY_KEY, find
from anyecg.tasks.base import Sources, Task, Words
from anyecg.tasks.phrasings import REPORT
from anyecg.tasks.report.parser import phrases, plain
from anyecg.types import MARKER, ECGSample, Turn, Window


class Twins(Task):
    """Pairs of records of one simulated heart that differ in one finding and in nothing else, to the bit.

    Both are asked for a report. What counts is whether it says the finding of the record that has it and not of its
    twin. An answer that reads the ECG by anything but this finding, or does not read it, says the same of both.
    """

    name = "twins"
    pools = ("twins",)
    version = 1
    title = "Counterfactual twins"
    rule = "two records of one simulated heart, a finding on in one of them; both are asked for a report"
    needs = "it asks about simulated twins: add evaluation.corpora.twins={}"
    words = {"twins": Words(10, 21, 19)}
    taught_by = "report"
    primary = "flips_right"
    metrics = {
        "flips_right": "share of pairs whose report says the finding of the twin that has it and not of the other, "
        "0 to 1; any answer that is the same for both gets 0",
        "flips_wrong": "share of pairs whose report says it of the twin without it only, 0 to 1",
        "sensitivity": "share of pairs whose report says the finding of the twin that has it, 0 to 1",
        "specificity": "share of pairs whose report does not say it of the twin without it, 0 to 1",
        "changed": "share of pairs whose findings said differ at all, 0 to 1",
    }
    groups = {"finding": "finding"}
    shown = ("flips_wrong", "sensitivity", "specificity", "changed")

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        for store in sources.stores:
            if not store.summary["info"].get("twins"):
                continue
            for record, patient, split, seconds, labels in store.rows(["id", "patient", "split", "seconds", "labels"]):
                finding, state, *shown = labels
                report = ", ".join(BY_KEY[key].statement for key in shown)
                text = chance(sources.seed, "twins", patient).choice(REPORT)  # the same words for both
                yield (
                    split,
                    ECGSample(
                        id=f"twins/{record}",
                        task=self.name,
                        pool=self.pools[0],
                        subset=store.summary["corpus"],
                        patient=patient,
                        records=(Window(record, 0.0, seconds),),
                        evidence=(report,),
                        conversation=(Turn("user", f"{MARKER}\n{text}"), Turn("assistant", f"Report: {report}")),
                        meta={"finding": finding, "present": state == PRESENT},
                    ),
                )

    def secrets(self, sample: ECGSample) -> Sequence[str]:
        return (*phrases(sample.answer), BY_KEY[sample.meta["finding"]].name)

    def wordings(self, sample: ECGSample) -> Sequence[str]:
        return REPORT

    def parse(self, text: str, sample: ECGSample) -> frozenset[str] | None:
        """The findings that a report says; None where no word is left of it."""
        report = plain(text)
        return find(report) if any(letter.isalnum() for letter in report) else None

    def agrees(self, sample: ECGSample) -> bool:
        said = self.parse(sample.answer, sample)
        return said is not None and (sample.meta["finding"] in said) == sample.meta["present"]

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[frozenset[str] | None]) -> pd.DataFrame:
        """Of each question what holds of its pair: the same in both rows, so that a mean over rows is one over pairs;
        `whole`: whether both twins were asked.
        """
        pairs: dict[tuple[str, bool], frozenset[str]] = {}
        for sample, answer in zip(samples, answers, strict=True):
            pairs[sample.patient, sample.meta["present"]] = answer or frozenset()
        rows = []
        for sample in samples:
            finding = sample.meta["finding"]
            with_it, without = (pairs.get((sample.patient, present)) for present in (True, False))
            said, said_without = finding in (with_it or ()), finding in (without or ())
            rows.append(
                {
                    "finding": BY_KEY[finding].name,
                    "whole": with_it is not None and without is not None,
                    "right": said and not said_without,
                    "wrong": said_without and not said,
                    "said": said,
                    "said_without": said_without,
                    "changed": with_it != without,
                }
            )
        return pd.DataFrame(rows)

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        pairs = rows[rows["whole"].to_numpy(bool)]
        if pairs.empty:
            return {}
        columns = {"flips_right": "right", "flips_wrong": "wrong", "sensitivity": "said", "changed": "changed"}
        found = {metric: float(pairs[column].to_numpy().mean()) for metric, column in columns.items()}
        return found | {"specificity": 1 - float(pairs["said_without"].to_numpy().mean())}

    def notes(self, rows: pd.DataFrame) -> list[str]:
        alone = int((~rows["whole"].astype(bool)).sum())
        return [f"{alone} twins whose other was not asked are left out; raise evaluation.limit"] if alone else []
