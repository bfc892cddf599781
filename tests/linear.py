"""Long texts, and a process that is stopped where a parser does not get through them."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

LONG = 200_000  # characters: what grows with their square takes minutes for one text, what grows with them 0.1 s
PATIENCE = 300  # s, for a few dozen of such texts


def assert_linear(parser: str, parts: Sequence[str], tails: Sequence[str] = ("", "x", " 5")) -> None:
    """A parser ("module:function" of a text) gets to the end of long texts, each a part again and again and then a
    tail, in a process that is stopped where it does not: the message names the text.
    """
    try:
        read = subprocess.run(
            [sys.executable, "-m", "tests.linear", parser, json.dumps([list(parts), list(tails)])],
            cwd=Path(__file__).parents[1],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired as stopped:
        last = (stopped.stdout or "")[-40:]
        raise AssertionError(f"{parser}: not through {LONG:,} characters of the last part of {last!r}") from None
    assert read.returncode == 0 and read.stdout.endswith("all\n"), read.stderr[-2000:]


def read_long(parser: str, parts: Sequence[str], tails: Sequence[str]) -> None:
    """What `assert_linear` runs: a line for each text before it is read, and one at the end."""
    module, _, name = parser.partition(":")
    read = getattr(importlib.import_module(module), name)
    for number, part in enumerate(parts):
        tail = tails[number % len(tails)]
        print(repr(part + tail), flush=True)
        read((part * LONG)[: LONG - len(tail)] + tail)
        for other in tails:
            read((part * LONG)[: LONG // 20] + other)
    print("all")


if __name__ == "__main__":
    read_long(sys.argv[1], *json.loads(sys.argv[2]))
