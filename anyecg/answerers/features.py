"""What a frozen encoder makes of recordings, kept on disk by encoder and recording, for the answerers that learn from
it.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anyecg.answerers.base import Fitting
from anyecg.answerers.learned import view_of
from anyecg.config.code import Code
from anyecg.config.fingerprint import fingerprint
from anyecg.config.schema import Experiment
from anyecg.data.clips import clips
from anyecg.data.store.shards import locked
from anyecg.encoders.base import Encoder
from anyecg.registry import registry
from anyecg.types import ConfigError, ECGSample, Window

log = logging.getLogger(__name__)

AS_RECORDED = "View.see"  # the name of what a view does to recordings where it leaves them as they are
TOGETHER = 32  # recordings of a store, one after the other, that are encoded in one pass


def encoder_of(fitting: Fitting) -> tuple[Any, str]:
    """The experiment's encoder at the end of its stages, and a fingerprint of all that determines its weights."""
    if fitting.model is None:
        raise ConfigError("answerer: needs an encoder, and there is no model; set encoder and curriculum")
    experiment: Experiment = fitting.experiment
    code = Code(experiment.encoder.components).fingerprint
    key = fingerprint(experiment.encoder, experiment.seed, [stage.key for stage in fitting.stages], code)
    return fitting.model.encoder, key


class Features:
    """Vectors `[tokens, dim]` of recordings: an encoder's tokens or its pooled one, the mean over clips.

    Whole recordings are encoded in the order of their store, `TOGETHER` at a time, and kept: rounding depends on no
    question. Any other window, and one whose ECG is withheld, is encoded alone.

    encoder, key: see `encoder_of`; pooled: one vector in place of the tokens.
    """

    def __init__(self, encoder: Encoder, key: str, fitting: Fitting, pooled: bool) -> None:
        self.encoder, self.stores, self.pooled = encoder.eval().requires_grad_(False), fitting.stores, pooled
        self.limits, self.seed = fitting.experiment.input, fitting.experiment.evaluation.seed
        self.limit = self.limits.max_seconds
        self.clips = clips(encoder.input)
        self.device = next(encoder.parameters()).device
        self.shape = (1 if pooled else encoder.prefix + encoder.patches, encoder.dim)
        settings = fingerprint(key, fitting.stores.fingerprint, pooled, self.limit, TOGETHER)
        self.folder = Path(fitting.experiment.cache) / "answerers" / f"features-{settings}"
        self._rows: dict[str, dict[str, int]] = {}
        self._ids: dict[str, list[str]] = {}
        self._blank: Tensor | None = None

    def __call__(self, windows: Sequence[Window]) -> Tensor:
        """float32 `[n, tokens, dim]` on the CPU, as recorded."""
        return torch.stack([self._of(window) for window in windows])

    def question(self, sample: ECGSample, view: str) -> Tensor:
        """float32 `[n, tokens, dim]` of a question's n ECGs as a view shows them."""
        kind: Any = registry("view")[view]
        if kind.shows == "blank":
            if self._blank is None:
                self._blank = self._encoded([(self.clips.blank(1), np.zeros(12, bool))])
            return self._blank.expand(len(sample.records), -1, -1)
        if kind.see.__qualname__ == AS_RECORDED:
            return self(sample.records)
        item = view_of([sample], view, self.stores, self.limits, self.encoder.input, self.seed)[0]
        return torch.cat([self._encoded([shown]) for shown in zip(item.clips, item.lead_masks)])

    def _of(self, window: Window) -> Tensor:
        corpus = window.record.partition("/")[0]
        whole = self.stores[corpus].seconds(window.record)
        if window.start > 0 or self.stores.seconds(window) < whole or whole > self.limit:
            return self._encoded([self._clips(window)])[0]
        row = self._places(corpus)[window.record]
        return torch.from_numpy(self._chunk(corpus, row // TOGETHER)[row % TOGETHER].astype(np.float32))

    def _places(self, corpus: str) -> dict[str, int]:
        if corpus not in self._rows:
            self._ids[corpus] = self.stores[corpus].table(["id"])["id"].to_pylist()
            self._rows[corpus] = {id: row for row, id in enumerate(self._ids[corpus])}
        return self._rows[corpus]

    def _chunk(self, corpus: str, number: int) -> np.ndarray:
        path = self.folder / corpus / f"{number:06d}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            ids = self._ids[corpus][number * TOGETHER : (number + 1) * TOGETHER]
            made = self._encoded([self._clips(Window(id)) for id in ids]).numpy().astype(np.float32)
            with locked(path.parent):
                np.save(path.with_suffix(".part.npy"), made)
                path.with_suffix(".part.npy").rename(path)
        return np.load(path, mmap_mode="r")

    def _clips(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        end = min(self.stores.seconds(window), self.limit) + window.start
        signal, mask = self.stores.read(Window(window.record, window.start, end))
        return self.clips.make(signal, mask, f"{window.record}@{window.start:g}"), mask

    @torch.inference_mode()
    def _encoded(self, records: Sequence[tuple[np.ndarray, np.ndarray]]) -> Tensor:
        """`[n, tokens, dim]` of records' clips `[S, *shape]` and lead masks `[12]`."""
        owner = torch.repeat_interleave(torch.tensor([len(made) for made, _ in records]))
        shown = torch.from_numpy(np.concatenate([made for made, _ in records])).to(self.device)
        masks = torch.from_numpy(np.stack([mask for _, mask in records]))[owner].to(self.device)
        tokens = self.encoder(shown, masks)
        tokens = (self.encoder.pooled(tokens)[:, None] if self.pooled else tokens).float().cpu()
        total = torch.zeros(len(records), *tokens.shape[1:]).index_add_(0, owner, tokens)
        return total / owner.bincount(minlength=len(records))[:, None, None]
