"""Questions to answers: batches of like length through a model, in the view that a control asks for."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence

from anyecg.experiment import InputConfig
from anyecg.data.collate import Collator
from anyecg.data.dataset import QuestionDataset
from anyecg.data.store import Stores
from anyecg.evaluation.controls import BLIND, SINGLE_LEAD
from anyecg.model import ECGLanguageModel
from anyecg.types import ECGSample, Prediction

log = logging.getLogger(__name__)


class Asker:
    """`(samples, view) -> Iterator[Prediction]` for `evaluate`: greedy, longest questions first.

    The batches are those of all samples, whatever is `answered` already: a batch without a question that is left is passed over,
    and one with some is asked whole, so that an interruption changes no question's company, padding or answer.
    A question that leaves no room for an answer in the LLM's context is answered with "" (unparsed) and told; answers
    that do not end are counted in the log.
    """

    def __init__(self, model: ECGLanguageModel, stores: Stores, limits: InputConfig, batch_size: int = 32, max_new_tokens: int = 256,
                 seed: int = 0) -> None:
        self.model, self.stores, self.limits = model, stores, limits
        self.batch_size, self.max_new_tokens, self.seed = batch_size, max_new_tokens, seed
        self.collate = Collator(model.llm.chat, model.prefix, model.patches, model.llm.context, generate=True)

    def __call__(self, samples: list[ECGSample], view: str, answered: Collection[str] = frozenset()) -> Iterator[Prediction]:
        shown = view if view in (BLIND, *SINGLE_LEAD) else "signal"
        dataset = QuestionDataset(samples, range(len(samples)), self.stores, self.limits, shown, self.seed)
        lengths = []
        for index in range(len(samples)):
            sample = dataset.sample(index)
            lengths.append(self.collate.length(sample, dataset.clip_counts(sample)))
        room = self.model.llm.context - self.max_new_tokens
        long = [index for index, length in enumerate(lengths) if length > room]
        if long:
            log.warning("%d questions leave no room for %d new tokens in a context of %d and stay unanswered", len(long), self.max_new_tokens, self.model.llm.context)
        yield from (Prediction(samples[index].id, "") for index in long if samples[index].id not in answered)
        asked = sorted(set(range(len(samples))) - set(long))
        device = next(self.model.parameters()).device
        self.model.eval()
        new, unended = 0, 0
        for positions in by_length([lengths[index] for index in asked], [samples[index].id for index in asked], self.batch_size):
            if all(samples[asked[position]].id in answered for position in positions):
                continue
            batch = self.collate([dataset[asked[position]] for position in positions])
            for prediction in self.model.answer(batch.to(device), self.max_new_tokens):
                if prediction.id not in answered:
                    new += 1
                    unended += len(self.collate.chat.text_ids(prediction.text)) >= self.max_new_tokens
                    yield prediction
        if unended:
            log.warning("%d of %d answers (%s) take all %d new tokens without an end; they are read as far as they go", unended, new, view, self.max_new_tokens)


def by_length(lengths: Sequence[int], ids: Sequence[str], size: int) -> list[list[int]]:
    """Positions in batches of like length, the longest first, so that what does not fit into memory is known at once; ties by id."""
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], ids[index]))
    return [order[start : start + size] for start in range(0, len(order), size)]
