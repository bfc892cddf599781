"""Who may import whom (DESIGN.md's map), read off the syntax trees."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "anyecg"

FOUNDATION = {"types", "checks", "interpolation", "registry", "experiment", "trainable", "layers", "filling", "config", "shipped", "fingerprint", "saving", "terminal", "endpoint"}
PARTS = {"data", "encoders", "connectors", "llms", "text_encoders"}
MAY_IMPORT = {
    **{name: FOUNDATION for name in FOUNDATION},
    **{name: FOUNDATION | {name} for name in PARTS},
    "released": FOUNDATION | PARTS,
    "pretrained": FOUNDATION | PARTS | {"released"},
    "model": FOUNDATION | PARTS | {"pretrained"},
    "tasks": FOUNDATION | PARTS | {"model", "tasks"},
    "training": FOUNDATION | PARTS | {"model", "tasks", "training"},
    "evaluation": FOUNDATION | PARTS | {"model", "tasks", "training", "evaluation"},
}
OUTERMOST = {"run", "compare", "export", "model_card", "commands", "figures", "human", "suite"}


def imported(path: Path) -> set[str]:
    """First-level anyecg modules that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" if node.module == "anyecg" else node.module or "" for alias in node.names]
            assert node.level == 0, f"{path}: relative import"
        else:
            continue
        found |= {name.split(".")[1] for name in names if name.startswith("anyecg.")}
    return found


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_map(path):
    room = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if room in OUTERMOST or room == "__init__" or path.name == "__main__.py":
        return
    assert imported(path) <= MAY_IMPORT[room], f"{path.name} imports {imported(path) - MAY_IMPORT[room]}"
