"""A finished run as one folder that can be kept, shared and read back, in the Hugging Face convention.

model.safetensors (encoder, connector, fusion with its markers), adapter/ (LoRA, as peft has it), llm/ (the LLM, where
its weights were trained in the run; otherwise config.json names the one it goes with), zero_shot.safetensors (of a run
with a contrastive stage: what ranks labels), config.json, and README.md: a model card with the run's own table. Of a
run that trained its encoder alone, that is all there is.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from anyecg import config
from anyecg.checkpoints.card import card
from anyecg.checkpoints.load import CONFIG, ENCODER, FORMAT, LLM, WEIGHTS, fill_encoder
from anyecg.checkpoints.zero_shot import KEY, write_zero_shot
from anyecg.config.schema import GROUPS, Experiment, Slot
from anyecg.evaluation.run import Run
from anyecg.llms.base import LLMConfig
from anyecg.llms.hf import HFConfig, HFLanguageModel
from anyecg.model import ECGLanguageModel
from anyecg.session import Reading
from anyecg.training.assembly import build_model
from anyecg.training.pipeline import load_stage
from anyecg.training.planning import DONE, PlannedStage
from anyecg.types import CheckpointError, DataError

CARD = "README.md"


def export(run: Path | str, folder: Path | str, overwrite: bool = False) -> Path:
    """Write the model of a finished run to a folder, whole or not at all; returns the folder.

    Needs the run's folder and the stages it links to, no data. DataError where the run is not finished or the folder is
    taken; CheckpointError where a stage is missing or does not fit.
    """
    run, folder = Path(run), Path(folder)
    _refuse_taken(folder, overwrite)
    opened = Run.open(run)
    experiment, (metrics, table) = opened.experiment, read(run)
    stages = opened.finished_stages()
    alone = {group for stage in stages for group in stage.cfg.trains} == {"encoder"}
    model = None if alone else assemble(experiment, stages)
    part, old = (folder.with_name(f".{folder.name}.{what}") for what in ("part", "old"))
    for left in (part, old):  # of an export that was killed
        shutil.rmtree(left, ignore_errors=True)
    try:
        part.mkdir(parents=True)
        if model is None:
            parameters, llm, inside = write_encoder(part, experiment, stages), None, False
        else:
            inside = write_model(part, model, experiment, stages)
            parameters = {group: sum(p.numel() for p in named.values()) for group, named in model.groups().items()}
            llm = experiment.llm.name if inside else model.llm.config_name
        facts = [json.loads((stage.folder / DONE).read_text()) for stage in stages]
        (part / CARD).write_text(
            card(run.name, folder.name, experiment, metrics, table, facts, parameters, llm, inside), encoding="utf-8"
        )
        if folder.exists():
            os.rename(folder, old)
        os.rename(part, folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    return folder


def _refuse_taken(folder: Path, overwrite: bool) -> None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / CONFIG).exists() or not (folder / WEIGHTS).exists():
        raise DataError(f"{folder} is there and is no exported model; choose another folder")
    if not overwrite:
        raise DataError(f"{folder} holds an exported model already; choose another folder, or give --overwrite")


def read(run: Path) -> tuple[Mapping[str, Any], str]:
    """A finished run's metrics and its table; DataError where it is not finished."""
    try:
        return json.loads((run / "metrics.json").read_text(encoding="utf-8")), (run / "table.md").read_text(
            encoding="utf-8"
        )
    except FileNotFoundError as error:
        raise DataError(
            f"{run} is not finished: it has no {Path(error.filename).name} yet. Give the command of the run again; "
            "it goes on where it stopped"
        ) from None
    except ValueError as error:
        raise DataError(
            f"{run / 'metrics.json'} cannot be read ({error}); delete it and give the command of the run again"
        ) from error


