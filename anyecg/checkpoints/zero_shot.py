"""What an exported model keeps of its contrastive stage: texts and ECGs in one space, labels ranked by likeness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file
from torch import Tensor

from anyecg import config
from anyecg.answerers.ranker import HEAD_NAMES, projected
from anyecg.checkpoints.load import CONFIG, ENCODER, EXPORTED, fill_encoder, layout, open_encoder, told, weights
from anyecg.config.schema import Experiment, Slot, slot, to_dict
from anyecg.encoders.base import Encoder
from anyecg.training.pipeline import HEADS
from anyecg.training.planning import PlannedStage
from anyecg.types import CheckpointError

FILE, KEY = "zero_shot.safetensors", "zero_shot"


def write_zero_shot(folder: Path, experiment: Experiment, stages: Sequence[PlannedStage]) -> dict[str, Any] | None:
    """Write what ranks texts against ECGs, and return what config.json says of it; None of a run without a stage that
    compared them.

    The file holds the stage's two projections, and its encoder where a later stage trained the encoder further: the
    projections fit no other.
    """
    compared = [at for at, stage in enumerate(stages) if stage.cfg.objective.component.compares]
    if not compared or not (stages[compared[-1]].folder / HEADS).exists():
        return None
    last = compared[-1]
    state = load_file(stages[last].folder / HEADS)
    if any(name not in state for name in HEAD_NAMES):
        return None
    state = {name: state[name] for name in HEAD_NAMES}
    moved = any("encoder" in stage.cfg.trains for stage in stages[last + 1 :])
    if moved:
        for stage in stages[: last + 1]:
            if (parts := stage.folder / "parts.safetensors").exists():
                state |= {name: value for name, value in load_file(parts).items() if name.startswith(ENCODER)}
    save_file(state, folder / FILE, metadata={"format": "pt"})
    return {"text_encoder": to_dict(experiment.text_encoder), "stage": stages[last].name, "own_encoder": moved}


@dataclass(frozen=True)
class Texts:
    """The key of config.json's "zero_shot" that decides which text encoder is loaded."""

    text_encoder: Slot = slot("text_encoder")


class ZeroShot:
    """ECGs and texts as unit vectors in the space that a contrastive stage has learnt.

    encoder: the stage's; heads: `HEAD_NAMES` and their tensors; text_encoder: that the stage compared with.
    """

    def __init__(self, encoder: Encoder, heads: Mapping[str, Tensor], text_encoder: Any) -> None:
        self.encoder, self.text_encoder = encoder, text_encoder
        self.heads = {name: heads[name].float() for name in HEAD_NAMES}

    def texts(self, texts: Sequence[str]) -> Tensor:
        """float32 `[n, d]` of n texts."""
        return projected(self.text_encoder.encode(list(texts)), self.heads, "text")

    def ecgs(self, pooled: Tensor) -> Tensor:
        """float32 `[n, d]` of the encoder's pooled vectors `[n, dim]`, on the CPU."""
        return projected(pooled.cpu(), self.heads, "ecg")


def open_zero_shot(folder: Path, encoder: Encoder, text_encoder: Mapping[str, Any] | None = None) -> ZeroShot:
    """What a folder keeps of its contrastive stage.

    encoder: the folder's own; text_encoder: settings that are others here, such as `{"path": "/models/biobert"}`.
    CheckpointError where the folder keeps nothing of it, or its file is damaged; ConfigError where the text encoder
    cannot be built.
    """
    said = told(folder).get(KEY) if layout(folder) == EXPORTED else None
    if said is None:
        raise CheckpointError(
            f"{folder} cannot rank labels: it keeps no contrastive stage ({FILE}). A run whose curriculum has one, "
            f"exported anew, does; or put a question to the model: model.ask(...)"
        )
    state = weights(folder / FILE)
    if missing := [name for name in HEAD_NAMES if name not in state]:
        raise CheckpointError(f"{folder / FILE}: has no {', '.join(missing)}; is the download whole?")
    settings = {**said["text_encoder"], **(text_encoder or {})}
    chosen = config.build(Texts, {"text_encoder": settings}, f"{folder / CONFIG}")
    if said["own_encoder"]:
        encoder, device = open_encoder(folder)[0], next(encoder.parameters()).device
        fill_encoder(encoder, state, str(folder / FILE))
        encoder.to(device)
    return ZeroShot(encoder, state, chosen.text_encoder.build())
