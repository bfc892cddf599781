"""What a suite will train and what it will reuse, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from anyecg.cli.suite.file import Member, Suite
from anyecg.config.fingerprint import fingerprint
from anyecg.config.schema import Experiment, StageConfig
from anyecg.data.dataset.built import open_dataset
from anyecg.evaluation.tables import MISSING, Grid
from anyecg.tasks.build import find_data
from anyecg.training.planning import PlannedStage, plan
from anyecg.training.projection import project
from anyecg.types import ConfigError


@dataclass(frozen=True)
class Step:
    """A stage of a member: `owner` is the first member that needs its output, `cached` whether an earlier run has left
    it.

    flops: of training it, as `--plan` of one experiment estimates them; None where the model has no outline.
    """

    member: Member
    stage: PlannedStage
    owner: Member
    cached: bool
    flops: float | None

    @property
    def trained(self) -> bool:
        return self.owner is self.member and not self.cached

    @property
    def visits(self) -> int:
        return sample_visits(self.stage.cfg)


def sample_visits(stage: StageConfig) -> int:
    """Samples that a stage visits: whole optimizer steps."""
    return -(-stage.samples // stage.batch_size) * stage.batch_size


def schedule(suite: Suite) -> list[Step]:
    """Every stage of every member, in the order in which the suite runs them."""
    steps: list[Step] = []
    owners: dict[Path, Member] = {}
    known: dict[str, tuple[str, bool]] = {}
    estimates: dict[str, dict[str, float]] = {}  # of each experiment; another seed costs the same
    flops: dict[Path, float | None] = {}
    for member in suite.members:
        settings = _data_settings(member.experiment)
        if settings not in known:
            known[settings] = data_key(member.experiment)
        if member.experiment.name not in estimates:
            estimates[member.experiment.name] = _estimated(member.experiment)
        (key, built), estimate = known[settings], estimates[member.experiment.name]
        for stage in plan(member.experiment, key):
            owner = owners.setdefault(stage.folder, member)
            cost = flops.setdefault(stage.folder, estimate.get(stage.name))
            steps.append(Step(member, stage, owner, built and stage.done, cost))
    return steps


def _estimated(experiment: Experiment) -> dict[str, float]:
    """Stage -> FLOPs of training it; empty where the model has no outline."""
    try:
        return {
            stage.name: stage.samples * (stage.cost.flops + stage.cost.recomputed)
            for stage in project(experiment).stages
        }
    except (ConfigError, NotImplementedError):
        return {}


def data_key(experiment: Experiment) -> tuple[str, bool]:
    """The fingerprint of an experiment's data and True; a stand-in and False where the data is not built yet."""
    if experiment.dataset:
        return open_dataset(experiment.dataset, experiment.input_spec.fs).fingerprint, True
    found = find_data(
        experiment.corpora, experiment.tasks, experiment.cache, experiment.tasks_seed, experiment.input_spec.fs
    )
    return (found.fingerprint, True) if found else (_data_settings(experiment), False)


def _data_settings(experiment: Experiment) -> str:
    return fingerprint(
        experiment.dataset,
        experiment.corpora,
        experiment.tasks,
        experiment.tasks_seed,
        experiment.cache,
        experiment.input_spec.fs,
    )


def saved(steps: Iterable[Step], cost: Callable[[Step], float] = lambda step: step.visits) -> float:
    """Share of all training that is saved by training a shared stage once, 0 to 1; cost: of a stage, its sample
    visits unless said.
    """
    steps = list(steps)
    return 1 - sum(cost(step) for step in steps if step.owner is step.member) / sum(map(cost, steps))


def plan_grids(suite: Suite, steps: Sequence[Step]) -> list[Grid]:
    """A row a stage of each member, then what the whole suite trains and saves."""
    rows = []
    for number, member in enumerate(suite.members, start=1):
        for step in (step for step in steps if step.member is member):
            rows.append(
                [
                    f"{number} of {len(suite.members)}: {member.told}",
                    step.stage.name,
                    f"{step.visits:,}",
                    _shown([step]),
                    step.stage.key,
                    _fate(step),
                ]
            )
    return [Grid("Stages", ["run", "stage", "sample visits", "FLOPs", "key", ""], rows), totals(steps, ahead=True)]


def _fate(step: Step) -> str:
    if step.cached:
        return "in the cache already"
    return "to be trained" if step.trained else f"shared with {step.owner.told}"


def totals(steps: Sequence[Step], ahead: bool = False) -> Grid:
    """What the suite trains and saves, in stages, sample visits and FLOPs; ahead: and how much of it is still to be
    done.
    """
    kinds = {
        "if each run trained all of its stages": list(steps),
        "with each shared stage trained once": [step for step in steps if step.owner is step.member],
    }
    if ahead:
        kinds["in the cache already"] = [step for step in steps if step.owner is step.member and step.cached]
        kinds["to be trained"] = [step for step in steps if step.trained]
    rows = [
        [name, str(len(kind)), f"{sum(step.visits for step in kind):,}", _shown(kind)] for name, kind in kinds.items()
    ]
    shares = [f"{saved(steps):.0%} of the sample visits"]
    if all(step.flops for step in steps):
        shares.append(
            f"{saved(steps, lambda step: step.flops):.0%} of the training's FLOPs (estimated as by --plan of one "
            f"experiment)"
        )
    return Grid("Training", ["", "stages", "sample visits", "FLOPs"], rows, [f"sharing saves {' and '.join(shares)}"])


def _shown(steps: Sequence[Step]) -> str:
    return f"{sum(step.flops for step in steps):.1e}" if all(step.flops is not None for step in steps) else MISSING
