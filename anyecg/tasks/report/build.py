"""ReportGen: the report of one ECG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from anyecg.config.checks import Checks
from anyecg.data.chance import chance
from anyecg.data.store.store import Stores
from anyecg.tasks.phrasings import REPORT, VARIED
from anyecg.types import MARKER, ECGSample, Turn, Window

POOLS = {"release": REPORT, "varied": VARIED}
FORMS = ("statements", "sentences")


@dataclass(frozen=True)
class ReportConfig:
    """corpora: whose reports are asked for, empty for every corpus with written reports or, where none has any, with
    reports made of its codes; per_record: questions an ECG; repeats: statement -> questions of an ECG whose report
    has it, where that is more, so that what is rare is seen as often as what is common; phrasing: how a report is asked
    for, "release" (the ten phrasings of anyECG), "varied" (256, as many as MEIT has) or the one sentence itself ("": no
    words); form: of a report, "statements" (joined by commas, after "Report:") or "sentences" (MEIT's: joined by ". ",
    in lower case); reserved: whether the reports of test records are asked for that a corpus reserves for its benchmark
    of labels, for an evaluation of reports on it.
    """

    corpora: list[str] = field(default_factory=list)
    per_record: int = 1
    repeats: dict[str, int] = field(default_factory=dict)
    phrasing: str = "release"
    form: str = "statements"
    reserved: bool = False

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.number("per_record", "repeats", least=0)
            check.among("form", FORMS)
            if self.phrasing and self.phrasing not in POOLS and " " not in self.phrasing.strip():
                check.wrong("phrasing", f"'{self.phrasing}' is none of {', '.join(POOLS)} and no sentence")
            if MARKER in self.phrasing:
                check.wrong("phrasing", f"leave {MARKER} out: the ECG goes before the sentence")

    @property
    def phrasings(self) -> tuple[str, ...]:
        """The ways of asking of which each question has one."""
        return POOLS.get(self.phrasing, (self.phrasing,))


def report_text(statements, form: str = "statements") -> str:
    """A record's statements as one report."""
    return ", ".join(statements) if form == "statements" else ". ".join(statements).lower()


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
        reserved = () if cfg.reserved else store.summary["info"].get("reserved", ())
        for record, patient, split, seconds, statements in store.rows(
            ["id", "patient", "split", "seconds", "statements"]
        ):
            if split in reserved:
                dropped["report", "test record of the classification task"] += 1
                continue
            if not statements:
                dropped["report", "record without a usable statement"] += 1
                continue
            report = report_text(statements, cfg.form)
            answer = f"Report: {report}" if cfg.form == "statements" else report
            count = max([cfg.per_record, *(cfg.repeats.get(statement, 0) for statement in statements)])
            asked = chance(seed, "report", record).sample(cfg.phrasings, min(count, len(cfg.phrasings)))
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
                        conversation=(Turn("user", f"{MARKER}\n{question}"), Turn("assistant", answer)),
                        evidence=(report,),
                    ),
                )
