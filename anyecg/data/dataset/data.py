"""What training and evaluation draw from: stored recordings and the questions about them."""

from __future__ import annotations

from dataclasses import dataclass

from anyecg.data.dataset.questions_file import Questions
from anyecg.data.store.store import Stores


@dataclass(frozen=True)
class Data:
    """Recordings and the questions about them; `fingerprint` changes with anything either depends on."""

    stores: Stores
    questions: Questions
    fingerprint: str
