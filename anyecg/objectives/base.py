"""What every objective of a stage promises to the pipeline, to the keys of stages and to `--plan`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

from anyecg.config.schema import Experiment, StageConfig, to_dict
from anyecg.data.clips import clips
from anyecg.data.loading.loader import Batches
from anyecg.training.job import Cost, Depends, Outlook, StageJob
from anyecg.training.stage import Stage


def encoder_code(experiment: Experiment) -> tuple[Any, ...]:
    """Whose source makes the encoder's tokens and the clips that it takes."""
    return (*experiment.encoder.components, *clips(experiment.input_spec).made_by())


class Objective:
    """What a stage minimises. A subclass has a frozen dataclass `Config` and is built as `Objective(cfg)`.

    compares: whether the loss holds the samples of a `micro_batch` against each other, so that devices must not share
    one.
    """

    Config: type
    compares = False

    def __init__(self, cfg: Any) -> None:
        self.cfg = cfg

    @classmethod
    def problems(cls, cfg: Any, stage: StageConfig) -> Iterator[tuple[str, str]]:
        """What of a stage's settings does not go with this objective: (key of the stage, what is wrong and what to
        do).
        """
        yield from ()

    def settings(self, stage: StageConfig) -> dict[str, Any]:
        """The stage's settings that its outcome depends on, by key."""
        return to_dict(stage)

    def depends(self, experiment: Experiment, stage: StageConfig, tuned: bool) -> Depends:
        """What the outcome depends on; tuned: whether the LLM's tuning has moved by the stage's end, in this stage
        or before it.
        """
        raise NotImplementedError

    def batches(self, job: StageJob) -> Batches:
        """The stage's batches, of `job.split`; the first process makes them first, and may leave files for the
        others in `job.scratch`.
        """
        raise NotImplementedError

    def module(self, job: StageJob, steps: int) -> Stage:
        """The LightningModule with the loss and the stage's own heads."""
        raise NotImplementedError

    def trains(self, outlook: Outlook) -> dict[str, int]:
        """Group, or "heads" where their size is known, -> parameters that learn; leaves `outlook.model` with only
        its groups learning.
        """
        return outlook.model.train_only(outlook.cfg.trains)

    def cost(self, outlook: Outlook) -> Cost:
        """Of one sample, forward and backward; neither optimizer nor padding."""
        raise NotImplementedError

    def notes(self, outlook: Outlook) -> Iterable[str]:
        """What the tables of `--plan` take for granted about this objective, a sentence or two each."""
        return ()


class EncoderObjective(Objective):
    """An objective of the encoder alone: it reads no text, so that neither the LLM nor how questions are put decides
    its outcome.

    called: its stage in a message, with its article; piece: what of it a pass is counted in.
    """

    called: ClassVar[str]
    piece: ClassVar[str]

    @classmethod
    def problems(cls, cfg: Any, stage: StageConfig) -> Iterator[tuple[str, str]]:
        if stage.view != "signal":
            yield "view", f"{cls.called} needs the ECG itself, not '{stage.view}'; write signal"
        if stage.tokens is not None:
            yield "tokens", f"{cls.called} reads no tokens; set it to null, or micro_batch to {cls.piece}"

    def settings(self, stage: StageConfig) -> dict[str, Any]:
        """However a step is cut, it has the same loss."""
        return {key: value for key, value in to_dict(stage).items() if key not in ("tokens", "micro_batch", "view")}

    def depends(self, experiment: Experiment, stage: StageConfig, tuned: bool) -> Depends:
        return Depends({"encoder": to_dict(experiment.encoder)}, frozenset({"encoder"}), encoder_code(experiment))
