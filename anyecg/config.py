"""YAML files become one validated, read-only experiment: base chains, slots, overrides, every error at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from anyecg import filling, interpolation
from anyecg.experiment import Experiment, Slot
from anyecg.filling import Problem, lines
from anyecg.layers import Layer, chain, merge, override_layer, read, with_profiles
from anyecg.trainable import untrainable
from anyecg.types import ConfigError

__all__ = ["build", "dump", "fill", "load", "override_layer", "read", "to_dict"]

interpolation.register()


def load(path: str | Path, overrides: Iterable[str] = (), common: Iterable[Layer] = (), trained: bool = True) -> Experiment:
    """Read an experiment file with its `base:` chain, its scale profile and `key=value` overrides.

    Merged in this order, later wins: the recipe at the root of the chain, `scale/SCALE.yaml` beside it and, if there
    is one, `scale/SCALE+LLM.yaml` (what that LLM needs there, fewer steps say), the files further down the chain,
    `common` (what a suite says of all its experiments), the overrides. Where the root names a component, a profile does
    not name another. trained: whether the experiment is to be trained, not only read for its data. Raises ConfigError with
    every problem found, each with file and key.
    """
    scale, layers = with_profiles(chain(Path(path)), [*common, *map(override_layer, overrides)])
    merged, origins = {}, {}
    for origin, values in layers:
        merged = merge(merged, values, (), origin, origins)
    merged["scale"] = scale
    try:
        merged = OmegaConf.to_container(OmegaConf.create(merged), resolve=True)
    except (OmegaConfBaseException, RecursionError) as error:
        raise ConfigError(f"{path}: {str(error).splitlines()[0]} (key {getattr(error, 'full_key', '?')})") from error
    problems: list[Problem] = []
    experiment = filling.fill(Experiment, merged, (), problems)
    if trained and experiment is not None:
        told = {where for where, _ in problems}  # what follows from these is no news
        problems += [(where, what) for where, what in untrainable(experiment) if not any(where[:n] in told for n in range(1, len(where) + 1))]
    if problems:
        raise ConfigError("\n".join([f"{path}: {len(problems)} problem(s) in the configuration:", *lines(problems, origins)]))
    return experiment


def build(cls: type, values: Mapping, source: str) -> Any:
    """An instance of a dataclass of settings from plain values; ConfigError with every problem, each with `source` and key."""
    problems: list[Problem] = []
    built = filling.fill(cls, values, (), problems)
    if problems:
        raise ConfigError("\n".join([f"{source}: {len(problems)} problem(s):", *lines(problems, {(): source})]))
    return built


def fill(cls: type, layers: Iterable[Layer]) -> tuple[Any, list[str]]:
    """An instance of the dataclass `cls` from layers, later wins, and no problems; or None and every problem, a line each."""
    merged, origins, problems = {}, {}, []
    for origin, values in layers:
        merged = merge(merged, values, (), origin, origins)
    built = filling.fill(cls, merged, (), problems)
    return (None if problems else built), lines(problems, origins)


def to_dict(value: Any) -> Any:
    """Plain containers of an experiment (or a part of one), as saved in a run's `config.yaml`."""
    if isinstance(value, Slot):
        return {"name": value.name, **to_dict(value.config)}
    if is_dataclass(value):
        return {f.name: to_dict(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): to_dict(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_dict(v) for v in value]
    return value


def dump(experiment: Experiment) -> str:
    """The resolved experiment as YAML; written to a file, `load` gives the experiment back."""
    return yaml.safe_dump(to_dict(experiment), sort_keys=False)
