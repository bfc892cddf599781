"""The suite file: experiments and seeds, each member resolved, every error at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from anyecg import config
from anyecg.config import shipped
from anyecg.config.checks import meant
from anyecg.config.fingerprint import folder_name
from anyecg.config.schema import Experiment
from anyecg.evaluation.comparison import flattened
from anyecg.types import ConfigError


@dataclass(frozen=True)
class FigureConfig:
    """Runs of a suite side by side, or along the size of their LLM."""

    runs: list[str]  # names of experiments of the suite, in the figure's order
    task: str = ""  # that they answered (empty: the first that all of them did)
    metrics: list[str] = field(default_factory=list)  # a panel each (empty: the task's primary and those tables show)
    group: str = ""  # of one of the task's breakdowns, such as a corpus (empty: all questions)
    over: str = ""  # empty: bars; "parameters": a line over the parameters of the LLM


@dataclass(frozen=True)
class SuiteConfig:
    """A suite file. The first experiment is the one that the others are compared with."""

    name: str
    suite: list[str]  # experiment files, from the suite file's folder
    description: str = ""
    seeds: list[int] = field(default_factory=lambda: [0])
    overrides: dict[str, Any] = field(default_factory=dict)  # keys of an experiment, for every one of them
    # experiments asked other questions than the first, or in other words: compared with none, in figures with all
    apart: list[str] = field(default_factory=list)
    figures: dict[str, FigureConfig] = field(default_factory=dict)  # name of a file -> runs to draw in one figure
    published: bool = False  # whether the published tables are printed, with a row for each run and view above theirs


@dataclass(frozen=True, eq=False)
class Member:
    """An experiment of the suite with one seed; `folder` is the name of its run, the one it has when it is run
    alone.
    """

    experiment: Experiment
    folder: str

    @property
    def told(self) -> str:
        return f"{self.experiment.name}, seed {self.experiment.seed}"


@dataclass(frozen=True)
class Suite:
    """A suite with every member resolved, the first seed's members first; `folder` is where its table goes."""

    cfg: SuiteConfig
    members: tuple[Member, ...]
    folder: Path

    def dump(self) -> str:
        """The suite as YAML, with the folders of its runs."""
        return yaml.safe_dump(
            config.to_dict(self.cfg) | {"runs": [member.folder for member in self.members]}, sort_keys=False
        )


def is_suite(path: str | Path) -> bool:
    """Whether a file is a suite: it has a key `suite`. ConfigError if it cannot be read."""
    return "suite" in config.read(shipped.find(path))


def load(path: str | Path, overrides: Sequence[str] = ()) -> Suite:
    """Read a suite file; keys of `SuiteConfig` among the overrides change the suite, all others every experiment.

    Raises ConfigError with every problem of the suite, or of all its experiments, each with file and key.
    """
    path = shipped.find(path)
    layers = [config.override_layer(override) for override in overrides]
    own = [next(iter(values)) in SuiteConfig.__dataclass_fields__ for _, values in layers]
    cfg, errors = config.fill(
        SuiteConfig, [(str(path), config.read(path)), *(layer for layer, mine in zip(layers, own) if mine)]
    )
    if cfg is not None:
        errors = _complaints(path, cfg)
    errors += [
        f"  {origin}: seed: a suite has seeds; write seeds=[{values['seed']}]"
        for origin, values in layers
        if "seed" in values
    ]
    if errors:
        raise ConfigError("\n".join([f"{path}: {len(errors)} problem(s) in the suite:", *errors]))
    told = [override for override, mine in zip(overrides, own) if not mine]
    members = _members(path, cfg, told)
    seeds = [f"seeds={','.join(map(str, cfg.seeds))}"] if any("seeds" in values for _, values in layers) else []
    return Suite(cfg, members, Path(members[0].experiment.output) / folder_name(cfg.name, [*told, *seeds]))


def _complaints(path: Path, cfg: SuiteConfig) -> list[str]:
    found = []
    if len(set(cfg.suite)) < max(2, len(cfg.suite)):
        found.append(f"  {path}: suite: name at least two experiments, each once")
    if not cfg.seeds or len(set(cfg.seeds)) < len(cfg.seeds):
        found.append(f"  {path}: seeds: give at least one, each once")
    if "seed" in cfg.overrides:
        found.append(f"  {path}: overrides.seed: a suite has seeds; write seeds: [{cfg.overrides['seed']}]")
    return found


def _unknown(path: Path, cfg: SuiteConfig, names: Sequence[str]) -> list[str]:
    """What `apart` and `figures` name that is none of the experiments."""
    named = {"apart": cfg.apart} | {f"figures.{name}.runs": figure.runs for name, figure in cfg.figures.items()}
    found = [
        f"  {path}: {key}: no experiment of the suite is called '{run}'{meant(run, names)}"
        for key, runs in named.items()
        for run in runs
        if run not in names
    ]
    found += [f"  {path}: apart: the first experiment is what others are compared with"] * (names[0] in cfg.apart)
    found += [
        f"  {path}: figures.{name}.over: empty or 'parameters', not '{figure.over}'"
        for name, figure in cfg.figures.items()
        if figure.over not in ("", "parameters")
    ]
    return found


def _members(path: Path, cfg: SuiteConfig, overrides: list[str]) -> tuple[Member, ...]:
    """Every experiment with every seed; ConfigError with the problems of all, those that they share once."""
    common = [(f"{path}, overrides", cfg.overrides)] if cfg.overrides else []
    told = [*(f"{key}={value}" for key, value in flattened(cfg.overrides).items() if cfg.overrides), *overrides]
    by_seed: dict[int, list[Member]] = {seed: [] for seed in cfg.seeds}
    errors: list[str] = []
    for name in cfg.suite:
        try:
            plain = config.load(path.parent / name, overrides, common)
            for seed in cfg.seeds:
                own = plain.seed == seed
                experiment = plain if own else config.load(path.parent / name, [*overrides, f"seed={seed}"], common)
                by_seed[seed].append(
                    Member(experiment, folder_name(experiment.name, told if own else [*told, f"seed={seed}"]))
                )
        except ConfigError as error:
            head, *lines = str(error).splitlines()
            errors += lines or [f"  {head}"]
    members = tuple(member for members in by_seed.values() for member in members)
    names = [member.experiment.name for member in by_seed[cfg.seeds[0]]]
    if not errors:
        errors += _unknown(path, cfg, names)
    errors += [
        f"  {path}: suite: two things are called '{name}'; give each its own name"
        for name in {*names}
        if [cfg.name, *names].count(name) > 1
    ]
    if errors:
        errors = list(dict.fromkeys(errors))
        raise ConfigError("\n".join([f"{path}: {len(errors)} problem(s) in the experiments of the suite:", *errors]))
    return members
