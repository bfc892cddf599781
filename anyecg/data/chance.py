"""A seeded generator for each question, whatever else is built."""

from __future__ import annotations

import random
from hashlib import blake2b


def chance(seed: int, *key: object) -> random.Random:
    """A generator of its own for each question: what it draws never depends on what else is built, or in which
    order.
    """
    return random.Random(blake2b(repr((seed, *key)).encode(), digest_size=8).digest())
