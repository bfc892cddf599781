"""Whether the parts of an experiment can be trained together, said before anything is built."""

from __future__ import annotations

from collections.abc import Iterator

from anyecg.config.checks import meant
from anyecg.config.schema import GROUPS, LANGUAGE, Experiment, StageConfig
from anyecg.registry import registry
from anyecg.types import ConfigError

Problem = tuple[tuple[str, ...], str]  # a key, and what is wrong
EVENLY = "change batch_size or micro_batch of the stage, or trainer.devices and trainer.num_nodes"


def untrainable(experiment: Experiment) -> Iterator[Problem]:
    """What is in the way of training an experiment whose settings make sense one by one."""
    if not experiment.corpora and not experiment.dataset:
        yield ("corpora",), "there is none to train on; name one, or in dataset the folder of a built one"
    if (
        experiment.connector
        and experiment.fusion
        and (given := getattr(experiment.connector.component, "enters", None))
        != (taken := experiment.fusion.component.enters)
    ):
        yield (
            ("connector",),
            f"'{experiment.connector.name}' gives '{given}' and the fusion '{experiment.fusion.name}' takes "
            f"'{taken}'; choose another connector or fusion",
        )
    known = known_pools(experiment)
    for name, stage in experiment.stages.items():
        for part, pool in [("tasks", pool) for pool in stage.tasks] + [("replay", pool) for pool in stage.replay]:
            if pool not in known and not experiment.dataset:
                yield ("stages", name, part, pool), f"no task has a pool called '{pool}'{meant(pool, known)}"
    if experiment.curriculum and not experiment.stages:
        yield ("stages",), f"defines none of those that curriculum names: {', '.join(experiment.curriculum)}"
    if LANGUAGE in experiment.trained() and LANGUAGE not in experiment.stages:
        yield (
            ("stages", LANGUAGE),
            f"is missing: llm '{experiment.llm.name}' is trained in the run and learns to read in this stage",
        )
    for name in dict.fromkeys(experiment.trained()):
        if name in experiment.stages:
            for key, what in _of_stage(experiment, experiment.stages[name]):
                yield ("stages", name, *key), what


def known_pools(experiment: Experiment) -> list[str]:
    """The pools of the experiment's tasks and of those that anyecg has, whether they are made or not."""
    tasks = registry("task")
    pools: list = [experiment.pools(), *(slot.component.pools for slot in (experiment.tasks or {}).values())]
    pools += [getattr(tasks[name], "pools") for name in tasks.builtin]  # noqa: B009
    return list(dict.fromkeys(pool for some in pools for pool in some))


def _of_stage(experiment: Experiment, stage: StageConfig) -> Iterator[Problem]:
    """The problems of one stage that runs, by its own keys."""
    trainer, made = experiment.trainer, experiment.pools()
    kinds = [slot.component for slot in (experiment.corpora or {}).values()]
    asked = [("tasks" if pool in stage.tasks else "replay", pool) for pool in stage.weights(experiment.replay)]
    for part, pool in asked:
        if pool not in made and pool in known_pools(experiment) and not experiment.dataset:
            yield (
                (part, pool),
                "the experiment's tasks do not make this pool; see its task under tasks, or give it no weight here",
            )
        elif pool in made and kinds and not experiment.dataset:
            task = experiment.tasks[made[pool]].component
            if not task.fed(kinds):
                yield (part, pool), f"no corpus of this experiment gives it: {task.needs}; or give it no weight here"
    if not asked:
        yield ("tasks",), f"the stage asks nothing; give a pool of questions a weight (known: {', '.join(made)})"
    if not stage.trains:
        yield ("trains",), f"the stage trains nothing (known: {', '.join(GROUPS)})"
    if (
        {"llm", "llm_weights"} <= {*stage.trains}
        and experiment.llm
        and getattr(experiment.llm.config, "tuning", None) == "full"
    ):
        yield ("trains",), "with llm.tuning: full, llm and llm_weights are the same parameters; name one"
    try:
        samples_a_pass(stage, trainer.processes)
    except ConfigError as error:
        yield ("micro_batch" if stage.micro_batch else "batch_size",), f"{error}; {EVENLY}"
    if trainer.strategy and stage.on_spike == "skip" and not trainer.strategy.component.skips:
        yield ("on_spike",), f"trainer.strategy: {trainer.strategy.name} cannot leave a step out; choose warn or stop"


def samples_a_pass(stage: StageConfig, devices: int) -> int | None:
    """Samples that a device takes at a time; None: as many as `tokens` allow. ConfigError where a step cannot be spread
    evenly.

    Where there are more devices than micro batches in a step, several share one, so that a step's samples stay the
    same; not where the objective compares the samples of a micro batch with each other.
    """
    if stage.tokens is not None:
        if stage.batch_size < devices:
            raise ConfigError(f"batch_size {stage.batch_size} has no sample for each of {devices} devices")
        return None
    together = stage.micro_batch or stage.batch_size
    whole = stage.objective is not None and stage.objective.component.compares and stage.micro_batch is not None
    micro = together if whole else min(together, stage.batch_size // devices)
    if micro == 0 or stage.batch_size % (micro * devices) or stage.batch_size % together or together % micro:
        raise ConfigError(
            f"batch_size {stage.batch_size} is not a multiple of micro_batch {stage.micro_batch or micro} times "
            f"{devices} device(s)"
        )
    return micro
