"""Whether an answer depends on the ECG: the same question asked without it, and with another one."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np

from anyecg.simulate import ecg
from anyecg.types import CANONICAL_LEADS, ECGRecord

OTHER = ("atrial_fibrillation", "left_bundle_branch_block", "premature_ventricular_contraction")
OTHER_WORDS = "simulated: atrial fibrillation, left bundle branch block, premature ventricular contractions"
_WORD = re.compile(r"[^\W_]+(?:\.\d+)?")


@dataclass(frozen=True)
class Badge:
    """What became of the answer without the ECG and with another one.

    kind: "blind" (the same without the ECG), "other" (the same with another), "both", or "looked" (neither); text: a
    few words; blind, other: the two answers.
    """

    kind: str
    text: str
    blind: str
    other: str

    @property
    def warns(self) -> bool:
        """Whether the answer came without the ECG: red."""
        return self.kind in ("blind", "both")


def badge(answer: str, blind: str, other: str) -> Badge:
    """The badge of an answer, by what the same question got without the ECG and with another one."""
    same_blind, same_other = alike(answer, blind), alike(answer, other)
    if same_blind and same_other:
        return Badge("both", "unchanged without the ECG, and with another ECG", blind, other)
    if same_blind:
        return Badge("blind", "unchanged without the ECG", blind, other)
    if same_other:
        return Badge("other", "unchanged with another ECG", blind, other)
    return Badge("looked", "changes without the ECG, and with another ECG", blind, other)


def alike(one: str, other: str) -> bool:
    """Whether two answers have the same words and numbers, whatever their case and punctuation."""
    return _words(one) == _words(other)


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]


@cache
def other_ecg(seconds: float) -> ECGRecord:
    """A simulated ECG of a length (10 s to 60 s) that has little in common with most: `OTHER_WORDS`."""
    signal, _, _ = ecg(OTHER, seconds=float(np.clip(seconds, 10.0, 60.0)), fs=500.0, seed=11)
    return ECGRecord(signal, 500.0, CANONICAL_LEADS, "another ECG", "")
