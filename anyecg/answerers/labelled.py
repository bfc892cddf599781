"""Recordings with the labels that a corpus knows of them: what multi-label answerers learn from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from anyecg.answerers.base import Fitting, recordings
from anyecg.tasks.classification.build import label_names
from anyecg.types import Window

Labelled = tuple[list[Window], Tensor]  # recordings, and float32 `[n, labels]`: 1, 0, or NaN where a set says nothing


def labelled(fitting: Fitting, split: str, labels: Sequence[str]) -> Labelled:
    """The recordings of a split with any label; a set of which one has none says nothing, as in the test."""
    windows, rows, place = [], [], {label: number for number, label in enumerate(labels)}
    for store in fitting.stores:
        info, corpus = store.summary["info"], store.summary["corpus"]
        if not info.get("labels"):
            continue
        for record, codes in recordings(store, ["id", "labels"], split):
            held = {group: names for group, names in label_names(codes, info).items() if names}
            if held:
                row = torch.full((len(labels),), torch.nan)
                for label, number in place.items():
                    where, _, name = label.partition(":")
                    known, _, group = where.partition(".")
                    if known == corpus and group in held:
                        row[number] = float(name in held[group])
                windows.append(Window(record))
                rows.append(row)
    return windows, torch.stack(rows) if rows else torch.zeros(0, len(labels))


def known_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Binary cross-entropy over the labels that are known, float scalar."""
    known = ~targets.isnan()
    return F.binary_cross_entropy_with_logits(logits[known.to(logits.device)], targets[known].to(logits.device))


def thresholds(likely: np.ndarray, targets: np.ndarray) -> list[float]:
    """Of each label, the probability from which asserting it has the highest F1 of the validation records; 1 (never)
    where no record has it.
    """
    found = []
    for scores, true in zip(likely.T, targets.T):
        inside = ~np.isnan(true)
        order = np.argsort(-scores[inside], kind="stable")
        scores, held = scores[inside][order], true[inside][order] == 1
        if not held.any():
            found.append(1.0)
            continue
        f1 = 2 * held.cumsum() / (np.arange(1, len(held) + 1) + held.sum())
        found.append(float(scores[int(f1.argmax())]))
    return found
