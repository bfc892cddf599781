"""Report generation: does the text read like the reference report, and does it say the same findings?"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pandas as pd

from anyecg.findings import find
from anyecg.tasks import meteor
from anyecg.tasks.base import Sources, Task, Words
from anyecg.tasks.bertscore import bert_f1
from anyecg.tasks.metrics import finding_columns, finding_metrics, finding_notes, judge_notes
from anyecg.tasks.ngram_metrics import ORDER, ROUGE, bleu, cider, overlap_columns
from anyecg.tasks.phrasings import REPORT
from anyecg.tasks.report import meit
from anyecg.tasks.report.build import ReportConfig, report_questions
from anyecg.tasks.report.parser import phrases, plain
from anyecg.tasks.report.rubric import METRICS, RUBRIC, means, opening
from anyecg.types import ECGSample

ORDERS = range(1, ORDER + 1)


class Report(Task):
    """A free-text report: overlap with the reference (Table 5) and findings that agree with it.

    Texts are compared in lower case, without their "Report:". Each number says which library and which variant it is
    of: the release of anyECG-chat has BLEU of single orders and ROUGE only (nltk, rouge) and leaves open which METEOR,
    CIDEr-D and BERTScore Table 5 is of; here they are the usual ones (METEOR 1.5 and CIDEr-D of COCO captions).
    """

    Config = ReportConfig
    name = "report"
    pools = ("report",)
    version = 8
    title = "Report"
    rule = (
        "a record's statements, cleaned (of a machine's: cart warnings and empty lines dropped, \"EKG\" written ECG, "
        "no trailing stops) and joined by "
        "commas. A corpus's test records that are reserved for its benchmark are left out."
    )
    needs = (
        "it asks for the reports of the corpora that have written ones, or else of those that make them of their "
        "codes, without records reserved for a "
        "benchmark: add corpora.mimic, or name others in tasks.report.corpora"
    )
    words = {"report": Words(10, 21, 19)}
    primary = "finding_f1"
    metrics = {
        "finding_f1": "macro F1, 0 to 1, of the findings asserted, over the findings that references assert",
        "finding_precision": "share of the findings said that the references assert, 0 to 1",
        **{f"bleu_{n}": f"corpus BLEU up to {n}-grams, cumulative, 0 to 1 (torchmetrics; Table 5)" for n in ORDERS},
        **{
            f"bleu_{n}_single": f"corpus BLEU of {n}-grams alone, 0 to 1 (as nltk's in the paper's release)"
            for n in ORDERS[1:]
        },
        **{
            name: f"mean {key.upper().replace('ROUGE', 'ROUGE-')} F-measure, 0 to 1 (torchmetrics; Table 5)"
            for name, key in ROUGE.items()
        },
        "meteor": "corpus METEOR 1.5, 0 to 1 (its own program, as pycocoevalcap has it; Table 5)",
        "cider_d": "mean CIDEr-D, 0 to 10 (pycocoevalcap, document frequencies of these references; Table 5)",
        "bert_score": "mean BERTScore F1, at most 1 (torchmetrics, last layer of the text encoder, no idf, no "
        "baseline; Table 5)",
        **meit.METRICS,
        **meit.TAGGED,
        **METRICS,
    }
    shown = ("bleu_1", "bleu_4", "rouge_l")
    groups = {"subset": "subset"}
    rubric = RUBRIC

    def check(self, corpora: Iterable[str]) -> list[tuple[str, str]]:
        return [
            ("corpora", f"no corpus of the experiment is called '{name}'")
            for name in self.cfg.corpora
            if name not in {*corpora}
        ]

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        return report_questions(sources.stores, self.cfg, sources.seed, sources.dropped)

    def parse(self, text: str, sample: ECGSample) -> str | None:
        """The report in lower case without its "Report:"; None if no word is left."""
        report = plain(text).lower()
        return report if re.search(r"\w", report) else None

    def secrets(self, sample: ECGSample) -> Sequence[str]:
        return phrases(sample.answer)

    def wordings(self, sample: ECGSample) -> Sequence[str]:
        return REPORT

    def judging(self, sample: ECGSample, text: str) -> str | None:
        return opening(sample.answer, text)

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[str | None]) -> pd.DataFrame:
        """Counts and scores of each report, NaN or no column where a library that a metric needs is not there."""
        said = [answer or "" for answer in answers]
        true = [plain(sample.answer).lower() for sample in samples]
        encoder = getattr(self.text_encoder, "source", None)
        likeness = bert_f1(said, true, encoder) if encoder else np.nan
        single = pd.DataFrame({"cider_d": cider(said, true), "bert_score": likeness})
        findings = finding_columns([find(text) for text in said], [find(text) for text in true])
        own = [overlap_columns(said, true), meteor.meteor_columns(said, true), meit.meit_columns(said, true)]
        return pd.concat([*own, single, findings], axis=1)

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        found = finding_metrics(rows)
        found |= {f"bleu_{n}": bleu(rows, n) for n in ORDERS} | {
            f"bleu_{n}_single": bleu(rows, n, single=True) for n in ORDERS[1:]
        }
        averages = {name: rows[name].to_numpy().mean() for name in (*ROUGE, "cider_d", "bert_score")}
        found |= {name: float(value) for name, value in averages.items() if not np.isnan(value)}
        found |= meit.meit(rows) | means(rows)
        return found | ({"meteor": meteor.meteor(rows)} if "meteor_chunks" in rows else {})

    def notes(self, rows: pd.DataFrame) -> list[str]:
        notes = finding_notes(rows)
        if "meteor_chunks" not in rows:
            notes.append(
                f"meteor is left out: it needs {meteor.missing() or 'rows that were scored with it'} (pip install "
                f"'anyecg[metrics]')"
            )
        if rows["cider_d"].isna().any():
            notes.append(
                "cider_d is left out: it needs two different references and the package pycocoevalcap (pip install "
                "'anyecg[metrics]')"
            )
        if rows["bert_score"].isna().any():
            notes.append("bert_score is left out: the text encoder has no transformer; choose text_encoder=sentence")
        return notes + judge_notes(rows)
