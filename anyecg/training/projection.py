"""What an experiment's stages would take before anything is trained: parameters, tokens, FLOPs, memory and hours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from anyecg.config.schema import Experiment, StageConfig
from anyecg.config.trainable import samples_a_pass
from anyecg.data.dataset.data import Data
from anyecg.llms.chat import Chat
from anyecg.model import ECGLanguageModel
from anyecg.training.flops import Forward, Shape
from anyecg.training.job import Cost, Outlook
from anyecg.training.plan_lengths import measured, stated
from anyecg.training.planning import plan
from anyecg.types import ConfigError


@dataclass(frozen=True)
class StageProjection:
    """One stage. trains: group -> parameters that learn ("heads": the stage's own); frozen: the others; largest:
    parameters of the model's largest layer.

    trained: whether the cache has its output (None: not known without the data); cost: of a sample; notes: of its
    objective.
    """

    name: str
    cfg: StageConfig
    trained: bool | None
    trains: dict[str, int]
    frozen: int
    largest: int
    cost: Cost
    notes: tuple[str, ...] = ()

    @property
    def steps(self) -> int:
        return -(-self.cfg.samples // self.cfg.batch_size)

    @property
    def samples(self) -> int:
        """Visits, in whole steps."""
        return self.steps * self.cfg.batch_size

    @property
    def learning(self) -> int:
        return sum(self.trains.values())

    def hours(self, gpus: int, mfu: float, peak: float) -> float | None:
        """On so many accelerators of `peak` FLOP/s of which a share `mfu` goes into the model; None where the batch
        does not go evenly to them.
        """
        try:
            samples_a_pass(self.cfg, gpus)
        except ConfigError:
            return None
        return self.samples * self.cost.flops / (gpus * mfu * peak) / 3600


@dataclass(frozen=True)
class Projection:
    """All stages. parameters: of each group; clip_tokens: that the connector makes of a clip; lengths: pool -> how many
    questions its lengths were measured on, 0 where they are stated ones."""

    stages: Sequence[StageProjection]
    parameters: dict[str, int]
    clip_tokens: int
    lengths: dict[str, int]


def outline(experiment: Experiment) -> ECGLanguageModel:
    """The experiment's model on the meta device: every parameter's shape and none of its values. ConfigError where
    it has no outline.
    """
    llm = experiment.llm.component.outline(experiment.llm.config, Path(experiment.cache))
    try:
        with torch.device("meta"):
            encoder = experiment.encoder.build()
            connector = experiment.connector.component.of(experiment.connector.config, encoder, llm)
            fusion = experiment.fusion.build(llm, *connector.tokens(encoder.prefix, encoder.patches))
            return ECGLanguageModel(encoder, connector, fusion, llm)
    except (NotImplementedError, RuntimeError) as error:
        raise ConfigError(
            f"encoder, connector or fusion: --plan cannot build them on the meta device ({str(error).splitlines()[0]})"
        ) from error


def project(
    experiment: Experiment, data: Data | None = None, texts: Callable[[], Iterable[str]] | None = None
) -> Projection:
    """What each stage of an experiment takes; data: what is built of its data; texts: its training texts, for a
    tokenizer that learns from them.
    """
    model = outline(experiment)
    forward = Forward.of(model)
    chat = _chat(experiment, texts) if data else None
    total, largest = sum(p.numel() for p in model.parameters()), _largest(model)
    lengths: dict[str, int] = {}

    def shapes(pool: str, view: str) -> list[Shape]:
        found = measured(experiment, model, pool, view, data, chat) if data and chat else []
        lengths[pool] = len(found)
        return found or stated(experiment, model, pool, view)

    stages = []
    for stage in plan(experiment, data.fingerprint if data else "not built"):
        objective, outlook = stage.cfg.objective.build(), Outlook(experiment, stage.cfg, model, forward, shapes)
        trains = objective.trains(outlook)
        learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
        stages.append(
            StageProjection(
                stage.name,
                stage.cfg,
                stage.done if data else None,
                trains,
                total - learning,
                largest,
                objective.cost(outlook),
                tuple(objective.notes(outlook)),
            )
        )
    groups = {name: sum(p.numel() for p in group.values()) for name, group in model.groups().items()}
    made = sum(model.connector.tokens(model.encoder.prefix, model.encoder.patches))
    return Projection(stages, groups, made, lengths)


def _chat(experiment: Experiment, texts: Callable[[], Iterable[str]] | None) -> Chat | None:
    """How the LLM reads, where its tokenizer can be had."""
    try:
        return experiment.llm.component.reader(experiment.llm.config, texts, Path(experiment.cache))[0]
    except ConfigError:
        return None


def _largest(model: ECGLanguageModel) -> int:
    """Parameters of the layer that has the most of its own."""
    return max(sum(p.numel() for p in module.parameters(recurse=False)) for module in model.modules())
