"""Every key of a configuration with its default and meaning, read from the dataclasses and the comments beside their
fields.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any

from anyecg.config.schema import Experiment, Slot, StageConfig
from anyecg.registry import KINDS, registry
from anyecg.types import ConfigError


@dataclass(frozen=True)
class Key:
    """A key of the configuration: its dotted path, type and default as text, and what it means ("" if unsaid)."""

    path: str
    type: str
    default: str
    meaning: str


def experiment_keys() -> list[Key]:
    """The keys of an experiment, those of a stage under `stages.NAME`; a slot's own keys are `component_keys`."""
    return [*_keys(Experiment, ""), *_keys(StageConfig, "stages.NAME.")]


def component_keys(kind: str, name: str) -> list[Key]:
    """The settings of one component of a kind (a key of `registry.KINDS`), [] where it has none."""
    settings: Any = getattr(registry(kind)[name], "Config", None)
    return _keys(settings, "") if isinstance(settings, type) and is_dataclass(settings) else []


def reference() -> str:
    """The whole reference as Markdown: the experiment's keys, then the settings of every registered component."""
    parts = ["# Reference of configuration keys", "## experiment", *_table(experiment_keys())]
    for kind in KINDS:
        parts.append(f"## {kind}")
        for name in sorted(registry(kind).table()):
            try:
                described = (registry(kind)[name].__doc__ or "").strip().split("\n\n")[0]
                keys = component_keys(kind, name)
            except ConfigError as error:
                described, keys = f"Not available here: {error}", []
            parts += [f"### {kind}: {name}", " ".join(described.split()), *_table(keys)]
    return "\n\n".join(parts) + "\n"


def _table(keys: list[Key]) -> list[str]:
    if not keys:
        return []
    rows = ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key in keys:
        cells = (f"`{key.path}`", f"`{key.type}`", f"`{key.default}`", key.meaning)
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return ["\n".join(rows)]


def _keys(settings: type, prefix: str) -> list[Key]:
    meanings = _meanings(settings)
    found = []
    for one in fields(settings):
        path, nested = prefix + one.name, _nested(one)
        if nested:
            found += _keys(nested, f"{path}.")
        else:
            kind = one.type.__name__ if type(one.type) is type else str(one.type)
            found.append(Key(path, kind, _default(one), meanings.get(one.name, "")))
    return found


def _nested(one: Field) -> type | None:
    """The dataclass that a field holds by default, whose keys are listed in its stead."""
    factory: Any = one.default_factory
    return factory if isinstance(factory, type) and is_dataclass(factory) and factory is not Slot else None


def _default(one: Field) -> str:
    if one.metadata.get("many"):
        return ", ".join(one.metadata.get("default", ())) or "none"
    value: Any = one.default_factory() if one.default_factory is not MISSING else one.default
    if value is MISSING or str(value) == "???":
        return "required"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = str(list(value) if isinstance(value, tuple) else value).replace("'", "")
    return text if len(text) <= 80 else f"{text[:77]}..."


def _meanings(settings: type) -> dict[str, str]:
    """Field -> the comment at the end of its line or right above it, or "name: meaning" in the docstring of its class;
    bases included.
    """
    found: dict[str, str] = {}
    for cls in reversed(settings.__mro__):
        if is_dataclass(cls):
            found |= _described(cls) | {name: text for name, text in _comments(cls) if text}
    return found


def _described(cls: type) -> dict[str, str]:
    names = {one.name for one in fields(cls)}
    found: dict[str, str] = {}
    for clause in re.split(r"; |[.] |[.]$", " ".join((cls.__doc__ or "").split())):
        subject, separator, meaning = clause.partition(": ")
        subjects = re.sub(r" \([^)]*\)", "", subject).split(", ")  # a unit may stand behind a name
        if separator and names.issuperset(subjects):
            found |= dict.fromkeys(subjects, meaning)
    return found


def _comments(cls: type) -> Iterator[tuple[str, str]]:
    try:
        source = textwrap.dedent(inspect.getsource(cls))
    except (OSError, TypeError):  # a class made at run time
        return
    lines = source.splitlines()
    for node in ast.parse(source).body[0].body:  # type: ignore[attr-defined]
        if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
            continue
        own = [_comment(line) for line in lines[node.lineno - 1 : node.end_lineno]]
        above, number = [], node.lineno - 2
        while number >= 0 and lines[number].strip().startswith("#"):
            above.insert(0, lines[number].strip().lstrip("# "))
            number -= 1
        yield node.target.id, " ".join(filter(None, [*above, *own]))


def _comment(line: str) -> str:
    """The comment at a line's end; a "#" inside quotes is none."""
    quote = ""
    for at, character in enumerate(line):
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character == "#":
            return line[at:].lstrip("# ")
    return ""
