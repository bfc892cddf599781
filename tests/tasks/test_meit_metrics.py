"""MEIT's metrics by hand and against the libraries that its code calls."""

import numpy as np
import pandas as pd
import pytest

from anyecg.tasks.report.meit import BATCH, cider_d, meit, meit_columns, rouge_l

SAID = ["sinus rhythm. left axis deviation. borderline ecg", "atrial fibrillation. abnormal ecg", "sinus rhythm"]
TRUE = ["sinus rhythm. left axis deviation. abnormal ecg", "sinus tachycardia. normal ecg", "sinus rhythm. normal ecg"]


def words(text):
    return text.replace(".", " .").split()


def test_a_reference_scores_full_marks():
    found = meit(meit_columns(TRUE, TRUE))
    for name in ("meit_bleu_1", "meit_bleu_4", "meit_rouge_l"):
        assert found[name] == pytest.approx(1, abs=1e-6) and found[f"{name}_tagged"] == pytest.approx(1, abs=1e-6)
    assert found["meit_cider_d"] == pytest.approx(10)


def test_bleu_and_rouge_are_those_of_coco():
    pytest.importorskip("pycocoevalcap")
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer
    from pycocoevalcap.rouge.rouge import Rouge

    found = meit(meit_columns(SAID, TRUE))
    scorer = BleuScorer(n=4)
    for said, true in zip(SAID, TRUE):
        scorer += (" ".join(words(said)), [" ".join(words(true))])
    expected = scorer.compute_score(option="closest", verbose=0)[0]
    assert [found[f"meit_bleu_{n}"] for n in range(1, 5)] == pytest.approx(expected, abs=1e-6)
    rouge = [Rouge().calc_score([" ".join(words(s))], [" ".join(words(t))]) for s, t in zip(SAID, TRUE)]
    assert [rouge_l(words(s), words(t)) for s, t in zip(SAID, TRUE)] == pytest.approx(rouge)


def test_bleu_is_the_mean_over_batches():
    one, other = meit_columns(SAID[:1] * BATCH, TRUE[:1] * BATCH), meit_columns(SAID[1:2] * BATCH, TRUE[1:2] * BATCH)
    both = meit(pd.concat([one, other], ignore_index=True))
    assert both["meit_bleu_1"] == pytest.approx(np.mean([meit(one)["meit_bleu_1"], meit(other)["meit_bleu_1"]]))


def test_cider_weighs_every_word_alike():
    """Counts: one of two words common, one word longer; n-grams beyond the text count as zero."""
    assert cider_d(["a", "b"], ["a", "c"]) == pytest.approx(10 * 0.5 / 4)
    assert cider_d(["a", "a"], ["a", "b"]) == pytest.approx(10 * (1 / (2 * 2**0.5)) / 4)  # clipped
    assert cider_d(["a"], ["a", "b", "c"]) == pytest.approx(10 * np.exp(-4 / 72) * 3**-0.5 / 4)


def test_the_tag_lifts_wrong_reports():
    """What the spec measured: the tag on both sides raises the scores of reports that share nothing."""
    found = meit(meit_columns(["sinus rhythm"], ["atrial flutter"]))
    assert found["meit_bleu_1"] < 1e-6 < 0.3 < found["meit_bleu_1_tagged"] and found["meit_rouge_l"] == 0
    assert found["meit_rouge_l_tagged"] > 0.3
