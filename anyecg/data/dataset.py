"""Questions with their clips: the map-style dataset a loader draws from, in one of several views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch.utils.data import Dataset

from anyecg.experiment import InputConfig
from anyecg.data.preprocess import clip_count, normalize, segment
from anyecg.data.questions import Questions
from anyecg.data.store import Stores
from anyecg.types import CLIP_SAMPLES, MARKER, SAMPLING_RATE, ConfigError, ECGSample, Turn, Window

VIEWS = ("signal", "blind", "text")


@dataclass(frozen=True)
class Item:
    """A question ready to collate.

    clips: a float32 array `[S, 12, 1000]` a record; lead_masks: bool `[12]` a record; in the "text" view both are
    empty and `sample.evidence` stands for the ECGs.
    """

    sample: ECGSample
    clips: tuple[np.ndarray, ...] = ()
    lead_masks: tuple[np.ndarray, ...] = ()


def limited(sample: ECGSample, max_ecgs: int) -> ECGSample:
    """The sample with its first `max_ecgs` ECGs; the markers of the others leave the text."""
    if len(sample.records) <= max_ecgs:
        return sample
    turns, left = [], max_ecgs
    for turn in sample.conversation:
        text, *rest = turn.text.split(MARKER)
        for piece in rest:
            text += (MARKER if left > 0 else "") + piece
            left -= 1
        turns.append(Turn(turn.role, text))
    return replace(sample, records=sample.records[:max_ecgs], evidence=sample.evidence[:max_ecgs], conversation=tuple(turns))


class QuestionDataset(Dataset):
    """Samples by position; reads windows from the store when asked, holds no signal.

    view: "signal" as recorded; "blind" every ECG withheld, as zeros with every lead absent, in places of the same
    number; "text" the evidence in words in each ECG's place.
    """

    def __init__(self, samples: Questions | Sequence[ECGSample], rows: Sequence[int], stores: Stores, limits: InputConfig, view: str = "signal") -> None:
        if view not in VIEWS:
            raise ConfigError(f"view '{view}' is unknown (known: {', '.join(VIEWS)})")
        self.samples, self.rows, self.stores, self.limits, self.view = samples, rows, stores, limits, view

    def __len__(self) -> int:
        return len(self.rows)

    def sample(self, index: int) -> ECGSample:
        """A sample as its limits leave it: few enough ECGs, each no longer than `max_seconds`."""
        sample = limited(self.samples[int(self.rows[index])], self.limits.max_ecgs)
        return replace(sample, records=tuple(self._cut(window) for window in sample.records))

    def clip_counts(self, sample: ECGSample) -> list[int]:
        """Clips of each of the sample's records, without reading a signal."""
        if self.view == "text":
            return []
        return [clip_count(round(self.stores.seconds(window) * SAMPLING_RATE)) for window in sample.records]

    def _cut(self, window: Window) -> Window:
        long = self.stores.seconds(window) > self.limits.max_seconds
        return replace(window, end=window.start + self.limits.max_seconds) if long else window

    def __getitem__(self, index: int) -> Item:
        sample = self.sample(index)
        if self.view == "text":
            return Item(sample)
        clips, masks = [], []
        for window, count in zip(sample.records, self.clip_counts(sample), strict=True):
            if self.view == "blind":
                clips.append(np.zeros((count, 12, CLIP_SAMPLES), np.float32))
                masks.append(np.zeros(12, bool))
                continue
            signal, mask = self.stores.read(window)
            clips.append(segment(normalize(signal), mask))
            masks.append(mask)
        return Item(sample, tuple(clips), tuple(masks))
