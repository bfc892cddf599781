"""A model from a folder or from the hub as answerer: nothing is trained, and all controls are asked of it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from anyecg.answerers.base import Fitting
from anyecg.answerers.language_model import LanguageModel
from anyecg.checkpoints.hub import located
from anyecg.checkpoints.load import open_model
from anyecg.config.fingerprint import fingerprint
from anyecg.types import MARKER, CheckpointError, ECGSample, Prediction, Turn


class Checkpoint(LanguageModel):
    """An exported model, or a released checkpoint of anyECG-chat, with its own way of putting ECGs.

    What it learnt from is not known here: a test set may be among it.
    """

    label = "checkpoint"
    uses = frozenset()

    @dataclass(frozen=True)
    class Config:
        """Which model, and what of it is other here."""

        folder: str | None = None  # that `anyecg export` wrote or of a released layout, or OWNER/NAME on the hub
        revision: str | None = None  # a commit, branch or tag of the hub's repository
        # settings of its LLM that are others here, such as {path: /models/Meta-Llama-3-8B-Instruct}
        llm: dict[str, Any] = field(default_factory=dict)

    def __init__(self, cfg: Any = None) -> None:
        super().__init__(cfg or self.Config())
        self.gap = "\n"

    def fit(self, fitting: Fitting) -> None:
        """Load the model. CheckpointError where there is none, or where it takes another rate than the experiment's
        data has.
        """
        if not self.cfg.folder:
            raise CheckpointError(
                "answerer.folder: name the folder of a checkpoint, or OWNER/NAME on the hub, such as "
                "answerer.folder=cucl2/anyECG-chat"
            )
        folder = located(self.cfg.folder, self.cfg.revision, key="answerer.folder")
        model, reading = open_model(folder, self.cfg.llm)
        spec = model.encoder.input
        if fitting.stores.fs != spec.fs:
            raise CheckpointError(
                f"{folder}: its encoder takes {spec.fs:g} Hz, the experiment's data has {fitting.stores.fs:g} Hz; set "
                f"encoder to one of that rate"
            )
        trainer, settings = fitting.experiment.trainer, fitting.experiment.evaluation
        cuda = trainer.accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available()
        self.gap = reading.gap
        limits = replace(fitting.experiment.input, max_seconds=reading.max_seconds, max_ecgs=reading.max_ecgs)
        self.use(
            model.to("cuda" if cuda else "cpu"),
            fitting.stores,
            limits,
            batch_size=settings.batch_size,
            max_new_tokens=settings.max_new_tokens,
            seed=settings.seed,
            precision=trainer.precision,
            key=fingerprint("checkpoint", contents(folder), self.cfg.llm, reading),
        )

    def company(self, samples: Sequence[ECGSample], view: str) -> dict[str, Sequence[str]]:
        return super().company(self._put(samples), view)

    def answer(
        self, samples: Sequence[ECGSample], view: str, answered: Collection[str] = frozenset()
    ) -> Iterator[Prediction]:
        return super().answer(self._put(samples), view, answered)

    def _put(self, samples: Sequence[ECGSample]) -> list[ECGSample]:
        """The questions with the model's own gap between an ECG and the words that follow it."""
        return [
            replace(
                sample,
                conversation=tuple(
                    Turn(turn.role, turn.text.replace(f"{MARKER}\n", f"{MARKER}{self.gap}"))
                    for turn in sample.conversation
                ),
            )
            for sample in samples
        ]


def contents(folder: Path) -> Mapping[str, str]:
    """Name -> SHA-256 of each file of a checkpoint's folder."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        with path.open("rb") as file:
            found[str(path.relative_to(folder))] = hashlib.file_digest(file, "sha256").hexdigest()
    return found
