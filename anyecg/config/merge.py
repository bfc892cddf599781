"""The layers an experiment is merged from: the files of its `base:` chain, a profile of its scale, overrides."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from anyecg.config.checks import meant
from anyecg.config.schema import Experiment, types_of
from anyecg.types import ConfigError

COMMAND_LINE = "command line"
Layer = tuple[str, dict]  # where values come from, for messages, and the values


class _Loader(yaml.SafeLoader):
    """YAML in which a key that is given twice is an error, not the second value."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        seen = set()
        for key_node, _ in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key '{key}' is given twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


def read(path: Path) -> dict:
    """The keys and values of a YAML file; ConfigError, with a file of a like name, if there are none to be read."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except FileNotFoundError:
        near = sorted(p.name for p in path.parent.glob("*.yaml")) if path.parent.is_dir() else []
        close = difflib.get_close_matches(path.name, near, n=1)
        raise ConfigError(
            f"{path}: no such file" + (f"; did you mean {path.parent / close[0]}?" if close else "")
        ) from None
    except IsADirectoryError:
        inside = f"; give a file of it, such as {path / 'config.yaml'}" if (path / "config.yaml").exists() else ""
        raise ConfigError(f"{path}: is a folder, not an experiment file{inside}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a text file ({error})") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        raise ConfigError(f"{path}: not valid YAML: {error}") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: an experiment is a mapping of keys to values, not a {type(values).__name__}")
    return values


def chain(path: Path) -> list[Layer]:
    """The files from the root of the `base:` chain down to `path`, each with its values."""
    files: list[Layer] = []
    seen: set[Path] = set()
    while path is not None:
        if path.resolve() in seen:
            raise ConfigError(f"{path}: its base chain comes back to itself")
        seen.add(path.resolve())
        try:
            values = read(path)
        except ConfigError as error:
            if not files:
                raise
            raise ConfigError(f"{files[0][0]}: base: {error}") from error
        base = values.pop("base", None)
        if base is not None and not isinstance(base, str):
            raise ConfigError(f"{path}: base: the name of one experiment file, not {base!r}")
        files.insert(0, (str(path), values))
        path = path.parent / base if base else None
    return files


def override_layer(override: str) -> Layer:
    """A `key=value` of the command line; one layer each, so that `llm=smollm2 llm.chat=plain` fills a slot, then a
    key of it.
    """
    if not override.partition("=")[1] or not override.partition("=")[0].strip():
        raise ConfigError(f"{COMMAND_LINE}: cannot read '{override}'; write key=value")
    try:
        values = OmegaConf.to_container(OmegaConf.from_dotlist([override]))
    except (OmegaConfBaseException, yaml.YAMLError, ValueError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{COMMAND_LINE}: cannot read '{override}' ({str(error).splitlines()[0]}); write key=value"
        ) from error
    if (glued := _glued(values)) is not None:
        key, _, value = glued.partition(":")
        raise ConfigError(f"{COMMAND_LINE}: '{override}': YAML wants a blank after the colon: '{key}: {value}'")
    return COMMAND_LINE, values


def _glued(values: Any) -> str | None:
    """A key like "report:1" without a value, which YAML makes of `{report:1}`; None where there is none."""
    if not isinstance(values, Mapping):
        return None
    for key, value in values.items():
        if value is None and isinstance(key, str) and re.fullmatch(r"[\w.]+:[\w.+-]+", key):
            return key
        if (found := _glued(value)) is not None:
            return found
    return None


def with_profiles(files: Sequence[Layer], above: Sequence[Layer]) -> tuple[str, list[Layer]]:
    """The scale, and all layers in their order: the root of the chain, the scale's profiles, the other files, those
    `above`.

    A profile says nothing of a slot that the root fills with another component than the profile means. A recipe may
    bring profiles of its own in `scale/NAME/`, NAME being its file's, and may fill any slot there otherwise: those of
    the root take the place of the general ones, those of a file further down the chain come right after it.
    """
    root, own = Path(files[0][0]), files[0][1]
    scale = _scale([*files, *above])
    folder = root.parent / "scale"
    if (folder / root.stem).is_dir():
        folder, own = folder / root.stem, {}
    if not folder.is_dir():
        if any("scale" in values for _, values in above) and scale != _scale(files):
            raise ConfigError(
                f"scale '{scale}': there is no folder {folder} with profiles, so {root} is as it is at any scale; "
                f"leave scale out, "
                "or put experiments/scale beside the file"
            )
        return scale, [*files, *above]
    path = folder / f"{scale}.yaml"
    if not path.exists():
        known = sorted(p.stem for p in folder.glob("*.yaml") if "+" not in p.stem)
        close = difflib.get_close_matches(str(scale), known, n=1)
        raise ConfigError(
            f"scale '{scale}': no file {path}{f'; did you mean {close[0]}?' if close else ''} (known: "
            f"{', '.join(known)})"
        )
    profiles = [(str(path), _yielding(read(path), own))]
    names = [name for _, values in [files[0], *profiles, *files[1:], *above] if (name := _named(values.get("llm")))]
    companion = folder / f"{scale}+{names[-1].replace('/', '_')}.yaml" if names else None
    if companion and companion.exists():
        profiles.append((str(companion), _yielding(read(companion), own)))
    own_profiles = []
    for name, values in files[1:]:
        beside = Path(name).parent / "scale" / Path(name).stem / f"{scale}.yaml"
        own_profiles += [(name, values), *([(str(beside), read(beside))] if beside.exists() else [])]
    return scale, [files[0], *profiles, *own_profiles, *above]


def _scale(layers: Sequence[Layer]) -> str:
    return next((values["scale"] for _, values in reversed(layers) if "scale" in values), "cpu")


def _named(value: Any) -> str | None:
    """The component that a slot's value names, if it does."""
    name = value.get("name") if isinstance(value, dict) else value
    return name if isinstance(name, str) else None


