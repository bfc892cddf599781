"""What an experiment's stages would take before anything is trained: parameters, tokens, FLOPs, memory and hours."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import torch

from anyecg.data.dataset.data import Data
from anyecg.config.schema import Experiment, StageConfig
from anyecg.llms.chat import Chat
from anyecg.model import ECGLanguageModel
from anyecg.config.trainable import samples_a_pass
from anyecg.objectives.answer import AnsweringStage
from anyecg.objectives.contrastive import ContrastiveStage
from anyecg.training.flops import Forward, Shape, answering_flops, contrastive_flops, recomputed_flops
from anyecg.training.planning import plan
from anyecg.training.plan_lengths import measured, shares, stated
from anyecg.types import ConfigError

PAPERS_HEAD = 512  # outputs of the head that the published encoder of 85.6 M parameters holds


@dataclass(frozen=True)
class StageProjection:
    """One stage. trains: group -> parameters that learn ("heads": the stage's own); frozen: the others; largest: parameters of the model's largest layer.

    trained: whether the cache has its output (None: not known without the data). A sample on average: clips, tokens
    that the LLM reads, answers (those it learns), flops, and recomputed (FLOPs that gradient checkpointing adds).
    """

    name: str
    cfg: StageConfig
    trained: bool | None
    trains: dict[str, int]
    frozen: int
    largest: int
    clips: float
    tokens: float
    answers: float
    flops: float
    recomputed: float

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
        """On so many accelerators of `peak` FLOP/s of which a share `mfu` goes into the model; None where the batch does not go evenly to them."""
        try:
            samples_a_pass(self.cfg, gpus)
        except ConfigError:
            return None
        return self.samples * self.flops / (gpus * mfu * peak) / 3600


@dataclass(frozen=True)
class Projection:
    """All stages. parameters: of each group; head: those of the head that the paper counts with its encoder; clip_tokens: that the connector makes of a clip; lengths: pool -> how many
    questions its lengths were measured on, 0 where they are stated ones."""

    stages: Sequence[StageProjection]
    parameters: dict[str, int]
    head: int
    clip_tokens: int
    lengths: dict[str, int]


def outline(experiment: Experiment) -> ECGLanguageModel:
    """The experiment's model on the meta device: every parameter's shape and none of its values. ConfigError where it has no outline."""
    llm = experiment.llm.component.outline(experiment.llm.config, Path(experiment.cache))
    try:
        with torch.device("meta"):
            encoder = experiment.encoder.build()
            connector = experiment.connector.build(encoder.dim, llm.dim)
            fusion = experiment.fusion.build(llm, *connector.tokens(encoder.prefix, encoder.patches))
            return ECGLanguageModel(encoder, connector, fusion, llm)
    except (NotImplementedError, RuntimeError) as error:
        raise ConfigError(f"encoder, connector or fusion: --plan cannot build them on the meta device ({str(error).splitlines()[0]})") from error


def project(experiment: Experiment, data: Data | None = None, texts: Callable[[], Iterable[str]] | None = None) -> Projection:
    """What each stage of an experiment takes; data: what is built of its data; texts: its training texts, for a tokenizer that learns from them."""
    model = outline(experiment)
    forward, tuning, again = Forward.of(model), model.llm.tuning, experiment.llm.config.gradient_checkpointing
    chat = _chat(experiment, texts) if data else None
    total, largest = sum(p.numel() for p in model.parameters()), _largest(model)
    lengths: dict[str, int] = {}

    def shapes(pool: str, view: str) -> list[Shape]:
        found = measured(experiment, model, pool, view, data, chat) if data and chat else []
        lengths[pool] = len(found)
        return found or stated(experiment, model, pool, view)

    stages = []
    for stage in plan(experiment, data.fingerprint if data else "not built"):
        trains = _learning(experiment, model, stage.cfg)
        if stage.cfg.objective == "contrastive":
            sample = (1.0, 0.0, 0.0, contrastive_flops(forward), 0.0)
        else:
            mixed = []
            for pool, share in shares(stage.cfg, experiment.replay).items():
                costs = [_cost(forward, shape, stage.cfg.trains, tuning, again) for shape in shapes(pool, stage.cfg.view)]
                mixed.append([share * fmean(column) for column in zip(*costs)])
            sample = tuple(map(sum, zip(*mixed)))
        learning = sum(p.numel() for p in model.parameters() if p.requires_grad)
        stages.append(StageProjection(stage.name, stage.cfg, stage.done if data else None, trains, total - learning, largest, *sample))
    groups = {name: sum(p.numel() for p in group.values()) for name, group in model.groups().items()}
    made = sum(model.connector.tokens(model.encoder.prefix, model.encoder.patches))
    return Projection(stages, groups, model.encoder.dim * PAPERS_HEAD, made, lengths)


def _learning(experiment: Experiment, model: ECGLanguageModel, cfg: StageConfig) -> dict[str, int]:
    """What a stage trains, as the stage itself counts it; without heads where the size of the reports' embeddings is not known beforehand."""
    if cfg.objective != "contrastive":
        return AnsweringStage(model, cfg, 1).trainable
    text = experiment.text_encoder.component.outline(experiment.text_encoder.config)
    with torch.device("meta"):
        stage = ContrastiveStage(model, cfg, 1, text or 1)
    return stage.trainable if text else stage.declared


def _cost(forward: Forward, shape: Shape, trains: Sequence[str], tuning: str, again: bool) -> tuple[float, ...]:
    """Of one sample, what `StageProjection` keeps the mean of."""
    return shape.clips, shape.tokens, shape.answers, answering_flops(forward, shape, trains, tuning), again * recomputed_flops(forward, shape)


def _chat(experiment: Experiment, texts: Callable[[], Iterable[str]] | None) -> Chat | None:
    """How the LLM reads, where its tokenizer can be had."""
    try:
        return experiment.llm.component.reader(experiment.llm.config, texts, Path(experiment.cache))[0]
    except ConfigError:
        return None


def _largest(model: ECGLanguageModel) -> int:
    """Parameters of the layer that has the most of its own."""
    return max(sum(p.numel() for p in module.parameters(recurse=False)) for module in model.modules())
