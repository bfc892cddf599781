"""An experiment's stages before they are trained: their order, the key of all that determines each, where its output lies."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anyecg.config.schema import LANGUAGE, Experiment, StageConfig
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

    A key holds those of the stage's settings that its outcome depends on, the seed, the data, what its objective says that it
    computes with, and the keys of the earlier stages that trained any of those.
    """
    planned, trained_by = [], {}
    for name in stage_names(experiment):
        cfg = experiment.stages[name]
        objective = cfg.objective.build()
        depends = objective.depends(experiment, cfg, tuned="llm" in cfg.trains or "llm" in trained_by)
        parents = sorted({key for group, keys in trained_by.items() if group in depends.groups for key in keys})
        shared = {"precision": experiment.trainer.precision, "replay": experiment.replay if cfg.replay else None}
        watching = () if cfg.keep == "best" else ("validate", "keep")  # changes no weight
        settings = {key: value for key, value in objective.settings(cfg).items() if key not in watching}
        key = fingerprint(name, settings, experiment.seed, data_fingerprint, shared | depends.parts, parents)
        for group in cfg.trains:
            trained_by.setdefault(group, []).append(key)
        folder = Path(experiment.cache) / "stages" / f"{name}-{key}"
        planned.append(PlannedStage(name, cfg, key, folder, int(fingerprint(experiment.seed, name, length=8), 16)))
    return planned
