"""The question's words alone: no ECG, and no positions of one in the text."""

from collections.abc import Sequence
from dataclasses import replace

from anyecg.evaluation.views.base import Setup, View
from anyecg.types import MARKER, ECGSample, Turn


class TextOnly(View):
    """The markers of the ECGs leave the text, so nothing says that there was one but the words."""

    label = "text only (no positions of an ECG)"
    short = "text only"
    colour = "#dedad2"
    without_ecg = True

    def put(self, samples: Sequence[ECGSample], setup: Setup) -> dict[str, ECGSample]:
        return {sample.id: without_ecgs(sample) for sample in samples}


def without_ecgs(sample: ECGSample) -> ECGSample:
    """The question without its ECGs, their evidence and their markers."""
    turns = tuple(
        Turn(turn.role, turn.text.replace(f"{MARKER}\n", "").replace(MARKER, "").lstrip("\n"))
        for turn in sample.conversation
    )
    return replace(sample, records=(), evidence=(), conversation=turns)
