"""A short name for everything that determines something: the key of content-addressed outputs."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable
from typing import Any

from anyecg.config.schema import to_dict


def fingerprint(*parts: Any, length: int = 12) -> str:
    """A hex digest of plain values and config dataclasses, the same on every machine and run."""
    text = json.dumps([to_dict(part) for part in parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def folder_name(name: str, overrides: Iterable[str]) -> str:
    """What a run is called: its experiment's name, and whatever the command line changed that matters to the
    outcome.
    """
    told = [
        o
        for o in overrides
        if o.partition("=")[0] not in ("name", "output", "cache") and not o.startswith(("trainer.", "evaluation.judge"))
    ]
    suffix = re.sub(r"[^\w=.,-]+", "_", "+".join(told))
    if len(suffix) > 80:
        suffix = suffix[:60] + "-" + fingerprint(sorted(told))
    return name + (f"+{suffix}" if suffix else "")
