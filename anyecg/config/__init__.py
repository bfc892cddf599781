"""YAML files become one validated, read-only experiment: base chains, slots, overrides, every error at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from anyecg.config import resolvers, shipped, validation
from anyecg.config.merge import Layer, alike, chain, merge, override_layer, read, with_profiles
from anyecg.config.schema import Experiment, to_dict
from anyecg.config.trainable import untrainable
from anyecg.config.validation import Problem, lines
from anyecg.types import ConfigError

__all__ = ["build", "dump", "fill", "load", "override_layer", "read", "to_dict"]

resolvers.register()


def load(
    path: str | Path, overrides: Iterable[str] = (), common: Iterable[Layer] = (), trained: bool = True
) -> Experiment:
    """Read an experiment file with its `base:` chain, its scale profile and `key=value` overrides.

    Merged in this order, later wins: the recipe at the root of the chain, `scale/SCALE.yaml` beside it and, if there
    is one, `scale/SCALE+LLM.yaml` (what that LLM needs there, fewer steps say), the files further down the chain,
    `common` (what a suite says of all its experiments), the overrides. Where the root names a component, a profile does
    not name another. A stage that is `like` another then has that one's settings, but for those that it gives itself.
    trained: whether the experiment is to be trained, not only read for its data. Raises ConfigError with
    every problem found, each with file and key.
    """
    scale, layers = with_profiles(chain(shipped.find(path)), [*common, *map(override_layer, overrides)])
    merged, origins = {}, {}
    for origin, values in layers:
        merged = merge(merged, values, (), origin, origins)
    merged["scale"] = scale
    try:
        merged["stages"] = alike(merged.get("stages") or {})
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        merged = OmegaConf.to_container(OmegaConf.create(merged), resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        raise ConfigError(f"{path}: {str(error).splitlines()[0]} (key {getattr(error, 'full_key', '?')})") from error
    problems: list[Problem] = []
    experiment = validation.fill(Experiment, merged, (), problems)
    if trained and experiment is not None:
        told = {where for where, _ in problems}  # what follows from these is no news
        problems += [
            (where, what)
            for where, what in untrainable(experiment)
            if not any(where[:n] in told for n in range(1, len(where) + 1))
        ]
    if problems:
        raise ConfigError(
            "\n".join([f"{path}: {len(problems)} problem(s) in the configuration:", *lines(problems, origins)])
        )
    return experiment


def build(cls: type, values: Mapping, source: str) -> Any:
    """An instance of a dataclass of settings from plain values; ConfigError with every problem, each with `source`
    and key.
    """
    problems: list[Problem] = []
    built = validation.fill(cls, values, (), problems)
    if problems:
        raise ConfigError("\n".join([f"{source}: {len(problems)} problem(s):", *lines(problems, {(): source})]))
    return built


def fill(cls: type, layers: Iterable[Layer]) -> tuple[Any, list[str]]:
    """An instance of the dataclass `cls` from layers, later wins, and no problems; or None and every problem, a line
    each.
    """
    merged, origins, problems = {}, {}, []
    for origin, values in layers:
        merged = merge(merged, values, (), origin, origins)
    built = validation.fill(cls, merged, (), problems)
    return (None if problems else built), lines(problems, origins)


def dump(experiment: Experiment) -> str:
    """The resolved experiment as YAML; written to a file, `load` gives the experiment back."""
    return yaml.safe_dump(to_dict(experiment), sort_keys=False)
