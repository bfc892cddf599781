"""Libraries that only some formats need."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType

from anyecg.types import AnyECGError


def extra(library: str, path: Path) -> ModuleType:
    """The library that reads `path`; AnyECGError says how to install it."""
    try:
        return import_module(library)
    except ImportError as error:
        raise AnyECGError(f"{path}: reading it needs {library}: pip install anyecg[formats]") from error
