"""What `anyecg list` does: name every registered component. Nothing heavy is imported."""

from __future__ import annotations

from anyecg.registry import KINDS, registry


def list_components() -> None:
    """Print the registered components of every kind, one line each."""
    for kind in KINDS:
        print(f"{kind}:")
        for name, line in registry(kind).describe().items():
            print(f"  {name:20} {line}")
