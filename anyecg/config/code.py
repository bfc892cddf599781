"""The source that components compute with, as a fingerprint: what is named there is followed, words about it are
not.
"""

from __future__ import annotations

import ast
import functools
import importlib.util
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from anyecg.config.fingerprint import fingerprint

OURS = "anyecg"
ROOT = Path(__file__).parents[1]
# Rooms whose outcome is in a key as settings or data, or that compute nothing of a stage.
APART = (
    "config",
    "registry",
    "files",
    "endpoint",
    "checkpoints",
    "session",
    "plots",
    "simulate",
    "cli",
    "web",
    "evaluation",
    "answerers",
    "data.corpora",
    "data.own",
    "training.engines",
    "training.job",
    "training.flops",
    "training.plan_lengths",
)
TARGET = re.compile(r"([a-zA-Z_][\w.]*):([a-zA-Z_]\w*)")  # "module:Class", as in a registry
Where = tuple[str, str]  # a module, and a name at its top level


class Code:
    """All definitions that some classes compute with, in the package and in the user's own files.

    roots: classes and functions; from each one, what its source names is followed, definition by definition, through
    the modules of anyecg (but `APART`) and those beside it: of its package, or of its folder where it is a file of its
    own. Docstrings, comments, annotations of arguments and the messages of errors are not looked at, so rewording
    changes nothing.
    `modules`: module -> digest of what of it is reached; `fingerprint`: of all. A class without a source file counts by
    its name.
    """

    def __init__(self, roots: Iterable[Callable]) -> None:
        roots = list(roots)
        self._beside = {cls.__module__.split(".")[0] for cls in roots} - {OURS}
        self._folders = {path.parent for cls in roots if "." not in cls.__module__ and (path := _path(cls.__module__))}
        reached: dict[str, set[str]] = defaultdict(set)
        ahead = [(cls.__module__, cls.__qualname__.split(".")[0]) for cls in roots]
        self.modules: dict[str, str] = {module: name for module, name in ahead if not _path(module)}
        while ahead:
            module, name = ahead.pop()
            source = _source_of(module)
            if source is None or name in reached[module]:
                continue
            if name in source.definitions or not reached[module]:
                reached[module].add(name)
                ahead += self._followed(source.named(name))
            elif name in source.imports:  # named there, defined elsewhere
                ahead += self._followed([source.imports[name]])
        for module, names in reached.items():
            if names:
                self.modules[module] = fingerprint(_source_of(module).text(names), length=8)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.modules)

    def _followed(self, places: Iterable[Where]) -> Iterator[Where]:
        for module, name in places:
            inner = f"{module}.{name}"
            if self._follows(inner) and _path(inner):  # `from package import module`: all of it
                yield from ((inner, each) for each in _source_of(inner).definitions)
            elif self._follows(module):
                yield module, name

    def _follows(self, module: str) -> bool:
        top, _, inside = module.partition(".")
        if top == OURS:
            return not any(f"{inside}.".startswith(f"{room}.") for room in APART)
        if top in self._beside:
            return True
        return (
            bool(self._folders)
            and top not in sys.stdlib_module_names
            and (path := _path(top)) is not None
            and path.parent in self._folders
        )


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """The modules of two `Code.modules` that differ."""
    return sorted(module for module in before.keys() | now.keys() if before.get(module) != now.get(module))


class Source:
    """One file's top-level names, each with the statements that bind it and what these name."""

    def __init__(self, module: str, path: Path) -> None:
        self.module = module
        self.definitions: dict[str, list[ast.stmt]] = defaultdict(list)
        self.always: list[ast.stmt] = []  # statements that bind nothing, which an import of the file runs
        self.imports: dict[str, Where] = {}
        tree = _Plain().visit(ast.parse(path.read_text(encoding="utf-8")))
        package = module if path.name == "__init__.py" else module.rpartition(".")[0]
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom):
                above = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                base = ".".join(filter(None, [above, node.module])) if node.level else node.module
                self.imports |= {alias.asname or alias.name: (base, alias.name) for alias in node.names}
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    base, _, name = (alias.name if alias.asname else alias.name.split(".")[0]).rpartition(".")
                    self.imports[alias.asname or name] = (base, name)
        for statement in tree.body:
            bound = list(_bound(statement))
            for name in bound:
                self.definitions[name].append(statement)
            if not bound and not isinstance(statement, (ast.Import, ast.ImportFrom, ast.If, ast.Pass)):
                self.always.append(statement)

    def named(self, name: str) -> list[Where]:
        """What the statements of a name, and those that always run, name: of this file and of others."""
        found: set[Where] = set()
        for statement in [*self.definitions.get(name, ()), *self.always]:
            for node in ast.walk(statement):
                if isinstance(node, ast.Name):
                    if node.id in self.imports or node.id in self.definitions:
                        found.add(self.imports.get(node.id, (self.module, node.id)))
                elif (
                    isinstance(node, ast.Constant)
                    and isinstance(node.value, str)
                    and (target := TARGET.fullmatch(node.value))
                ):
                    found.add((target[1], target[2]))
        return sorted(found - {(self.module, name)})

    def text(self, names: Iterable[str]) -> list[str]:
        """The statements of these names and those that always run, as plain code."""
        return [ast.unparse(statement) for name in sorted(names) for statement in self.definitions.get(name, ())] + [
            ast.unparse(s) for s in self.always
        ]


class _Plain(ast.NodeTransformer):
    """Leaves out what changes no outcome: docstrings, annotations of arguments, messages of errors, code for type
    checkers.
    """

    def visit(self, node: ast.AST) -> ast.AST:
        body = getattr(node, "body", None)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):  # noqa: SIM102
            if (
                body
                and isinstance(body[0], ast.Expr)
                and isinstance(body[0].value, ast.Constant)
                and isinstance(body[0].value.value, str)
            ):
                node.body = body[1:] or [ast.Pass()]
        return super().visit(node)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node: ast.arg) -> ast.AST:
        node.annotation = None
        return node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        if isinstance(node.exc, ast.Call):
            node.exc = node.exc.func
        node.cause = None
        return node

    def visit_If(self, node: ast.If) -> ast.AST | None:
        if getattr(node.test, "id", getattr(node.test, "attr", "")) == "TYPE_CHECKING":
            return ast.Pass()
        return self.generic_visit(node)


def _bound(statement: ast.stmt) -> Iterator[str]:
    """The names that a top-level statement binds, but by importing."""
    if isinstance(statement, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
        yield statement.name
        return
    if isinstance(statement, (ast.If, ast.Try, ast.With)):
        for inner in ast.iter_child_nodes(statement):
            for node in [inner] if isinstance(inner, ast.stmt) else getattr(inner, "body", []):
                yield from _bound(node)
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


def _path(module: str) -> Path | None:
    """The file of a module that is loaded or can be found; None where there is none."""
    if module.startswith(f"{OURS}."):
        inside = ROOT.joinpath(*module.split(".")[1:])
        return next((path for path in (inside.with_suffix(".py"), inside / "__init__.py") if path.is_file()), None)
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None and module not in sys.modules:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError, AttributeError):
            return None
        file = spec.origin if spec and spec.has_location else None
    return Path(file) if file and file.endswith(".py") else None


def _source_of(module: str) -> Source | None:
    path = _path(module)
    if path is None or not path.exists():
        return None
    stat = path.stat()
    return _read(module, path, stat.st_mtime_ns, stat.st_size)


@functools.cache
def _read(module: str, path: Path, changed: int, size: int) -> Source | None:
    try:
        return Source(module, path)
    except (SyntaxError, UnicodeDecodeError, OSError):
        return None
