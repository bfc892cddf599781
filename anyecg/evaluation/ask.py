"""Questions to answers: batches of like length through a model, in the view that a control asks for."""

from __future__ import annotations

import logging
from collections.abc import Iterator


from anyecg.experiment import InputConfig
from anyecg.data.collate import Collator
from anyecg.data.dataset import QuestionDataset
from anyecg.data.store import Stores
from anyecg.evaluation.controls import BLIND
from anyecg.model import ECGLanguageModel
from anyecg.types import ECGSample, Prediction

log = logging.getLogger(__name__)


class Asker:
    """`(samples, view) -> Iterator[Prediction]` for `evaluate`: greedy, longest questions first.

    A question that leaves no room for an answer in the LLM's context is answered with "" (unparsed) and told.
    """

    def __init__(self, model: ECGLanguageModel, stores: Stores, limits: InputConfig, batch_size: int = 32, max_new_tokens: int = 256) -> None:
        self.model, self.stores, self.limits = model, stores, limits
        self.batch_size, self.max_new_tokens = batch_size, max_new_tokens
        self.collate = Collator(model.llm.chat, model.prefix, model.patches, model.llm.context, generate=True)

    def __call__(self, samples: list[ECGSample], view: str) -> Iterator[Prediction]:
        dataset = QuestionDataset(samples, range(len(samples)), self.stores, self.limits, "blind" if view == BLIND else "signal")
        lengths = []
        for index in range(len(samples)):
            sample = dataset.sample(index)
            lengths.append(self.collate.length(sample, dataset.clip_counts(sample)))
        room = self.model.llm.context - self.max_new_tokens
        long = [index for index, length in enumerate(lengths) if length > room]
        if long:
            log.warning("%d questions leave no room for %d new tokens in a context of %d and stay unanswered", len(long), self.max_new_tokens, self.model.llm.context)
        yield from (Prediction(samples[index].id, "") for index in long)
        order = sorted(set(range(len(samples))) - set(long), key=lambda index: (-lengths[index], samples[index].id))
        device = next(self.model.parameters()).device
        self.model.eval()
        for start in range(0, len(order), self.batch_size):
            batch = self.collate([dataset[index] for index in order[start : start + self.batch_size]])
            yield from self.model.answer(batch.to(device), self.max_new_tokens)
