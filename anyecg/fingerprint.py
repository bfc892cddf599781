"""A short name for everything that determines something: the key of content-addressed outputs."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from anyecg.config import to_dict


def fingerprint(*parts: Any, length: int = 12) -> str:
    """A hex digest of plain values and config dataclasses, the same on every machine and run."""
    text = json.dumps([to_dict(part) for part in parts], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]
