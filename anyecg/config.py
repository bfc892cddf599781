"""YAML files become one validated, read-only experiment: base chains, slots, overrides, every error at once."""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from anyecg import interpolation
from anyecg.experiment import Experiment, Slot
from anyecg.types import ConfigError

COMMAND_LINE = "command line"
Layer = tuple[str, dict]  # where values come from, for messages, and the values

interpolation.register()


def load(path: str | Path, overrides: Iterable[str] = (), common: Iterable[Layer] = ()) -> Experiment:
    """Read an experiment file with its `base:` chain, its scale profile and `key=value` overrides.

    Merged in this order, later wins: the recipe at the root of the chain, `scale/SCALE.yaml` beside it and, if there
    is one, `scale/SCALE+LLM.yaml` (what that LLM needs there, fewer steps say), the files further down the chain,
    `common` (what a suite says of all its experiments), the overrides. Raises ConfigError with every problem found,
    each with file and key.
    """
    layers = [*_chain(Path(path)), *common, *map(override_layer, overrides)]
    root = Path(layers[0][0])
    scale = next((values["scale"] for _, values in reversed(layers) if "scale" in values), "cpu")
    if (root.parent / "scale").is_dir():
        layers[1:1] = _scale_profiles(root, scale, layers)
    merged, origins = {}, {}
    for origin, values in layers:
        merged = _merge(merged, values, (), origin, origins)
    merged["scale"] = scale
    try:
        merged = OmegaConf.to_container(OmegaConf.create(merged), resolve=True)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{path}: {str(error).splitlines()[0]} (key {getattr(error, 'full_key', '?')})") from error
    errors: list[str] = []
    experiment = _build(Experiment, merged, (), origins, errors)
    if errors:
        raise ConfigError("\n".join([f"{path}: {len(errors)} problem(s) in the configuration:", *errors]))
    return experiment


def build(cls: type, values: Mapping, source: str) -> Any:
    """An instance of a dataclass of settings from plain values; ConfigError with every problem, each with `source` and key."""
    errors: list[str] = []
    built = _build(cls, values, (), {(): source}, errors)
    if errors:
        raise ConfigError("\n".join([f"{source}: {len(errors)} problem(s):", *errors]))
    return built


def override_layer(override: str) -> Layer:
    """A `key=value` of the command line; one layer each, so that `llm=smollm2 llm.chat=plain` fills a slot, then a key of it."""
    if "=" not in override:
        raise ConfigError(f"{COMMAND_LINE}: cannot read '{override}'; write key=value")
    return COMMAND_LINE, OmegaConf.to_container(OmegaConf.from_dotlist([override]))


def fill(cls: type, layers: Iterable[Layer]) -> tuple[Any, list[str]]:
    """An instance of the dataclass `cls` from layers, later wins, and no problems; or None and every problem, a line each."""
    merged, origins, errors = {}, {}, []
    for origin, values in layers:
        merged = _merge(merged, values, (), origin, origins)
    return _build(cls, merged, (), origins, errors), errors


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


def _chain(path: Path) -> list[Layer]:
    """The files from the root of the `base:` chain down to `path`, each with its values."""
    chain: list[Layer] = []
    seen: set[Path] = set()
    while path is not None:
        if path.resolve() in seen:
            raise ConfigError(f"{path}: its base chain comes back to itself")
        seen.add(path.resolve())
        values = read(path)
        base = values.pop("base", None)
        chain.insert(0, (str(path), values))
        path = path.parent / base if base else None
    return chain


def read(path: Path) -> dict:
    """The keys and values of a YAML file; ConfigError, with a file of a like name, if there are none to be read."""
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, near, n=1)
        raise ConfigError(f"{path}: no such file" + (f"; did you mean {path.parent / close[0]}?" if close else "")) from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: an experiment is a mapping of keys to values, not a {type(values).__name__}")
    return values


def _scale_profiles(root: Path, scale: str, layers: list[Layer]) -> list[Layer]:
    folder = root.parent / "scale"
    path = folder / f"{scale}.yaml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in folder.glob("*.yaml") if "+" not in p.stem))
        raise ConfigError(f"scale '{scale}': no file {path} (known: {known})")
    profiles = [(str(path), read(path))]
    filled = [values["llm"] for _, values in [layers[0], *profiles, *layers[1:]] if values.get("llm")]
    names = [llm if isinstance(llm, str) else llm["name"] for llm in filled if isinstance(llm, str) or "name" in llm]
    companion = folder / f"{scale}+{names[-1].replace('/', '_')}.yaml" if names else None
    return profiles + ([(str(companion), read(companion))] if companion and companion.exists() else [])


