"""Views of pages: printed text, a coarse scan, wear, a layout; an encoder of signals sees no difference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

from anyecg.data.clips.page.maker import PageConfig
from anyecg.data.clips.pair import Both
from anyecg.evaluation.views.base import View
from anyecg.types import InputSpec


class OfPages(View):
    """The record on a page that looks otherwise; changes: of `PageConfig`."""

    colour = "#8c6d46"
    strict = False
    changes: ClassVar[dict[str, Any]] = {}

    def drawn(self, spec: InputSpec) -> InputSpec:
        if isinstance(spec.settings, Both):
            return replace(spec, settings=replace(spec.settings, page=self.drawn(spec.settings.page)))
        if not isinstance(spec.settings, PageConfig):
            return spec
        return replace(spec, settings=replace(spec.settings, **self.changes))


class Header(OfPages):
    """Rate and axis printed at the top: what a model can read off as text."""

    label, short = "page with a printed header", "header"
    changes: ClassVar[dict[str, Any]] = {"header": True}


class Distorted(OfPages):
    """Every page distorted."""

    label, short = "distorted page", "distorted"
    changes: ClassVar[dict[str, Any]] = {"distorted": 1.0}


class Coarse(OfPages):
    """Scanned at 30 dots an inch."""

    label, short = "page at 30 dpi", "30 dpi"
    changes: ClassVar[dict[str, Any]] = {"dpi": 30}


class Fair(OfPages):
    """Scanned at 61 dots an inch, as PULSE's encoder sees a letter page."""

    label, short = "page at 61 dpi", "61 dpi"
    changes: ClassVar[dict[str, Any]] = {"dpi": 61}


class Fine(OfPages):
    """Scanned at 100 dots an inch, as an office scanner's coarsest setting."""

    label, short = "page at 100 dpi", "100 dpi"
    changes: ClassVar[dict[str, Any]] = {"dpi": 100}


class SixByTwo(OfPages):
    """In two columns of six leads, 10 mm a mV at 25 mm a second, whatever was trained on."""

    label, short = "page of 6 x 2 leads with lead II", "6 x 2"
    changes: ClassVar[dict[str, Any]] = {"layouts": {"6x2+1": 1.0}}
