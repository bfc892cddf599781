"""The layers of DESIGN.md, held over every edge of the package: imports anywhere in a file, and those hidden in
strings.
"""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "anyecg"

# Lower may not import higher. A room is a module or package at the top, or one inside anyecg/data.
LAYERS = (
    {"types"},
    {"registry", "files", "findings", "codes", "notice", "progress_bar"},
    {"config", "endpoint"},
    {"plots", "simulate", "data.chance", "data.corpora", "data.store", "data.clips", "data.own", "data.dataset", "data.loading",
     "encoders", "connectors", "fusion", "llms", "text_encoders"},
    {"model"},
    {"session"},
    {"tasks"},
    {"objectives", "training"},
    {"answerers"},
    {"evaluation"},
    {"checkpoints"},
    {"web", "cli", "run", "compare", "export", "figures", "human", "data", "__main__"},  # "data": python -m anyecg.data
)  # fmt: skip
PARTS = 3  # the layer whose rooms know nothing of one another but the types ...
BETWEEN_PARTS = {  # ... save along the way of a record, from its source to the loader, and in what draws ECGs
    "data.store": {"data.corpora"},
    "data.clips": {"data.store", "data.chance", "plots"},
    "encoders": {"data.clips"},  # an encoder of pictures has the settings of the pages that are drawn for it
    "data.own": {"data.corpora", "data.store"},
    "data.dataset": {"data.corpora", "data.store"},
    "data.loading": {"data.chance", "data.store", "data.clips", "data.dataset"},
}
SIMULATE = {"types", "files", "findings", "codes", "registry", "progress_bar"}  # all that the simulator knows
DOORS = {"anyecg.registry", "anyecg.__main__", "anyecg.data.__main__"}  # may name modules in strings, and load them
LOADERS = {  # load code by a name of their own
    "anyecg.data.own.extras"  # optional libraries (edfio, pydicom) with a message on how to install them
}

# Edges that break the layers today, by who mends them. This list only shrinks: an edge that is gone must be struck off
# here.
ALLOWED = {
}  # fmt: skip


def module_of(path):
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {module: ast.parse(path.read_text()) for module, path in MODULES.items()}


def room(module):
    """The room that a module lies in: "tasks" of anyecg.tasks.report.task, "data.store" of anyecg.data.store.shards."""
    parts = module.split(".")[1:]
    if parts[:1] == ["data"]:
        return ".".join(parts[:2]) if len(parts) > 1 and parts[1] != "__main__" else "data"
    return parts[0] if parts else "anyecg"


def layer(name):
    found = [at for at, rooms in enumerate(LAYERS) if name in rooms]
    assert found, f"anyecg/{name.replace('.', '/')} stands in no layer: give it one in tests/test_imports.py"
    return found[0]


def known(name):
    """The module of the package that a dotted name (or "module:Class") means, or None."""
    name = name.partition(":")[0]
    while name.startswith("anyecg."):
        if name in MODULES:
            return name
        name = name.rpartition(".")[0]
    return None


def imports(module):
    """(imported module, line) of every import of the file: at the top, in functions, under TYPE_CHECKING."""
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        yield from ((found, node.lineno) for found in map(known, names) if found)


def strings(module):
    """(named module, line) of every string that names a module of the package, outside tables given to
    `Registry(...)`.
    """
    tables = {
        id(inner)
        for node in ast.walk(TREES[module])
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Registry"
        for inner in ast.walk(node)
    }
    for node in ast.walk(TREES[module]):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in tables:  # noqa: SIM102
            if re.fullmatch(r"anyecg(\.\w+)+(:\w*|\.)?", node.value) and (found := known(node.value.rstrip("."))):
                yield found, node.lineno


EDGES = defaultdict(list)  # (room, room) -> where
for _module in MODULES:
    for _found, _line in imports(_module):
        if room(_module) != room(_found):
            EDGES[room(_module), room(_found)].append(
                f"{MODULES[_module].relative_to(ROOT.parent)}:{_line} imports {_found}"
            )


