"""Reinforcement with rewards that a task's own parser and metric verify (GRPO, arXiv 2402.03300)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from anyecg.config.checks import Checks
from anyecg.config.schema import Experiment, StageConfig, to_dict
from anyecg.data.loading.collate import Collator
from anyecg.data.loading.dataset import Item
from anyecg.data.loading.loader import StageData
from anyecg.model import ECGLanguageModel
from anyecg.objectives.answer import Answer, AnswerConfig
from anyecg.tasks.base import Task
from anyecg.training.job import Cost, Depends, Outlook, StageJob
from anyecg.training.stage import Stage
from anyecg.types import Batch, ECGSample, Prediction, Turn

EVEN = 1e-4  # added to the deviation of a group's rewards


@dataclass(frozen=True)
class GRPOConfig(AnswerConfig):
    """As `answer`, and how answers are sampled and rewarded. Without augmentation: what an answer earns is said of the
    ECG as it is.
    """

    group: int = 8  # answers that are sampled to a question, each held against their mean
    temperature: float = 1.0  # of the sampling
    max_new_tokens: int = 128  # of a sampled answer, at most; one that is cut off earns by what can be read of it
    metric: str | None = None  # of the question's task, over that question alone (None: its primary one)
    format: float = 0.1  # what an answer earns that the task's parser can read, beside the metric (mostly 1 at most)

    def __post_init__(self) -> None:
        super().__post_init__()
        with Checks(self) as check:
            check.number("group", least=2)
            check.number("max_new_tokens", least=1)
            check.number("temperature", above=0)
            check.number("format", least=0)


class GRPO(Answer):
    """Sampled answers weighed by what they earn: the metric of the question's task, and an answer that can be read.

    A question's answers are held against each other: an answer's weight is its reward less the group's mean, over the
    group's deviation, and its tokens' log-likelihood rises or falls by it. One optimizer step a sample of answers, so
    no ratio of policies has to be clipped; there is no KL term, and LoRA's low rank and few steps are what keeps the
    model near where it began. The stage begins with the weights of those before it.
    """

    Config = GRPOConfig

    @classmethod
    def problems(cls, cfg: GRPOConfig, stage: StageConfig) -> Iterator[tuple[str, str]]:
        if "llm_weights" in stage.trains:
            yield "trains", "llm_weights learn to read in a stage of their own; a grpo stage trains llm, its tuning"
        if stage.view == "text":
            yield "view", "a grpo stage rewards answers about ECGs; write signal or blind"
        if cfg.any:
            yield "objective", "a grpo stage rewards answers about the ECG as it is; leave out its augmentation"

    def settings(self, stage: StageConfig) -> dict:
        """All of the stage: how a step is cut decides which answers are drawn."""
        return to_dict(stage)

    def depends(self, experiment: Experiment, stage: StageConfig, tuned: bool) -> Depends:
        found = super().depends(experiment, stage, True)
        rewards = {key: to_dict(slot) for key, slot in tasks_of(experiment, stage).items()}
        code = tuple(slot.component for slot in tasks_of(experiment, stage).values())
        return replace(found, parts=found.parts | {"rewards": rewards}, code=(*found.code, *code))

    def batches(self, job: StageJob) -> StageData:
        made = super().batches(job)
        made.collate = asked
        return made

    def module(self, job: StageJob, steps: int) -> GRPOStage:
        info = job.data.questions.info
        tasks = {key: slot.build(info, job.text_encoder) for key, slot in tasks_of(job.experiment, job.cfg).items()}
        return GRPOStage(job.model, job.cfg, steps, self.cfg, tasks)

    def cost(self, outlook: Outlook) -> Cost:
        """Of a question: each of its answers is generated (a forward pass of the LLM) and learnt from."""
        one, group, forward = super().cost(outlook), self.cfg.group, outlook.forward
        eye = one.clips * (forward.encoder + forward.connector)
        return replace(
            one,
            tokens=2 * group * one.tokens,
            answers=group * one.answers,
            flops=group * (one.flops - eye) + 2 * eye + group * one.tokens * (forward.body + forward.lora),
            recomputed=group * one.recomputed,
        )

    def notes(self, outlook: Outlook) -> Iterable[str]:
        yield (
            f"A grpo stage's tokens are those of {self.cfg.group} answers a question, written and learnt, each taken "
            "as long as the reference."
        )


def tasks_of(experiment: Experiment, stage: StageConfig) -> dict[str, Any]:
    """Key -> slot of the tasks whose pools a stage draws from."""
    pools = experiment.pools()
    keys = dict.fromkeys(pools[pool] for pool in stage.weights(experiment.replay) if pool in pools)
    return {key: experiment.tasks[key] for key in keys}


class Held:
    """Items on their way to a stage: no device and no precision changes them."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = tuple(items)

    def to(self, *_: Any, **__: Any) -> Held:
        return self

    def pin_memory(self) -> Held:
        return self


