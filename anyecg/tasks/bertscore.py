"""BERTScore: how alike two texts are, token by token, in the space of a text encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import Module
from torchmetrics.functional.text import bert_score
from transformers import AutoModel, AutoTokenizer


def bert_f1(said: Sequence[str], true: Sequence[str], encoder: str) -> np.ndarray:
    """BERTScore's F1 of each pair, at most 1 (torchmetrics; last layer, no idf, no baseline): float `[n]`; 0 for an
    empty text.

    encoder: folder or id of a transformer, whose tokens are compared. The library gets one pair at a time: of several
    it sorts both sides by length and does not undo it (torchmetrics 1.9), so that a text meets another's reference.
    """
    pairs = {pair for pair in zip(said, true, strict=True) if all(text.strip() for text in pair)}
    if not pairs:
        return np.zeros(len(said))
    space = {
        "model": AutoModel.from_pretrained(encoder, dtype=torch.float32),
        "user_tokenizer": AutoTokenizer.from_pretrained(encoder),
        "user_forward_fn": _Embedded(),
        "device": torch.device("cuda" if torch.cuda.is_available() else "cpu"),
        "truncation": True,
    }
    known = {
        (text, reference): float(bert_score([text], [reference], **space)["f1"]) for text, reference in sorted(pairs)
    }
    return np.array([known.get(pair, 0.0) for pair in zip(said, true)])


class _Embedded:
    """The last layer of a transformer over one text `[1, tokens, d]`, computed once a text: references and answers
    repeat.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], Tensor] = {}

    def __call__(self, model: Module, batch: dict[str, Tensor]) -> Tensor:
        text = tuple(batch["input_ids"][0].tolist())
        if text not in self._known:
            self._known[text] = model(batch["input_ids"], batch["attention_mask"]).last_hidden_state
        return self._known[text].clone()  # the library writes into it
