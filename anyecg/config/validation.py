"""Plain values become validated, read-only dataclasses; every problem is found, each with its key."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from anyecg.config.checks import SettingsError, meant
from anyecg.config.schema import Slot, types_of
from anyecg.registry import registry
from anyecg.types import ConfigError

Key = tuple[str, ...]
Problem = tuple[Key, str]  # a key, and what is wrong with its value
PLAIN = (bool, int, float)  # what OmegaConf leaves as it is where it is asked for
BAD = object()  # in place of a value that cannot be used


def fill(cls: type, values: Any, path: Key, problems: list[Problem]) -> Any:
    """An instance of the dataclass `cls` from plain values; what is wrong with them is added to `problems`.

    `cls.MOVED`, where a dataclass has it, says of a key that is no more, and of the keys in it, where they are now.
    path: of the values. What has a problem is at its default in the instance, so that what depends on it is still
    looked at; there may be none (None), and it is of no other use.
    """
    if not isinstance(values, Mapping):
        problems.append((path, f"expected keys and values, got {values!r}"))
        values = {}
    hints = types_of(cls)
    known = {f.name: f for f in fields(cls)}
    for key in (key for key in values if key not in known):
        problems += [((*path, *where), f"is now {new}") for where, new in _moved(cls, key, values[key])] or [
            ((*path, str(key)), f"unknown key{meant(key, known)}")
        ]
    built = {name: _field(f, hints[name], values, (*path, name), problems) for name, f in known.items()}
    return _instance(cls, {name: value for name, value in built.items() if value is not BAD}, path, problems)


def _moved(cls: type, key: str, value: Any) -> list[tuple[Key, str]]:
    """(key, the key that took its place) of an unknown key that `cls.MOVED` names, or of each key inside it; nothing
    where it names none.

    `MOVED`: old key -> new key, or -> {key inside it: new key}, with "" for the old key itself.
    """
    new = getattr(cls, "MOVED", {}).get(key)
    if new is None:
        return []
    inside = value if isinstance(value, Mapping) else {}
    if isinstance(new, str):
        return [((key, str(name)), f"{new}.{name}") for name in inside] or [((key,), new)]
    return [((key, str(name)), new.get(name, new[""])) for name in inside] or [((key,), new[""])]


def lines(problems: Iterable[Problem], origins: Mapping[Key, str]) -> list[str]:
    """The problems as a message tells them: where the value comes from, its key, what is wrong. origins: key ->
    where from.
    """
    told = []
    for path, what in problems:
        nearest = next((path[:n] for n in range(len(path), -1, -1) if path[:n] in origins), None)
        told.append(f"  {origins.get(nearest, 'defaults')}: {'.'.join(path) or '(top level)'}: {what}")
    return told


def _field(f: dataclasses.Field, hint: Any, values: Mapping, here: Key, problems: list[Problem]) -> Any:
    """The value of a field; BAD where it has to stay at its default."""
    value = values.get(f.name)
    if "slot" in f.metadata:
        if not f.metadata["many"]:
            return _slot(f.metadata["slot"], value, here, f.default, problems)
        items = {**{key: {} for key in f.metadata["default"]}, **(value if isinstance(value, Mapping) else {})}
        _items(value, here, problems)
        made = {
            str(k): _slot(f.metadata["slot"], v, (*here, str(k)), str(k), problems)
            for k, v in items.items()
            if v is not None
        }
        return {name: slot for name, slot in made.items() if slot is not None}
    if is_dataclass(hint):
        return fill(hint, {} if value is None else value, here, problems)
    if typing.get_origin(hint) is dict and is_dataclass(part := typing.get_args(hint)[1]):
        made = {str(k): fill(part, v, (*here, str(k)), problems) for k, v in _items(value, here, problems)}
        return {name: item for name, item in made.items() if item is not None}
    if f.name in values:
        return _leaf(f, hint, value, here, problems)
    if f.default is MISSING and f.default_factory is MISSING:
        problems.append((here, "is missing and has no default"))
    return BAD


def _instance(cls: type, built: dict, path: Key, problems: list[Problem]) -> Any:
    """`cls(**built)`, told what its own checks find; without what they find where there is something."""
    try:
        return cls(**built)
    except (ValueError, ConfigError) as error:
        found = list(_told(cls, error))
    except TypeError:  # a value that has no default is missing, which was told; anything else is a bug
        if all(f.name in built or f.default is not MISSING or f.default_factory is not MISSING for f in fields(cls)):
            raise
        return None
    problems += [((*path, *key), what) for key, what in found]
    wrong = {name for key, _ in found for name in key[:1]}
    try:
        return cls(**{name: value for name, value in built.items() if name not in wrong}) if wrong else None
    except (ValueError, ConfigError, TypeError):
        return None


def _told(cls: type, error: Exception) -> Iterator[Problem]:
    """What a dataclass's own checks say, by its keys; an error that is no SettingsError says a problem a line, after
    `key: ` where it has one.
    """
    if isinstance(error, SettingsError):
        yield from ((tuple(key.split(".")), what) for key, what in error.problems)
        return
    known = {f.name for f in fields(cls)}
    for line in str(error).splitlines():
        key, _, what = line.partition(": ")
        keys = tuple(key.split("."))
        yield (keys, what) if keys[0] in known else ((), line)


def _items(value: Any, here: Key, problems: list[Problem]) -> list[tuple[Any, Any]]:
    """The named parts of a mapping that are there: one that is null is left out."""
    if value is not None and not isinstance(value, Mapping):
        problems.append((here, f"expected names, each with keys and values, got {value!r}"))
        return []
    return [(name, item) for name, item in (value or {}).items() if item is not None]


@cache
def _holder(name: str, hint: Any) -> DictConfig:
    """What converts a value to the type `hint`; a merge leaves it as it is."""
    return OmegaConf.structured(dataclasses.make_dataclass("Leaf", [(name, hint)]))


def _leaf(f: dataclasses.Field, hint: Any, value: Any, here: Key, problems: list[Problem]) -> Any:
    """`value` converted to the type `hint` by OmegaConf's own rules."""
    if type(value) is hint and hint in PLAIN:
        return value
    try:
        typed = OmegaConf.merge(_holder(f.name, hint), {f.name: value})
        value = OmegaConf.to_container(typed, throw_on_missing=True)[f.name]
    except OmegaConfBaseException as error:
        problems.append((here, str(error).splitlines()[0]))
        return BAD
    unknown = []
    for name in value or () if "names" in f.metadata else ():
        try:
            registry(f.metadata["names"]).target(name)
        except ConfigError as error:
            unknown.append((here, str(error)))
    problems += unknown
    return BAD if unknown else value


def _slot(kind: str, value: Any, here: Key, default: str | None, problems: list[Problem]) -> Slot | None:
    """The component that a value names, with its settings; None where it cannot be had."""
    if value is not None and not isinstance(value, (str, Mapping)):
        problems.append((here, f"expected the name of a component, or keys and values, got {value!r}"))
        return None
    settings = {} if value is None else {"name": value} if isinstance(value, str) else dict(value)
    name = settings.pop("name", None) or default
    try:
        if not isinstance(name, str):
            raise ConfigError(f"expected the name of a component, got {name!r}")
        component = registry(kind)[name]
        if not is_dataclass(getattr(component, "Config", None)):
            raise ConfigError(f"'{name}' is no component: it has no dataclass Config of its settings")
    except ConfigError as error:
        problems.append(((*here, "name"), str(error)))
        return None
    config = fill(component.Config, settings, here, problems)
    return None if config is None else Slot(name, component, config)
