"""What the views of an evaluation are called where there is little room."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from anyecg.registry import registry
from anyecg.types import ConfigError


def short(view: str) -> str:
    """A view's name where there is little room."""
    return _named(view, "short")


def label(view: str) -> str:
    """What a row of a view is called in a table."""
    return _named(view, "label")


def _named(view: str, attribute: str) -> str:
    """An attribute of a view; its own name where it is of a file that is not here."""
    with contextlib.suppress(ConfigError):
        if is_view(view) and (found := getattr(component(view), attribute)):
            return found
    return view.replace("_", " ")


def component(view: str) -> Any:
    """The class of a view (`anyecg.evaluation.views`)."""
    return registry("view")[view]


def in_order(views: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """The views as the evaluation asks them, any others after them; a file has them by name."""
    known = list(registry("view").table())
    return sorted(views, key=lambda view: (known.index(view) if view in known else len(known), view))


def is_view(name: str) -> bool:
    """Whether a row of a table is of a view, and not of a reference."""
    return name in registry("view").table() or ":" in name