def _slot_of(path: tuple[str, ...]) -> str | None:
    """The default component name if `path` is a slot ("" if it has none), else None."""
    for f in fields(Experiment):
        if "slot" in f.metadata and path[:1] == (f.name,):
            if f.metadata["many"]:
                return path[1] if len(path) == 2 else None
            return (f.default or "") if len(path) == 1 else None
    return None


def _merge(old: Any, new: Any, path: tuple[str, ...], origin: str, origins: dict) -> Any:
    """Deep merge; a slot given as a word is its name, and a changed name replaces the slot whole."""
    default = _slot_of(path)
    if default is not None and isinstance(new, str):
        new = {"name": new}
    if not isinstance(new, dict):
        origins[path] = origin
        return new
    if default is not None and isinstance(old, dict) and new.get("name", old.get("name", default)) != old.get("name", default):
        old = {}
    merged = dict(old) if isinstance(old, dict) else {}
    origins.setdefault(path, origin)
    for key, value in new.items():
        merged[str(key)] = _merge(merged.get(str(key)), value, (*path, str(key)), origin, origins)
    return merged


def _origin(path: tuple[str, ...], origins: dict) -> str:
    while path and path not in origins:
        path = path[:-1]
    return origins.get(path, "defaults")


def _resolve(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _build(cls: type, values: Any, path: tuple[str, ...], origins: dict, errors: list[str]) -> Any:
    """An instance of the dataclass `cls` from plain values, or None with the problems added to `errors`."""

    def complain(where: tuple[str, ...], what: str) -> None:
        errors.append(f"  {_origin(where, origins)}: {'.'.join(where) or '(top level)'}: {what}")

    if not isinstance(values, Mapping):
        complain(path, f"expected keys and values, got {values!r}")
        return None
    before = len(errors)
    hints = typing.get_type_hints(cls)
    known = {f.name: f for f in fields(cls)}
    for key in values:
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            complain((*path, key), "unknown key" + (f"; did you mean '{close[0]}'?" if close else f" (known: {', '.join(known)})"))
    built = {}
    for name, f in known.items():
        here = (*path, name)
        value = values.get(name, f.default)
        hint = hints[name]
        if "slot" in f.metadata:
            make = partial(_build_slot, f.metadata["slot"], origins=origins, errors=errors, complain=complain)
            if f.metadata["many"]:
                built[name] = {k: make(v, path=(*here, k), default=k) for k, v in (value or {}).items() if v is not None}
            else:
                built[name] = make(value, path=here, default=f.default)
        elif "settings" in f.metadata:
            built[name] = _build(_resolve(f.metadata["settings"]), value or {}, here, origins, errors)
        elif is_dataclass(hint):
            built[name] = _build(hint, values.get(name) or {}, here, origins, errors)
        elif typing.get_origin(hint) is dict and is_dataclass(typing.get_args(hint)[1]):
            item = typing.get_args(hint)[1]
            built[name] = {k: _build(item, v, (*here, k), origins, errors) for k, v in (value or {}).items() if v is not None} if name in values else {}
        elif name in values:
            built[name] = _leaf(name, hint, value, partial(complain, here))
            for told in built[name] or () if "names" in f.metadata else ():
                try:
                    _resolve(f.metadata["names"]).target(told)
                except ConfigError as error:
                    complain(here, str(error))
        elif f.default is MISSING and f.default_factory is MISSING:
            complain(here, "is missing and has no default")
    if len(errors) > before:
        return None
    try:
        return cls(**built)
    except (ValueError, ConfigError) as error:
        for line in str(error).splitlines():
            key, _, what = line.partition(": ")
            keys = key.split(".")
            complain(*(((*path, *keys), what) if keys[0] in known else (path, line)))
        return None


def _leaf(name: str, hint: Any, value: Any, complain) -> Any:
    """`value` converted to the type `hint` by OmegaConf's own rules."""
    holder = dataclasses.make_dataclass("Leaf", [(name, hint)])
    try:
        typed = OmegaConf.merge(OmegaConf.structured(holder), {name: value})
        return OmegaConf.to_container(typed)[name]
    except OmegaConfBaseException as error:
        complain(str(error).splitlines()[0])
        return None


def _build_slot(registry: str, value: Any, *, path: tuple[str, ...], default: str | None, origins: dict, errors: list[str], complain) -> Slot | None:
    value = {"name": value} if isinstance(value, str) or value is None else dict(value)
    name = value.pop("name", None) or default
    if not isinstance(name, str):
        complain(path, "needs a name")
        return None
    try:
        component = _resolve(registry)[name]
    except ConfigError as error:
        complain((*path, "name"), str(error))
        return None
    config = _build(component.Config, value, path, origins, errors)
    return None if config is None else Slot(name, component, config)
