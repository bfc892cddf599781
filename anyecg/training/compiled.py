"""Compilation of what a training step spends its time in."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from anyecg.model import ECGLanguageModel


@contextlib.contextmanager
def compiled(model: ECGLanguageModel, on: bool = True) -> Iterator[None]:
    """Within it, encoder and LLM run through `torch.compile`, with shapes that may vary; parameters keep their names
    (`trainer.compile`).

    Afterwards both run as they did: an evaluation, whose shapes are others at every token, would be compiled again and
    again.
    """
    parts = [model.encoder, model.llm.lm.base_model] if on else []
    for part in parts:
        part.compile(dynamic=True)
    try:
        yield
    finally:
        for part in parts:
            part._compiled_call_impl = None
