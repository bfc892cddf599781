"""Questions to answers: batches of like length through a model, in the view that a control asks for."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence

import torch
from torch import Tensor

from anyecg.config.schema import InputConfig
from anyecg.data.loading.collate import Collator
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.data.store.store import Stores
from anyecg.evaluation.controls import BLIND, SINGLE_LEAD
from anyecg.model import ECGLanguageModel
from anyecg.types import ECGSample, Prediction

log = logging.getLogger(__name__)


class Asker:
    """`(samples, view) -> Iterator[Prediction]` for `evaluate`: greedy, longest questions first.

    The batches are those of all samples, whatever is `answered` already: a batch without a question that is left is passed over,
    and one with some is asked whole, so that an interruption changes no question's company, padding or answer.
    A question that leaves no room for an answer in the LLM's context is answered with "" (unparsed) and told; answers
    that do not end are counted in the log. keep: the tokens of a question's ECGs are kept for the next call over the same
    questions in the same view, so that a conversation encodes its ECGs once; the same groups are encoded together whatever is answered.
    """

    def __init__(self, model: ECGLanguageModel, stores: Stores, limits: InputConfig, batch_size: int = 32, max_new_tokens: int = 256,
                 seed: int = 0, keep: bool = False) -> None:
        self.model, self.stores, self.limits, self.keep = model, stores, limits, keep
        self.kept: tuple[object, dict[str, Tensor]] = (None, {})  # of which questions and view; id -> their tokens
        self.batch_size, self.max_new_tokens, self.seed = batch_size, max_new_tokens, seed
        self.collate = Collator(model.llm.chat, model.places, model.llm.context, generate=True)

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
        kept = self._kept(dataset, shown) if self.keep and any(samples[index].id not in answered for index in asked) else {}
        new, unended = 0, 0
        for positions in by_length([lengths[index] for index in asked], [samples[index].id for index in asked], self.batch_size):
            if all(samples[asked[position]].id in answered for position in positions):
                continue
            batch = self.collate([dataset[asked[position]] for position in positions]).to(device)
            tokens = torch.cat([kept[id] for id in batch.ids]).to(device) if kept else None
            for prediction in self.model.answer(batch, self.max_new_tokens, tokens):
                if prediction.id not in answered:
                    new += 1
                    unended += len(self.collate.chat.text_ids(prediction.text)) >= self.max_new_tokens
                    yield prediction
        if unended:
            log.warning("%d of %d answers (%s) take all %d new tokens without an end; they are read as far as they go", unended, new, view, self.max_new_tokens)

    @torch.inference_mode()
    def _kept(self, dataset: QuestionDataset, view: str) -> dict[str, Tensor]:
        """Id -> the tokens of its ECGs, one after the other, of all the questions."""
        samples = [dataset.sample(index) for index in range(len(dataset))]
        known = (view, [(sample.id, sample.records) for sample in samples])
        if self.kept[0] != known:
            self.kept = (None, {})  # let go of the others first
            tokens: dict[str, Tensor] = {}
            counts = [sum(dataset.clip_counts(sample)) for sample in samples]
            for positions in by_length(counts, [sample.id for sample in samples], self.batch_size):
                items = [dataset[position] for position in positions]
                records = iter(self.model.encode_records([clips for item in items for clips in item.clips], [mask for item in items for mask in item.lead_masks]))
                none = self.model.no_tokens()
                tokens |= {item.sample.id: torch.cat([none, *(next(records) for _ in item.clips)]).cpu() for item in items}
            self.kept = (known, tokens)
        return self.kept[1]


def by_length(lengths: Sequence[int], ids: Sequence[str], size: int) -> list[list[int]]:
    """Positions in batches of like length, the longest first, so that what does not fit into memory is known at once; ties by id."""
    order = sorted(range(len(lengths)), key=lambda index: (-lengths[index], ids[index]))
    return [order[start : start + size] for start in range(0, len(order), size)]