def permitted(importer, imported):
    if importer == "simulate":
        return imported in SIMULATE
    if importer == "anyecg":  # anyecg/__init__.py, which every import runs: nothing until a name is asked for
        return imported in {"checkpoints", "data.own"}
    if layer(importer) == layer(imported) == PARTS:
        return imported in BETWEEN_PARTS.get(importer, ())
    return layer(imported) <= layer(importer)


def test_no_room_imports_a_higher_one():
    allowed = set().union(*ALLOWED.values())
    wrong = [
        where
        for edge, found in sorted(EDGES.items())
        if edge not in allowed and not permitted(*edge)
        for where in found
    ]
    assert not wrong, "\n" + "\n".join(wrong)


def test_rooms_have_no_circle():
    graph = defaultdict(set)
    for importer, imported in EDGES.keys() - set().union(*ALLOWED.values()):
        graph[importer].add(imported)
    assert circles(graph) == []


def test_modules_have_no_circle():
    """Of imports at the top of a file: one inside a function does not keep a module from loading."""
    graph = defaultdict(set)
    for module, tree in TREES.items():
        for node in tree.body:
            if isinstance(node, ast.ImportFrom):
                graph[module] |= {
                    found for alias in node.names if (found := known(f"{node.module}.{alias.name}")) and found != module
                }
    assert circles(graph) == []


def circles(graph):
    """The strongly connected components of more than one node, by Tarjan's algorithm."""
    order, low, stack, found = {}, {}, [], []

    def visit(node):
        order[node] = low[node] = len(order)
        stack.append(node)
        for after in sorted(graph.get(node, ())):
            if after not in order:
                visit(after)
                low[node] = min(low[node], low[after])
            elif after in stack:
                low[node] = min(low[node], order[after])
        if low[node] == order[node]:
            at = stack.index(node)
            component = stack[at:]
            del stack[at:]
            if len(component) > 1:
                found.append(sorted(component))

    for node in sorted(graph):
        if node not in order:
            visit(node)
    return found


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


@pytest.mark.parametrize("module", sorted(MODULES.keys() - DOORS))
def test_no_string_hides_an_import(module):
    """ "module:Class" stands in `registry.KINDS` and in tables given to `Registry(...)`, and nowhere else."""
    hidden = [f"line {line} names {found}" for found, line in strings(module)]
    assert not hidden, f"{MODULES[module]}: {hidden}"


def test_a_table_of_components_names_its_own_room():
    """Where `Registry(...)` is given a table, its classes lie in the package that the table opens, or in one of the
    same layer that may import it.
    """
    for module, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Registry":
                named = [
                    inner.value
                    for inner in ast.walk(node)
                    if isinstance(inner, ast.Constant) and ":" in str(inner.value)
                ]
                near = {other for other, rooms in BETWEEN_PARTS.items() if room(module) in rooms}
                assert {room(known(name)) for name in named} <= {room(module), *near}, module


def test_code_is_loaded_by_name_in_few_places():
    """`importlib.import_module`, `__import__`, `exec` and `eval` of a string: the registry, the doors, and what is
    listed with its reason.
    """
    calls = {
        module
        for module, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _loads(node.func)
    }
    assert calls - DOORS <= LOADERS


def _loads(func):
    name = func.id if isinstance(func, ast.Name) else getattr(func, "attr", "")
    return name in {"import_module", "__import__"} or (isinstance(func, ast.Name) and name in {"exec", "eval"})


@pytest.mark.parametrize("edge", sorted(edge for edges in ALLOWED.values() for edge in edges), ids="->".join)
def test_what_is_allowed_for_now_still_occurs(edge):
    assert edge in EDGES, (
        f"no module of anyecg/{edge[0]} imports anyecg/{edge[1]} any more: strike it off ALLOWED in "
        f"tests/test_imports.py"
    )
