"""Millivolts to what an encoder takes: a clip maker behind each kind of InputSpec."""

from __future__ import annotations

from anyecg.data.clips.base import Clips
from anyecg.registry import registry
from anyecg.types import InputSpec


def clips(spec: InputSpec) -> Clips:
    """The clip maker of an encoder's InputSpec; ConfigError for a kind, scaling or shape that it cannot make."""
    return registry("clip")[spec.kind](spec)
