"""MEIT's way of computing report metrics (its code, `eval_metrics.py`), so that its published figures have something to
stand beside.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Sequence
from functools import cache

import numpy as np
import pandas as pd

from anyecg.tasks.ngram_metrics import ORDER

BATCH = 32  # reports whose BLEU is one corpus BLEU; the figure is the mean over batches
TAG = "<|assistant|>"  # stands in front of both texts in MEIT's main tables
BETA = 1.2  # of ROUGE-L
SIGMA = 6.0  # of CIDEr-D's penalty on lengths
ORDERS = range(1, ORDER + 1)
METRICS = {
    **{
        f"meit_bleu_{n}": f"mean over batches of {BATCH} of corpus BLEU up to {n}-grams, 0 to 1, as MEIT"
        for n in ORDERS
    },
    "meit_rouge_l": "mean ROUGE-L with beta 1.2, 0 to 1, as MEIT",
    "meit_cider_d": "mean CIDEr-D without document frequencies, 0 to 10, as MEIT",
    "meit_meteor": "mean METEOR of nltk, 0 to 1, as MEIT (left out without nltk's WordNet)",
}
TAGGED = {
    f"{name}_tagged": f"{what}; {TAG} left in front of both texts, as in its main tables"
    for name, what in METRICS.items()
}


def meit_columns(said: Sequence[str], true: Sequence[str]) -> pd.DataFrame:
    """What `meit` reduces, of n pairs of reports in lower case: with and without the tag, float `[n]` each."""
    frames = []
    for tail, front in (("", ""), ("_tagged", f"{TAG}\n")):
        pairs = [(_words(front + one), _words(front + other)) for one, other in zip(said, true, strict=True)]
        columns: dict[str, list[float]] = {
            f"meit_rouge_l{tail}": [rouge_l(*pair) for pair in pairs],
            f"meit_cider_d{tail}": [cider_d(*pair) for pair in pairs],
        }
        if _meteor() is not None:
            columns[f"meit_meteor{tail}"] = [_meteor()([other], one) for one, other in pairs]
        counts = [_counts(*pair) for pair in pairs]
        for name in counts[0] if counts else ():
            columns[f"meit_{name}{tail}"] = [count[name] for count in counts]
        frames.append(pd.DataFrame(columns))
    return pd.concat(frames, axis=1)


def meit(rows: pd.DataFrame) -> dict[str, float]:
    """The metrics of rows with `meit_columns`. Batches are of rows in their order."""
    found: dict[str, float] = {}
    for tail in ("", "_tagged"):
        if f"meit_words{tail}" not in rows:
            continue
        for name in ("meit_rouge_l", "meit_cider_d", "meit_meteor"):
            if name + tail in rows:
                found[name + tail] = float(rows[name + tail].to_numpy().mean())
        found |= {f"meit_bleu_{n}{tail}": value for n, value in zip(ORDERS, _bleu(rows, tail), strict=True)}
    return found


def rouge_l(said: Sequence[str], true: Sequence[str]) -> float:
    """F-measure of the longest common subsequence of words, recall weighed by beta 1.2; 0 where none is common."""
    common = _longest_common(said, true)
    if not common:
        return 0.0
    precision, recall = common / len(said), common / len(true)
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def cider_d(said: Sequence[str], true: Sequence[str]) -> float:
    """CIDEr-D where every n-gram weighs alike: 10 times the clipped cosine of counts and the penalty on lengths,
    averaged over n.

    MEIT's file of document frequencies has 1 for every n-gram, so its constant idf cancels.
    """
    penalty = np.exp(-((len(said) - len(true)) ** 2) / (2 * SIGMA**2))
    scores = []
    for n in ORDERS:
        one, other = _grams(said, n), _grams(true, n)
        clipped = sum(min(count, other[gram]) * other[gram] for gram, count in one.items())
        norm = np.sqrt(sum(c * c for c in one.values()) * sum(c * c for c in other.values()))
        scores.append(clipped / norm if norm else 0.0)
    return float(10 * penalty * np.mean(scores))


def _bleu(rows: pd.DataFrame, tail: str) -> list[float]:
    """BLEU of each of `ORDERS`: the mean over batches."""
    names = [f"meit_{kind}_{n}{tail}" for kind in ("hits", "total") for n in ORDERS]
    counts = rows[[*names, f"meit_words{tail}", f"meit_reference{tail}"]].to_numpy()
    sums = np.add.reduceat(counts, np.arange(0, len(rows), BATCH), axis=0)
    tiny, small = 1e-15, 1e-9  # pycocoevalcap's, in place of zeros
    hits, total = sums[:, : len(ORDERS)], sums[:, len(ORDERS) : -2]
    precision = np.exp(np.cumsum(np.log((hits + tiny) / (total + small)), axis=1) / np.arange(1, len(ORDERS) + 1))
    ratio = (sums[:, -2] + tiny) / (sums[:, -1] + small)
    shortness = np.where(ratio < 1, np.exp(1 - 1 / ratio), 1.0)
    return [float(value) for value in (precision * shortness[:, None]).mean(axis=0)]


def _counts(said: Sequence[str], true: Sequence[str]) -> dict[str, float]:
    """Hits and totals of n-grams, and the words of both texts."""
    row = {"words": float(len(said)), "reference": float(len(true))}
    for n in ORDERS:
        one, other = _grams(said, n), _grams(true, n)
        row[f"hits_{n}"] = float(sum((one & other).values()))
        row[f"total_{n}"] = float(max(0, len(said) - n + 1))
    return row


def _grams(words: Sequence[str], n: int) -> Counter:
    return Counter(tuple(words[at : at + n]) for at in range(len(words) - n + 1))


def _words(text: str) -> list[str]:
    """Words between blanks, full stops set off."""
    return text.replace(".", " .").split()


def _longest_common(one: Sequence[str], other: Sequence[str]) -> int:
    lengths = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for at, reference in enumerate(other):
            before, lengths[at + 1] = (
                lengths[at + 1],
                before + 1 if word == reference else max(lengths[at + 1], lengths[at]),
            )
    return lengths[-1]


@cache
def _meteor():
    """nltk's METEOR, or None where the package or its WordNet is not there."""
    if importlib.util.find_spec("nltk") is None:
        return None
    from nltk.corpus import wordnet
    from nltk.translate.meteor_score import meteor_score

    try:
        wordnet.ensure_loaded()
    except LookupError:
        return None
    return meteor_score