def assemble(experiment: Experiment, stages: Sequence[PlannedStage]) -> ECGLanguageModel:
    """The model as the run left it. An LLM that was trained in the run comes from its first stage, with the
    tokenizer: no data is read.
    """
    if experiment.llm.component.trained_in_run:
        if experiment.fusion.component.marked and not any("markers" in stage.cfg.trains for stage in stages):
            raise CheckpointError("no stage of this run trained the markers, so they cannot be told without its data")
        common = {f.name: getattr(experiment.llm.config, f.name) for f in fields(LLMConfig)}
        experiment = replace(
            experiment, llm=Slot("hf", HFLanguageModel, HFConfig(path=str(stages[0].folder), dtype="float32", **common))
        )
    model = build_model(experiment, None)
    for stage in stages:
        load_stage(model, stage)
    return model


def write_model(folder: Path, model: ECGLanguageModel, experiment: Experiment, stages: Sequence[PlannedStage]) -> bool:
    """Weights and config.json; returns whether the LLM's own weights are among them."""
    save_file(model.part_state(GROUPS), folder / WEIGHTS, metadata={"format": "pt"})
    trained = {group for stage in stages for group in stage.cfg.trains}
    inside = (
        experiment.llm.component.trained_in_run
        or "llm_weights" in trained
        or (model.llm.tuning == "full" and "llm" in trained)
    )
    llm = config.to_dict(experiment.llm)
    if inside:
        model.llm.save_weights(folder / LLM)
        common = {f.name: llm[f.name] for f in fields(LLMConfig)}
        llm = {"name": "hf", "path": f"./{LLM}", "dtype": str(model.llm.lm.dtype).removeprefix("torch."), **common}
    if model.llm.tuning == "lora":
        model.llm.save_tuned(folder)
        _name_base(folder / "adapter", LLM if inside else model.llm.config_name)
    parts = {"connector": config.to_dict(experiment.connector), "fusion": config.to_dict(experiment.fusion), "llm": llm}
    _write_config(folder, experiment, stages, parts)
    return inside


def write_encoder(folder: Path, experiment: Experiment, stages: Sequence[PlannedStage]) -> dict[str, int]:
    """The encoder of a run that trained nothing else, and config.json; returns group -> number of parameters."""
    encoder, state = experiment.encoder.build(), {}
    for stage in stages:
        state |= load_file(stage.folder / "parts.safetensors")
    fill_encoder(encoder, state, str(stages[-1].folder))
    held = {f"{ENCODER}{name}": value.contiguous() for name, value in encoder.state_dict().items()}
    save_file(held, folder / WEIGHTS, metadata={"format": "pt"})
    _write_config(folder, experiment, stages, {"connector": None, "fusion": None, "llm": None})
    return {"encoder": sum(parameter.numel() for parameter in encoder.parameters())}


def _write_config(
    folder: Path, experiment: Experiment, stages: Sequence[PlannedStage], parts: Mapping[str, Any]
) -> None:
    """config.json, and beside it what the contrastive stage learnt to compare with."""
    encoder = config.to_dict(experiment.encoder)
    for key, none in {"pretrained": False, "weights": None}.items():
        if key in encoder:
            encoder[key] = none  # where its first weights came from; these are the trained ones
    told = {
        "model_type": "anyecg",
        "anyecg": {"format": FORMAT, "version": version("anyecg")},
        "encoder": encoder,
        **parts,
        "reading": config.to_dict(Reading(experiment.input.max_seconds, experiment.input.max_ecgs)),
        KEY: write_zero_shot(folder, experiment, stages),
        "experiment": _without_places(config.to_dict(experiment)),
    }
    (folder / CONFIG).write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _name_base(adapter: Path, base: str) -> None:
    """The LLM that an adapter belongs to, in its own configuration; peft wrote where the weights lay, or nothing."""
    path = adapter / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": base}, indent=2) + "\n")
    (adapter / CARD).unlink(missing_ok=True)  # peft's own card, an empty form


def _without_places(value: Any) -> Any:
    """A configuration without the folders of the machine that ran it: of an absolute path, the last name."""
    if isinstance(value, Mapping):
        return {key: _without_places(part) for key, part in value.items() if key not in ("output", "cache")}
    if isinstance(value, list):
        return [_without_places(part) for part in value]
    return Path(value).name if isinstance(value, str) and value.startswith("/") else value
