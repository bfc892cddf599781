"""Corpus BLEU, ROUGE and CIDEr-D against their definitions, written out here from the papers and not from the
libraries.
"""

import math
import random
import re
from collections import Counter

import numpy as np
import pytest

from anyecg.findings import FINDINGS
from anyecg.tasks.ngram_metrics import bleu, cider, overlap_columns, words

rng = random.Random(0)
TRUE = [", ".join(finding.statement.lower() for finding in rng.sample(FINDINGS, rng.randint(2, 6))) for _ in range(40)]
SAID = [  # of every kind: right, cut short, half another's, with words said twice, of one word, empty
    *TRUE[:5], *(text[: len(text) // 2] for text in TRUE[5:15]), *(f"{a}, {b}" for a, b in zip(TRUE[15:25], TRUE[16:26])),  # noqa: RUF007
    *(f"{text} {text}" for text in TRUE[25:30]), *(text.replace("left", "right") for text in TRUE[30:38]), "sinus", "",
]  # fmt: skip


def grams(tokens, n):
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


def bleu_by_hand(said, true, orders):
    """Papineni et al. (2002) with one reference: clipped counts of the whole corpus, geometric mean, brevity penalty
    of the whole.
    """
    precisions = []
    for n in orders:
        pairs = [(grams(s.split(), n), grams(t.split(), n)) for s, t in zip(said, true)]
        precisions.append(sum((s & t).total() for s, t in pairs) / sum(s.total() for s, _ in pairs))
    c, r = sum(len(s.split()) for s in said), sum(len(t.split()) for t in true)
    return (1 if c > r else math.exp(1 - r / c)) * math.prod(precisions) ** (1 / len(precisions))


def f_measure(shared, said, true):
    return 2 * shared / (said + true) if shared else 0.0  # the harmonic mean of shared / said and shared / true


def rouge_by_hand(said, true, n):
    """Lin (2004): F1 of n-grams shared, or of the longest common subsequence (n = "l"), over runs of letters and
    digits.
    """
    said, true = (re.findall(r"[a-z0-9]+", text.lower()) for text in (said, true))
    if n == "l":
        longest = np.zeros((len(said) + 1, len(true) + 1), int)
        for i, one in enumerate(said, start=1):
            for j, other in enumerate(true, start=1):
                longest[i, j] = longest[i - 1, j - 1] + 1 if one == other else max(longest[i - 1, j], longest[i, j - 1])
        return f_measure(longest[-1, -1], len(said), len(true))
    said, true = grams(said, n), grams(true, n)
    return f_measure((said & true).total(), said.total(), true.total())


def cider_by_hand(said, true, sigma=6.0):
    """Vedantam et al. (2015), CIDEr-D with one reference: tf-idf cosine with clipped counts, a Gaussian of the
    lengths' difference.
    """
    said, true = ([words(text) for text in texts] for texts in (said, true))
    scores = np.zeros(len(said))
    for n in (1, 2, 3, 4):
        documents = Counter(gram for text in true for gram in grams(text, n))  # a text has each of its grams once

        def vector(text):
            return {
                gram: count * math.log(len(true) / max(1, documents[gram])) for gram, count in grams(text, n).items()
            }

        for i, (one, other) in enumerate(zip(said, true)):
            g, s = vector(one), vector(other)
            lengths = math.sqrt(sum(v * v for v in g.values()) * sum(v * v for v in s.values()))
            clipped = sum(min(g[gram], s[gram]) * s[gram] for gram in g.keys() & s.keys())
            if lengths:
                scores[i] += 10 / 4 * math.exp(-((len(one) - len(other)) ** 2) / (2 * sigma**2)) * clipped / lengths
    return scores


@pytest.fixture(scope="module")
def rows():
    return overlap_columns(SAID, TRUE)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_bleu_is_as_defined(rows, order):
    found = bleu(rows, order)
    assert found == pytest.approx(bleu_by_hand(SAID, TRUE, range(1, order + 1)), abs=1e-6) and 0.1 < found < 0.9
    assert bleu(rows, order, single=True) == pytest.approx(bleu_by_hand(SAID, TRUE, [order]), abs=1e-6)
    short = [text[: len(text) // 2] for text in TRUE]  # the brevity penalty
    assert bleu(overlap_columns(short, TRUE), order) == pytest.approx(
        bleu_by_hand(short, TRUE, range(1, order + 1)), abs=1e-6
    )


@pytest.mark.parametrize(("column", "n"), [("rouge_1", 1), ("rouge_2", 2), ("rouge_l", "l")])
def test_rouge_is_as_defined(rows, column, n):
    assert rows[column].tolist() == pytest.approx([rouge_by_hand(*pair, n) for pair in zip(SAID, TRUE)], abs=1e-6)
    assert rows[column].iloc[0] == pytest.approx(1) and rows[column].iloc[-1] == 0 and 0 < rows[column].mean() < 1


def test_cider_d_is_as_defined():
    pytest.importorskip("pycocoevalcap")
    found = cider(SAID, TRUE)
    assert found.tolist() == pytest.approx(cider_by_hand(SAID, TRUE).tolist(), abs=1e-6)
    assert found[:5].max() == pytest.approx(10) and found[-1] == 0 and 0 < found[5:-1].mean() < 10
