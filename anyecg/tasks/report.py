"""Report generation: does the text read like the reference report, and does it say the same findings?"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from torchmetrics.functional.text import rouge_score
from torchmetrics.text import BLEUScore

from anyecg.data.findings import find
from anyecg.tasks.base import Task
from anyecg.tasks.measures import finding_columns, finding_metrics, finding_notes
from anyecg.types import ECGSample

ORDER = 4  # of the n-grams of BLEU


class Report(Task):
    """A free-text report: overlap with the reference (Table 5) and findings that agree with it."""

    name = "report"
    primary = "finding_f1"
    metrics = {
        "finding_f1": "macro F1, 0 to 1, of the findings asserted, over the findings that references assert",
        "finding_precision": "share of the findings said that the references assert, 0 to 1",
        "rouge_l": "mean ROUGE-L F-measure, 0 to 1 (torchmetrics, Table 5)",
        "bleu_1": "corpus BLEU of words, 0 to 1 (torchmetrics, Table 5)",
        "bleu_4": "corpus BLEU up to 4-grams, 0 to 1 (torchmetrics, Table 5)",
    }

    def parse(self, text: str, sample: ECGSample) -> str | None:
        """The report in lower case without its "Report:"; None if no word is left."""
        report = plain(text).lower()
        return report if re.search(r"\w", report) else None

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[str | None]) -> pd.DataFrame:
        said = [answer or "" for answer in answers]
        true = [plain(sample.answer).lower() for sample in samples]
        overlap = pd.DataFrame([_overlap(a, b) for a, b in zip(said, true)])
        return pd.concat([overlap, finding_columns([find(text) for text in said], [find(text) for text in true])], axis=1)

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        return finding_metrics(rows) | {"rouge_l": float(rows["rouge_l"].to_numpy().mean()), "bleu_1": bleu(rows, 1), "bleu_4": bleu(rows, 4)}

    def notes(self, rows: pd.DataFrame) -> list[str]:
        return finding_notes(rows)


def plain(text: str) -> str:
    """A report without its leading "Report:" and without the blanks and stops around it."""
    return re.sub(r"^\s*report\s*:", "", text, flags=re.IGNORECASE).strip(" \t\r\n.,;")


def phrases(text: str) -> list[str]:
    """The statements of a report: its parts between commas, semicolons, full stops and line ends."""
    parts = re.split(r"[,;\n]|\.(?=\s|$)", plain(text))
    return [part.strip() for part in parts if re.search(r"\w", part)]


def bleu(rows: pd.DataFrame, order: int) -> float:
    """Corpus BLEU up to `order`-grams from the counts that `score` keeps of each report, 0 to 1."""
    grams = range(1, order + 1)
    hits, total = (np.array([rows[f"{kind}_{n}"].to_numpy().sum() for n in grams]) for kind in ("bleu_hits", "bleu_total"))
    if not hits.all():
        return 0.0
    said, true = rows["bleu_said"].to_numpy().sum(), rows["bleu_true"].to_numpy().sum()
    return float(np.exp(np.log(hits / total).mean() + min(0.0, 1.0 - true / said)))


def _overlap(said: str, true: str) -> dict[str, float]:
    counts = BLEUScore(n_gram=ORDER)
    counts.update([said], [[true]])
    row = {"rouge_l": float(rouge_score(said, true, rouge_keys="rougeL")["rougeL_fmeasure"]),
           "bleu_said": float(counts.preds_len), "bleu_true": float(counts.target_len)}  # fmt: skip
    for n in range(ORDER):
        row |= {f"bleu_hits_{n + 1}": float(counts.numerator[n]), f"bleu_total_{n + 1}": float(counts.denominator[n])}
    return row
