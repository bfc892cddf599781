"""BERTScore: how alike two texts are, token by token, in the space of a text encoder."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torchmetrics.functional.text import bert_score

BATCH = 64  # texts at once


def bert_f1(said: Sequence[str], true: Sequence[str], encoder: str) -> np.ndarray:
    """BERTScore's F1 of each pair, at most 1 (torchmetrics; last layer, no idf, no baseline): float `[n]`; 0 for an empty text.

    encoder: folder or id of a transformer, whose tokens are compared.
    """
    pairs = sorted({pair for pair in zip(said, true, strict=True) if all(text.strip() for text in pair)}, key=lambda pair: len(pair[0]))
    if not pairs:
        return np.zeros(len(said))
    preds, target = map(list, zip(*pairs))
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    scores = bert_score(preds, target, model_name_or_path=encoder, batch_size=BATCH, truncation=True, verbose=False, device=device)["f1"]
    known = dict(zip(pairs, np.atleast_1d(scores.numpy(force=True)).astype(float)))
    return np.array([known.get(pair, 0.0) for pair in zip(said, true)])
