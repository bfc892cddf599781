"""An experiment's stages before they are trained: their order, the key of all that determines each, where its output lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anyecg.config.schema import to_dict
from anyecg.config.schema import LANGUAGE, Experiment, InputConfig, StageConfig
from anyecg.config.fingerprint import fingerprint
from anyecg.config.trainable import EVENLY, samples_a_pass
from anyecg.types import ConfigError

DONE = "stage.json"  # in a stage's folder, written last


@dataclass(frozen=True)
class PlannedStage:
    """A stage of this experiment and where its output lies (or will)."""

    name: str
    cfg: StageConfig
    key: str
    folder: Path
    seed: int

    @property
    def done(self) -> bool:
        return (self.folder / DONE).exists()


def stage_names(experiment: Experiment) -> list[str]:
    """The stages that run, in order: the curriculum, and before it the LLM's own where it has no weights. ConfigError where that is not defined."""
    names = experiment.trained()
    if LANGUAGE in names and LANGUAGE not in experiment.stages:
        raise ConfigError(f"llm '{experiment.llm.name}' is trained in the run and needs stages.{LANGUAGE}, which is not defined")
    return names


def check_batches(experiment: Experiment) -> None:
    """ConfigError with every stage whose steps the experiment's devices cannot share evenly, before the first is trained."""
    problems = []
    for name in stage_names(experiment):
        try:
            samples_a_pass(experiment.stages[name], experiment.trainer.processes)
        except ConfigError as error:
            problems.append(f"stages.{name}: {error}")
    if problems:
        raise ConfigError("\n".join([*problems, EVENLY]))


def plan(experiment: Experiment, data_fingerprint: str) -> list[PlannedStage]:
    """The stages in order with their keys; the same prefix has the same keys in every experiment.

    A key holds the stage's own settings, the seed, the data, the components the stage computes with, and the keys of
    the earlier stages that trained any of those. How many `tokens` a pass holds is not in it: a step has the same samples
    and the same loss however it is cut. `micro_batch` is: it decides which samples of like length meet in a step.
    """
    planned, trained_by = [], {}
    for name in stage_names(experiment):
        cfg = experiment.stages[name]
        parts, groups = _determinants(experiment, cfg, tuned="llm" in cfg.trains or "llm" in trained_by)
        parents = sorted({key for group, keys in trained_by.items() if group in groups for key in keys})
        settings = to_dict(cfg) | ({} if cfg.tokens is None else {"tokens": "so many"})
        key = fingerprint(name, settings, experiment.seed, data_fingerprint, parts, parents)
        for group in cfg.trains:
            trained_by.setdefault(group, []).append(key)
        folder = Path(experiment.cache) / "stages" / f"{name}-{key}"
        planned.append(PlannedStage(name, cfg, key, folder, int(fingerprint(experiment.seed, name, length=8), 16)))
    return planned


def _determinants(experiment: Experiment, cfg: StageConfig, tuned: bool) -> tuple[dict, set[str]]:
    """What a stage's outcome depends on beside its own settings: component settings, and groups of parameters.

    tuned: whether the LLM's tuning has moved by the stage's end. Until then adapters are the identity, as no adapters are.
    """
    parts = {"precision": experiment.trainer.precision, "replay": experiment.replay if cfg.replay else None}
    if cfg.objective == "contrastive":
        return parts | {"encoder": to_dict(experiment.encoder), "text_encoder": to_dict(experiment.text_encoder)}, {"encoder"}
    parts["input"] = to_dict(limits(experiment, cfg))
    llm = {k: v for k, v in to_dict(experiment.llm).items() if tuned or k not in ("tuning", "lora")}
    if cfg.view == "text":
        return parts | {"llm": llm, "marked": experiment.fusion.component.marked}, {"markers", "llm", "llm_weights"}
    parts |= {"llm": llm, "encoder": to_dict(experiment.encoder), "connector": to_dict(experiment.connector), "fusion": to_dict(experiment.fusion)}
    return parts, {"encoder", "connector", "fusion", "markers", "llm", "llm_weights"}


def limits(experiment: Experiment, cfg: StageConfig) -> InputConfig:
    """What of a question's ECGs a stage sees; a stage over words, which sees none, reads about all of them."""
    return InputConfig() if cfg.view == "text" else experiment.input
