"""Questions with their clips: the map-style dataset a loader draws from, in one of several views."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from torch.utils.data import Dataset

from anyecg.config.schema import InputConfig
from anyecg.data.clips import clips
from anyecg.data.dataset.questions_file import Questions
from anyecg.data.store.store import Stores, rate_mismatch
from anyecg.registry import registry
from anyecg.types import MARKER, ECGSample, InputSpec, Turn, Window


@dataclass(frozen=True)
class Item:
    """A question ready to collate.

    clips: an array `[S, *shape]` a record, as the encoder's InputSpec says; lead_masks: bool `[12]` a record; in a view
    that shows the evidence in words both are empty and `sample.evidence` stands for the ECGs.
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
    return replace(
        sample, records=sample.records[:max_ecgs], evidence=sample.evidence[:max_ecgs], conversation=tuple(turns)
    )


class QuestionDataset(Dataset):
    """Samples by position; reads windows from the store when asked, holds no signal.

    spec: what the encoder takes; ConfigError where the stores have another rate.

    view: what is read in place of each ECG, a name of the registry "view" or "module:Class": "signal" as recorded;
    "blind" withheld, as blank clips with every lead absent, in positions of the same number; "text" its evidence in
    words; others change the millivolts or withhold leads. What a view changes in the question itself
    (`evaluation.views.base.View.put`) is done before. seed: of what a view draws.
    """

    def __init__(
        self,
        samples: Questions | Sequence[ECGSample],
        rows: Sequence[int],
        stores: Stores,
        limits: InputConfig,
        view: str = "signal",
        seed: int = 0,
        spec: InputSpec = InputSpec(),  # noqa: B008
    ) -> None:
        self.view = registry("view")[view]()
        self.samples, self.rows, self.stores, self.limits = samples, rows, stores, limits
        self.seed, self.spec = seed, spec
        if stores.fs != spec.fs:
            raise rate_mismatch(spec.fs, stores.fs)
        self.clips = clips(self.view.drawn(spec))

    def __len__(self) -> int:
        return len(self.rows)

    def sample(self, index: int) -> ECGSample:
        """A sample as its limits leave it: few enough ECGs, each no longer than `max_seconds`."""
        sample = limited(self.samples[int(self.rows[index])], self.limits.max_ecgs)
        return replace(sample, records=tuple(self._cut(window) for window in sample.records))

    def clip_counts(self, sample: ECGSample) -> list[int]:
        """Clips of each of the sample's records, without reading a signal."""
        if self.view.shows == "evidence":
            return []
        return [self.clips.count(self.stores.seconds(window)) for window in sample.records]

    def _cut(self, window: Window) -> Window:
        long = self.stores.seconds(window) > self.limits.max_seconds
        return replace(window, end=window.start + self.limits.max_seconds) if long else window

    def __getitem__(self, index: int) -> Item:
        sample = self.sample(index)
        if self.view.shows == "evidence":
            return Item(sample)
        made, masks = [], []
        for window, count in zip(sample.records, self.clip_counts(sample), strict=True):
            if self.view.shows == "blank":
                made.append(self.clips.blank(count))
                masks.append(np.zeros(12, bool))
                continue
            signal, mask = self.stores.read(window)
            signal, mask = self.view.see(signal, mask, sample, len(masks), self.seed)
            made.append(self.clips.make(signal, mask, f"{window.record}@{window.start:g}"))
            masks.append(mask)
        return Item(sample, tuple(made), tuple(masks))
