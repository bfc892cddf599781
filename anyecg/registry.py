"""A name becomes a class: built-in tables, entry points and "module:Class" strings behind one lookup."""

from __future__ import annotations

import ast
import difflib
import importlib
import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from itertools import chain
from pathlib import Path
from typing import Any

from anyecg.types import ConfigError

# Kind of component -> the registry of those that anyecg ships. A name is looked up here and nowhere else, so that a
# lower layer (the configuration) can hold components of a higher one without importing it.
KINDS = {
    "encoder": "anyecg.encoders:encoders",
    "connector": "anyecg.connectors:connectors",
    "fusion": "anyecg.fusion:fusions",
    "llm": "anyecg.llms:llms",
    "text_encoder": "anyecg.text_encoders:text_encoders",
    "corpus": "anyecg.data.corpora:corpora",
    "file_format": "anyecg.data.own.formats:file_formats",
    "task": "anyecg.tasks:tasks",
    "answerer": "anyecg.answerers:answerers",
    "view": "anyecg.evaluation.views:views",
    "clip": "anyecg.data.clips.base:makers",
    "scaling": "anyecg.data.clips.scaling:scalings",
    "simulator": "anyecg.simulate:simulators",
    "engine": "anyecg.training.engines:engines",
    "objective": "anyecg.objectives:objectives",
    "logger": "anyecg.training.loggers:loggers",
}


def registry(kind: str) -> Registry:
    """The registry of one of `KINDS`."""
    module, _, name = KINDS[kind].partition(":")
    return getattr(importlib.import_module(module), name)


class Registry:
    """The components of one kind, imported only when named.

    kind: a plain word for messages ("encoder"); builtin: name -> "module:Class" of what anyecg ships;
    entry points of the group `anyecg.<kind>s` add names from other packages.
    """

    def __init__(self, kind: str, builtin: Mapping[str, str]) -> None:
        self.kind = kind
        self.builtin = dict(builtin)

    def table(self) -> dict[str, str]:
        """name -> "module:Class" of every registered component; two claims on one name raise ConfigError."""
        table = dict(self.builtin)
        plural = "corpora" if self.kind == "corpus" else f"{self.kind}s"
        for point in _added(tuple(sys.path)).get(f"anyecg.{plural}", ()):
            if table.get(point.name, point.value) != point.value:
                raise ConfigError(
                    f"two {plural} are called '{point.name}': {table[point.name]} and {point.value} "
                    f"(from package {point.dist.name if point.dist else 'unknown'}); rename one"
                )
            table[point.name] = point.value
        return table

    def target(self, name: str) -> str:
        """The "module:Class" behind a registered name, or the string itself, nothing imported; ConfigError for a
        name that is not registered.
        """
        target = name if ":" in name else self.table().get(name)
        if target is None:
            known = sorted(self.table())
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean '{close[0]}'?" if close else ""
            raise ConfigError(
                f"no {self.kind} is called '{name}'{hint} (known: {', '.join(known)}; or give \"module:Class\")"
            )
        return target

    def __getitem__(self, name: str) -> type:
        """The class behind a registered name or a "module:Class" string; ConfigError if there is none."""
        module_name, _, class_name = self.target(name).partition(":")
        try:
            return getattr(importlib.import_module(module_name), class_name)
        except (ValueError, TypeError) as error:
            if module_name and not module_name.startswith("."):
                raise
            raise ConfigError(f"{self.kind} '{name}': give \"module:Class\" with the module's full name") from error
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"{self.kind} '{name}' needs the module '{error.name}', which is not installed"
            ) from error
        except AttributeError as error:
            raise ConfigError(f"{self.kind} '{name}': module {module_name} has no class '{class_name}'") from error

    def describe(self) -> dict[str, str]:
        """name -> first line of the class's docstring, for `anyecg list`. It is read from the source: what a component
        imports takes seconds. Where it does not stand there, the component is imported.
        """
        lines = {}
        for name in sorted(self.table()):
            try:
                line = _written(self.target(name))
                lines[name] = (self[name].__doc__ or "").strip().split("\n")[0] if line is None else line
            except ConfigError as error:
                lines[name] = f"(not available: {error})"
        return lines


@cache
def _added(path: tuple[str, ...]) -> dict[str, list[EntryPoint]]:
    """Group -> entry points of all that is installed on `path`: reading every package's metadata takes 30 ms, and a
    configuration looks up fifty names.
    """
    points: dict[str, list[EntryPoint]] = {}
    found: Any = entry_points()  # before Python 3.12 a dictionary of groups
    for point in chain.from_iterable(found.values()) if isinstance(found, dict) else found:
        if point.group.startswith("anyecg."):
            points.setdefault(point.group, []).append(point)
    return points


@cache
def _parsed(module: str) -> ast.Module | None:
    """The source of a module, found without importing its package; None where it is no file of Python's."""
    top, *rest = module.split(".")
    found = importlib.util.find_spec(top) if top else None
    for folder in (found and found.submodule_search_locations) or ():
        place = Path(folder, *rest)
        for path in (place.with_suffix(".py"), place / "__init__.py"):
            if path.is_file():
                return ast.parse(path.read_text(encoding="utf-8"))
    return None


def _written(target: str) -> str | None:
    """The first line of a "module:Class"'s docstring as it is written, None where the source does not have it."""
    module, _, name = target.partition(":")
    tree = _parsed(module)
    for node in tree.body if tree else ():
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.name == name:
            return (ast.get_docstring(node) or "").split("\n")[0]
    return None
