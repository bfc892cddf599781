"""What every parser does first: the final answer in what a model wrote, without thoughts, special tokens and markup."""

from __future__ import annotations

import re

_TAGS = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad)"
_THOUGHT = re.compile(rf"[<\[]({_TAGS})[>\]].*?(?:[<\[]/\1[>\]]|\Z)", re.DOTALL | re.IGNORECASE)
_END_OF_THOUGHT = re.compile(rf"[<\[]/{_TAGS}[>\]]", re.IGNORECASE)  # the opening tag may stand in the prompt


def without_thoughts(text: str) -> str:
    """A reply without its reasoning: `<think>...</think>` and its likes, those that are not closed, and what stands before a lone `</think>`."""
    text = _THOUGHT.sub(" ", text)
    return _END_OF_THOUGHT.split(text)[-1]