@dataclass
class Asked(Batch):
    """Questions as they were read. held: B items, ids: B strings; learned, passes: as in `ECGBatch`, of the reference
    answers.
    """

    held: Held
    learned: Tensor
    passes: Tensor
    ids: tuple[str, ...]


def asked(items: Sequence[Item]) -> Asked:
    return Asked(Held(items), torch.tensor(0), torch.tensor(1), tuple(item.sample.id for item in items))


class GRPOStage(Stage):
    """The loss is what the answers fall short of the best reward, on average; its gradient is the policy's."""

    def __init__(
        self, model: ECGLanguageModel, cfg: StageConfig, steps: int, settings: GRPOConfig, tasks: dict[str, Task]
    ) -> None:
        super().__init__(model, cfg, steps)
        self.settings, self.tasks = settings, tasks
        parts: Any = model
        reads = (parts.llm.chat, parts.places, parts.llm.context)
        self.asking = Collator(*reads, generate=True, spec=parts.encoder.input)
        self.learning_from = Collator(*reads, spec=parts.encoder.input)

    def loss(self, batch: Asked) -> Tensor:
        group = self.settings.group if self.training else 1
        questions = batch.held.items
        items = [item for item in questions for _ in range(group)]
        texts = self.sampled(questions, items)
        earned = torch.tensor(self.rewards(items, texts), dtype=torch.float32, device=self.device)
        short = 1 + self.settings.format - earned.mean()
        if not self.training:
            return short
        weights = advantages(earned.view(-1, group)).flatten()
        surrogate = self.weighed(questions, items, texts, weights)
        return short + surrogate - surrogate.detach()

    @torch.no_grad()
    def sampled(self, questions: Sequence[Item], items: Sequence[Item]) -> list[str]:
        """A sampled answer to each of `items`, each question as often as it is there; the most likely one in eval
        mode. Dropout is off.
        """
        temperature = self.settings.temperature if self.training else 0.0
        model: Any = self.model
        with resting(model), model.llm.sampling(temperature):
            tokens = self._repeated(questions, len(items) // len(questions))
            batch = self.asking(items).to(self.device)
            room = model.llm.context - batch.input_ids.shape[1]
            return model.fusion.generate(model.llm, batch, tokens, min(room, self.settings.max_new_tokens))

    def rewards(self, items: Sequence[Item], texts: Sequence[str]) -> np.ndarray:
        """Float64 `[N]`: what each answer earns, at most 1 + `format` where the metric is at most 1."""
        earned = np.zeros(len(items))
        for key, task in self.tasks.items():
            own = [place for place, item in enumerate(items) if item.sample.task == key]
            for place in own:
                earned[place] = self._reward(task, items[place].sample, texts[place])
        return earned

    def _reward(self, task: Task, sample: ECGSample, text: str) -> float:
        rows = task.score([sample], [Prediction(sample.id, text)])
        found = task.reduce(rows)
        score = found.get(self.settings.metric or task.primary, 0.0)
        return float(np.nan_to_num(score)) + self.settings.format * bool(rows["parsed"].iloc[0])

    def weighed(
        self, questions: Sequence[Item], items: Sequence[Item], texts: Sequence[str], weights: Tensor
    ) -> Tensor:
        """Scalar: the negative log-likelihood of the answers' tokens, each times its answer's weight, over how many
        tokens there are.
        """
        model: Any = self.model
        answered = [replace(item, sample=with_answer(item.sample, text)) for item, text in zip(items, texts)]
        batch = self.learning_from(answered).to(self.device)
        tokens = self._repeated(questions, len(items) // len(questions))
        width = batch.input_ids.shape[1]
        hidden = model.fusion(model.llm, batch, tokens).flatten(0, 1).index_select(0, batch.answers)
        each = F.cross_entropy(model.llm.head(hidden).float(), batch.targets, reduction="none")
        return (each * weights[batch.answers // width]).sum() / len(batch.targets)

    def _repeated(self, questions: Sequence[Item], times: int) -> Tensor:
        """The tokens of the questions' ECGs, encoded once, of each question so often."""
        model: Any = self.model
        shown = self.learning_from(questions).to(self.device)
        record, clip = model.connector.tokens(model.encoder.prefix, model.encoder.patches)
        sizes = [sum(record + clip * count for count in row) for row in shown.clip_counts]
        parts = model.encode(shown).split(sizes)
        return torch.cat([part for part in parts for _ in range(times)])


def advantages(earned: Tensor) -> Tensor:
    """Rewards `[questions, group]` less each group's mean, over its deviation; 0 where all earn the same."""
    return (earned - earned.mean(1, keepdim=True)) / (earned.std(1, keepdim=True) + EVEN)


def with_answer(sample: ECGSample, text: str) -> ECGSample:
    """The question with another last answer."""
    return replace(sample, conversation=(*sample.conversation[:-1], Turn("assistant", text or " ")))


@contextlib.contextmanager
def resting(model: torch.nn.Module) -> Iterator[None]:
    """Within it, the model is in eval mode."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for part, mode in modes:
            part.training = mode
