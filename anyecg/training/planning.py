"""An experiment's stages before they are trained: their order, the key of all that determines each, where its output
lies.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from anyecg.config.code import Code, changed
from anyecg.config.fingerprint import fingerprint
from anyecg.config.schema import LANGUAGE, Experiment, StageConfig
from anyecg.config.trainable import EVENLY, samples_a_pass
from anyecg.data.store.store import Store, Stores
from anyecg.types import ConfigError

DONE = "stage.json"  # in a stage's folder, written last


@dataclass(frozen=True)
class PlannedStage:
    """A stage of this experiment and where its output lies (or will).

    key: of all that determines the output; meaning: of all but the code; code: module -> digest of the source that it
    is computed with; despite: the modules that are others now than those of an output that is reused all the same
    (`reuse_despite`).
    """

    name: str
    cfg: StageConfig
    key: str
    folder: Path
    seed: int
    meaning: str = ""
    code: Mapping[str, str] = field(default_factory=dict)
    despite: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        return (self.folder / DONE).exists()

    def earlier(self) -> tuple[Path, dict] | None:
        """The newest output in the cache that differs in its code only, and what its `stage.json` says."""
        found = []
        for path in self.folder.parent.glob(f"{self.name}-*/{DONE}"):
            with contextlib.suppress(OSError, ValueError):
                facts = json.loads(path.read_text())
                if (
                    facts.get("name") == self.name
                    and facts.get("meaning") == self.meaning
                    and path.parent != self.folder
                ):
                    found.append((path.stat().st_mtime, path.parent, facts))
        return max(found, key=lambda one: one[0])[1:] if found else None

    def changed(self, facts: Mapping) -> list[str]:
        """The modules whose code is another now than in an output of which `stage.json` says `facts`."""
        return changed(facts.get("code", {}), self.code)


def stage_names(experiment: Experiment) -> list[str]:
    """The stages that run, in order: the curriculum, and before it the LLM's own where it has no weights.
    ConfigError where that is not defined.
    """
    names = experiment.trained()
    if LANGUAGE in names and LANGUAGE not in experiment.stages:
        raise ConfigError(
            f"llm '{experiment.llm.name}' is trained in the run and needs stages.{LANGUAGE}, which is not defined"
        )
    return names


def check_batches(experiment: Experiment) -> None:
    """ConfigError with every stage whose steps the experiment's devices cannot share evenly, before the first is
    trained.
    """
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

    A key holds those of the stage's settings that its outcome depends on, the seed, the data, what its objective says
    that it computes with, the source of these components (`config.code`), and the keys of the earlier stages that
    trained any of those. With `reuse_despite: [code]` a stage that is not in the cache is the newest one there that
    differs in its code only.
    """
    planned: list[PlannedStage] = []
    trained_by: dict[str, list[PlannedStage]] = {}
    for name in stage_names(experiment):
        cfg = experiment.stages[name]
        objective = cfg.objective.build()
        depends = objective.depends(experiment, cfg, tuned="llm" in cfg.trains or "llm" in trained_by)
        parents = [stage for group, stages in trained_by.items() if group in depends.groups for stage in stages]
        shared = {"precision": experiment.trainer.precision, "replay": experiment.replay if cfg.replay else None}
        watching = () if cfg.keep == "best" else ("validate", "keep")  # changes no weight
        settings = {key: value for key, value in objective.settings(cfg).items() if key not in watching}
        code = Code([type(objective), Store, Stores, *depends.code])
        meaning = fingerprint(
            name,
            settings,
            experiment.seed,
            data_fingerprint,
            shared | depends.parts,
            sorted({p.meaning for p in parents}),
        )
        key = fingerprint(meaning, code.fingerprint, sorted({parent.key for parent in parents}))
        seed = int(fingerprint(experiment.seed, name, length=8), 16)
        stage = PlannedStage(
            name, cfg, key, Path(experiment.cache) / "stages" / f"{name}-{key}", seed, meaning, code.modules
        )
        if "code" in experiment.reuse_despite and not stage.done and (earlier := stage.earlier()):
            folder, facts = earlier
            stage = replace(
                stage, key=facts["key"], folder=folder, despite=tuple(stage.changed(facts)) or ("an earlier stage",)
            )
        for group in cfg.trains:
            trained_by.setdefault(group, []).append(stage)
        planned.append(stage)
    return planned