def _yielding(profile: dict, root: dict, path: tuple[str, ...] = ()) -> dict:
    """A profile without the slots that the root fills with other components than the profile's (or, where it names
    none, the default).
    """
    kept = {}
    for key, value in profile.items():
        here, default, own = (*path, str(key)), slot_of((*path, str(key))), root.get(key)
        if default is not None and (name := _named(own)) and name != (_named(value) or default):
            continue
        kept[key] = (
            _yielding(value, own, here)
            if default is None and isinstance(value, dict) and isinstance(own, dict)
            else value
        )
    return kept


def slot_of(path: tuple[str, ...], cls: type = Experiment) -> str | None:
    """The default component name if `path`, from a settings dataclass on, is a slot ("" if it has none), else None."""
    f = next((f for f in fields(cls) if f.name == path[0]), None) if path else None
    if f is None:
        return None
    if "slot" in f.metadata:
        if f.metadata["many"]:
            return path[1] if len(path) == 2 else None
        return (f.default or "") if len(path) == 1 else None
    hint = types_of(cls)[f.name]
    if is_dataclass(hint):
        return slot_of(path[1:], hint)
    if get_origin(hint) is dict and is_dataclass(part := get_args(hint)[1]):
        return slot_of(path[2:], part)
    return None


def merge(old: Any, new: Any, path: tuple[str, ...], origin: str, origins: dict, inside: bool = False) -> Any:
    """Deep merge; a slot given as a word is its name, and a changed name replaces the slot whole. What has a `name`
    inside a slot is one of the component's own.
    """
    default = slot_of(path)
    if default is None and inside and isinstance(old, dict):
        default = old.get("name")
    if default is not None and isinstance(new, str):
        new = {"name": new}
    if not isinstance(new, dict):
        origins[path] = origin
        return new
    if (
        default is not None
        and isinstance(old, dict)
        and new.get("name", old.get("name", default)) != old.get("name", default)
    ):
        old = {}
    merged = dict(old) if isinstance(old, dict) else {}
    origins.setdefault(path, origin)
    for key, value in new.items():
        where = (*path, str(key))
        merged[str(key)] = merge(merged.get(str(key)), value, where, origin, origins, inside or default is not None)
    return merged


def alike(stages: Any) -> Any:
    """Stages with the settings of the one that they are `like`, but for those that they give themselves; ConfigError
    where there is none.

    A stage that a recipe makes of another so follows whatever a scale or an override says of that one.
    """
    if not isinstance(stages, dict):
        return stages
    made: dict[str, Any] = {}

    def of(name: str, above: tuple[str, ...]) -> Any:
        stage = stages[name]
        if name in made or not isinstance(stage, dict) or "like" not in stage:
            return made.get(name, stage)
        other = stage["like"]
        if not isinstance(other, str) or other not in stages or other in above:
            why = "is like itself" if other in above else f"there is no stage '{other}'{meant(other, stages)}"
            raise ConfigError(f"stages.{name}.like: {why}")
        made[name] = (of(other, (*above, other)) or {}) | {key: value for key, value in stage.items() if key != "like"}
        return made[name]

    return {name: of(name, (name,)) for name in stages}
