"""Overlap of words between a generated report and its reference: counts of BLEU, ROUGE, and CIDEr-D, through kept
libraries.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from torchmetrics.functional.text import rouge_score
from torchmetrics.text import BLEUScore

ORDER = 4  # of the n-grams of BLEU
ROUGE = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
_WORD = re.compile(r"[^\W_]+(?:['’./-][^\W_]+)*")


def overlap_columns(said: Sequence[str], true: Sequence[str]) -> pd.DataFrame:
    """ROUGE's F-measures (torchmetrics) and the counts of n-grams that make corpus BLEU, of n pairs of texts in lower
    case.

    Words of BLEU are what stands between blanks; ROUGE takes letters and digits only, as its library has it.
    """
    seen: dict[tuple[str, str], dict[str, float]] = {}
    for pair in zip(said, true, strict=True):
        if pair not in seen:
            seen[pair] = _overlap(*pair)
    return pd.DataFrame([seen[pair] for pair in zip(said, true)])


def bleu(rows: pd.DataFrame, order: int, single: bool = False) -> float:
    """Corpus BLEU from the counts of `overlap_columns`, 0 to 1: up to `order`-grams (cumulative), or of that order
    alone.
    """
    grams = [order] if single else range(1, order + 1)
    hits, total = (
        np.array([rows[f"{kind}_{n}"].to_numpy().sum() for n in grams]) for kind in ("bleu_hits", "bleu_total")
    )
    if not hits.all():
        return 0.0
    said, true = rows["bleu_said"].to_numpy().sum(), rows["bleu_true"].to_numpy().sum()
    return float(np.exp(np.log(hits / total).mean() + min(0.0, 1.0 - true / said)))


def cider(said: Sequence[str], true: Sequence[str]) -> np.ndarray:
    """CIDEr-D of each text, 0 to 10 (pycocoevalcap, n up to 4, sigma 6), float `[n]`.

    Words are weighed by how few of all n references have them. NaN throughout where all references are the same (no
    word is rarer than another, and the library would say 0) or where pycocoevalcap is not installed.
    """
    try:
        from pycocoevalcap.cider.cider_scorer import CiderScorer
    except ModuleNotFoundError:
        return np.full(len(said), np.nan)
    if len(set(true)) < 2:
        return np.full(len(said), np.nan)
    scorer = CiderScorer()
    for one, other in zip(said, true, strict=True):
        scorer += (" ".join(words(one)), [" ".join(words(other))])
    return np.asarray(scorer.compute_score()[1], dtype=float)


def words(text: str) -> list[str]:
    """The words of a text without the stops around them, near to what COCO's tokenizer leaves."""
    return _WORD.findall(text.lower())


def _overlap(said: str, true: str) -> dict[str, float]:
    counts = BLEUScore(n_gram=ORDER)
    counts.update([said], [[true]])
    rouge = rouge_score(said, true, rouge_keys=tuple(ROUGE.values()))
    row = {name: float(rouge[f"{key}_fmeasure"]) for name, key in ROUGE.items()}
    row |= {"bleu_said": float(counts.preds_len), "bleu_true": float(counts.target_len)}
    for n in range(ORDER):
        row |= {f"bleu_hits_{n + 1}": float(counts.numerator[n]), f"bleu_total_{n + 1}": float(counts.denominator[n])}
    return row
