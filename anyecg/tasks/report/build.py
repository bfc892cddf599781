"""ReportGen: the report of one ECG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from anyecg.tasks.config import QuestionsConfig
from anyecg.data.chance import chance
from anyecg.tasks.phrasings import REPORT
from anyecg.data.store.store import Stores
from anyecg.types import MARKER, ECGSample, Turn, Window


def report_text(statements) -> str:
    """A record's statements as one report."""
    return ", ".join(statements)


def report_questions(stores: Stores, cfg: QuestionsConfig, seed: int, dropped: Counter) -> Iterator[tuple[str, ECGSample]]:
    """(split, question) for each record with a report (Dataset section, ReportGen)."""
    names = {store.summary["corpus"] for store in stores}
    wanted = set(cfg.report_corpora) or ({"mimic"} & names or {"ptbxl"} & names)
    for store in stores:
        corpus = store.summary["corpus"]
        if corpus not in wanted:
            continue
        for record, patient, split, seconds, statements in store.rows(["id", "patient", "split", "seconds", "statements"]):
            if corpus == "ptbxl" and split == "test":
                dropped["report", "test record of the classification task"] += 1
                continue
            if not statements:
                dropped["report", "record without a usable statement"] += 1
                continue
            report = report_text(statements)
            asked = chance(seed, "report", record).sample(REPORT, min(cfg.reports_per_record, len(REPORT)))
            for number, question in enumerate(asked):
                yield split, ECGSample(
                    id=f"report/{record}/{number}", task="report", pool="report", subset=corpus, patient=patient,
                    records=(Window(record, 0.0, seconds),),
                    conversation=(Turn("user", f"{MARKER}\n{question}"), Turn("assistant", f"Report: {report}")),
                    evidence=(report,),
                )
