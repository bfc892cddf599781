"""ReportGen: the report of one ECG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from anyecg.config.checks import Checks
from anyecg.data.chance import chance
from anyecg.data.store.store import Stores
from anyecg.tasks.phrasings import REPORT
from anyecg.types import MARKER, ECGSample, Turn, Window


@dataclass(frozen=True)
class ReportConfig:
    """corpora: whose reports are asked for, empty for every corpus with written reports or, where none has any, with
    reports made of its codes; per_record: questions an ECG; repeats: statement -> questions of an ECG whose report
    has it, where that is more, so that what is rare is seen as often as what is common."""

    corpora: list[str] = field(default_factory=list)
    per_record: int = 1
    repeats: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("per_record", "repeats", least=0)


def report_text(statements) -> str:
    """A record's statements as one report."""
    return ", ".join(statements)


def report_questions(stores: Stores, cfg: ReportConfig, seed: int, dropped: Counter) -> Iterator[tuple[str, ECGSample]]:
    """(split, question) for each record with a report (Dataset section, ReportGen)."""
    kinds = {store.summary["corpus"]: store.summary["info"].get("reports") for store in stores}
    wanted = (
        cfg.corpora
        or [name for name in kinds if kinds[name] == "written"]
        or [name for name in kinds if kinds[name] == "codes"]
    )
    for store in stores:
        corpus = store.summary["corpus"]
        if corpus not in wanted:
            continue
        reserved = store.summary["info"].get("reserved", ())
        for record, patient, split, seconds, statements in store.rows(
            ["id", "patient", "split", "seconds", "statements"]
        ):
            if split in reserved:
                dropped["report", "test record of the classification task"] += 1
                continue
            if not statements:
                dropped["report", "record without a usable statement"] += 1
                continue
            report = report_text(statements)
            count = max([cfg.per_record, *(cfg.repeats.get(statement, 0) for statement in statements)])
            asked = chance(seed, "report", record).sample(REPORT, min(count, len(REPORT)))
            for number, question in enumerate(asked):
                yield (
                    split,
                    ECGSample(
                        id=f"report/{record}/{number}",
                        task="report",
                        pool="report",
                        subset=corpus,
                        patient=patient,
                        records=(Window(record, 0.0, seconds),),
                        conversation=(Turn("user", f"{MARKER}\n{question}"), Turn("assistant", f"Report: {report}")),
                        evidence=(report,),
                    ),
                )
