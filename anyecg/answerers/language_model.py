"""The experiment's own language model as answerer: greedy decoding in batches of like length, in the view that a
control asks for.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from anyecg.answerers.base import Answerer, Fitting
from anyecg.answerers.batching import GROUP, by_length, grouped
from anyecg.answerers.learned import view_of
from anyecg.config.fingerprint import fingerprint
from anyecg.config.schema import Experiment, InputConfig, Slot
from anyecg.data.loading.collate import Collator
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.data.store.store import Stores
from anyecg.model import ECGLanguageModel
from anyecg.training.planning import PlannedStage
from anyecg.types import ECGSample, Prediction

log = logging.getLogger(__name__)

APART = ("text_encoder", "answerer")  # slots of the experiment that the model is not made of


class LanguageModel(Answerer):
    """An `ECGLanguageModel` that writes its answers, greedily.

    Questions are taken in the order in which they come, `GROUP` batches at a time, and within those in batches of like
    length: which questions share a batch does not change where more are asked after them, as with another
    `evaluation.limit`, whose questions begin with the same ones. A batch without a question that is left is skipped,
    and one with some is generated whole, so that neither an interruption nor what is kept changes a question's company,
    padding or answer. Every batch can be generated alone: they are the units in which an evaluation is divided over
    processes.

    A question that leaves no room for an answer in the LLM's context is answered with "" (unparsed) and reported;
    answers that do not end are counted in the log.
    """

    converses = True
    reads_text = True
    divides = True
    uses: ClassVar[frozenset[str] | None] = None

    @dataclass(frozen=True)
    class Config:
        """No settings: `evaluation.batch_size`, `evaluation.max_new_tokens` and `trainer.precision` are those of the
        experiment.
        """

    def __init__(self, cfg: Any = None) -> None:
        super().__init__(cfg or self.Config())
        self.keep = False
        # of which questions and view; id -> tokens of its ECGs
        self._kept: tuple[object, dict[str, Tensor]] = (None, {})
        self._planned: tuple[object, Any] = (None, None)  # of which questions and view

    def fit(self, fitting: Fitting) -> None:
        settings = fitting.experiment.evaluation
        self.use(
            fitting.model,
            fitting.stores,
            fitting.experiment.input,
            batch_size=settings.batch_size,
            max_new_tokens=settings.max_new_tokens,
            seed=settings.seed,
            precision=fitting.experiment.trainer.precision,
            key=model_key(fitting.experiment, fitting.stages),
        )

    def use(
        self,
        model: ECGLanguageModel,
        stores: Stores,
        limits: InputConfig,
        *,
        batch_size: int = 32,
        max_new_tokens: int = 256,
        seed: int = 0,
        precision: str = "32-true",
        key: str = "",
    ) -> LanguageModel:
        """Answer with this model; key: of all that determines its weights. Returns itself."""
        self.model, self.stores, self.limits = model, stores, limits
        self.batch_size, self.max_new_tokens, self.seed, self.precision = batch_size, max_new_tokens, seed, precision
        self.collate = Collator(
            model.llm.chat, model.places, model.llm.context, generate=True, spec=model.encoder.input
        )
        device = next(model.parameters()).device.type
        self.key = fingerprint("language_model", key, limits, batch_size, max_new_tokens, precision, device, GROUP)
        return self

    def conversing(self) -> LanguageModel:
        """One that keeps the tokens of a question's ECGs for the next call over the same questions in the same view.

        The same groups of questions are encoded together whatever is answered.
        """
        other = copy.copy(self)
        other.keep, other._kept, other._planned = True, (None, {}), (None, None)
        return other

    def company(self, samples: Sequence[ECGSample], view: str) -> dict[str, Sequence[str]]:
        if self.keep:  # the ECGs of all are encoded together
            return dict.fromkeys((sample.id for sample in samples), [sample.id for sample in samples])  # noqa: RUF024
        _, batches, _ = self._plan(samples, view)
        return {
            samples[place].id: ids
            for batch in batches
            for ids in [[samples[place].id for place in batch]]
            for place in batch
        }

    def answer(
        self, samples: Sequence[ECGSample], view: str, answered: Collection[str] = frozenset()
    ) -> Iterator[Prediction]:
        dataset, batches, long = self._plan(samples, view)
        if long:
            log.warning(
                "%d questions leave no room for %d new tokens in a context of %d and stay unanswered",
                len(long),
                self.max_new_tokens,
                self.model.llm.context,
            )
        yield from (Prediction(samples[place].id, "") for place in long if samples[place].id not in answered)
        left = [batch for batch in batches if any(samples[place].id not in answered for place in batch)]
        device = next(self.model.parameters()).device
        self.model.eval()
        kept = self._tokens(dataset, view) if self.keep and left else {}
        new, unended = 0, 0
        for places in left:
            batch = self.collate([dataset[place] for place in places]).to(device)
            tokens = torch.cat([kept[id] for id in batch.ids]).to(device) if kept else None
            with computing(self.precision, device):
                predictions = self.model.answer(batch, self.max_new_tokens, tokens)
            for prediction in predictions:
                if prediction.id not in answered:
                    new += 1
                    unended += len(self.collate.chat.text_ids(prediction.text)) >= self.max_new_tokens
                    yield prediction
        if unended:
            log.warning(
                "%d of %d answers (%s) take all %d new tokens without an end; they are read as far as they go",
                unended,
                new,
                view,
                self.max_new_tokens,
            )

    def _plan(self, samples: Sequence[ECGSample], view: str) -> tuple[QuestionDataset, list[list[int]], list[int]]:
        """The questions as the view shows them, positions in batches, the longest first, and positions of those too
        long to answer.
        """
        known = (view, list(samples))
        if self._planned[0] != known:
            dataset = view_of(samples, view, self.stores, self.limits, self.model.encoder.input, self.seed)
            shown = [dataset.sample(place) for place in range(len(samples))]
            lengths = [self.collate.length(sample, dataset.clip_counts(sample)) for sample in shown]
            long = [
                place for place, length in enumerate(lengths) if length > self.model.llm.context - self.max_new_tokens
            ]
            self._planned = (
                known,
                (dataset, grouped(lengths, [sample.id for sample in samples], self.batch_size, leave_out=long), long),
            )
        return self._planned[1]

    @torch.inference_mode()
    def _tokens(self, dataset: QuestionDataset, view: str) -> dict[str, Tensor]:
        """Id -> the tokens of its ECGs, one after the other, of all the questions."""
        samples = [dataset.sample(index) for index in range(len(dataset))]
        known = (view, [(sample.id, sample.records) for sample in samples])
        if self._kept[0] != known:
            self._kept = (None, {})  # let go of the others first
            tokens: dict[str, Tensor] = {}
            counts = [sum(dataset.clip_counts(sample)) for sample in samples]
            for positions in by_length(counts, [sample.id for sample in samples], self.batch_size):
                items = [dataset[position] for position in positions]
                with computing(self.precision, next(self.model.parameters()).device):
                    encoded = self.model.encode_records(
                        [clips for item in items for clips in item.clips],
                        [mask for item in items for mask in item.lead_masks],
                    )
                records = iter(encoded)
                none = self.model.no_tokens()
                tokens |= {
                    item.sample.id: torch.cat([none, *(next(records) for _ in item.clips)]).cpu() for item in items
                }
            self._kept = (known, tokens)
        return self._kept[1]


def model_key(experiment: Experiment, stages: Sequence[PlannedStage]) -> str:
    """A fingerprint of all that determines the weights of an experiment's model at the end of its stages."""
    parts = {name: value for name, value in vars(experiment).items() if isinstance(value, Slot) and name not in APART}
    return fingerprint(parts, experiment.seed, [stage.key for stage in stages])


def computing(precision: str, device: torch.device) -> contextlib.AbstractContextManager:
    """The precision that a stage trained in, for generation: of "bf16-..." and "16-..." autocast, of others none."""
    kinds = {"bf16": torch.bfloat16, "16": torch.float16}
    kind = kinds.get(precision.partition("-")[0])
    return torch.autocast(device.type, kind) if kind else contextlib.nullcontext()
