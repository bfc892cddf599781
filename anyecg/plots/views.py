"""What the views of an evaluation are called where there is little room."""

from __future__ import annotations

from anyecg.config.schema import VIEWS

SHORT = dict(zip(VIEWS, ("with the ECG", "blind", "shuffled"), strict=False))


def short(view: str) -> str:
    """A view's name where there is little room."""
    return SHORT.get(view, view.replace("_", " "))
