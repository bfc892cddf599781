"""Views of a model over trace and page that withhold one of the two; any other model sees no difference."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from anyecg.data.clips.pair import Both
from anyecg.evaluation.views.base import View
from anyecg.types import InputSpec


class WithoutPage(View):
    """The trace alone, of a model that takes both."""

    label, short = "trace without its page", "no page"
    colour = "#8c6d46"
    strict = False
    side: ClassVar[str] = "page"

    def drawn(self, spec: InputSpec) -> InputSpec:
        if not isinstance(spec.settings, Both):
            return spec
        return replace(spec, settings=replace(spec.settings, without=self.side))


class WithoutTrace(WithoutPage):
    """The page alone, of a model that takes both."""

    label, short = "page without its trace", "no trace"
    side: ClassVar[str] = "trace"
