"""LLaVA's fusion: ECG tokens stand in the text as they are, with nothing around them."""

from __future__ import annotations

from anyecg.fusion.tokens import Tokens


class LLaVA(Tokens):
    """ECG tokens in the text without markers (LLaVA's, PULSE's): the released weights know none."""

    marked = False
