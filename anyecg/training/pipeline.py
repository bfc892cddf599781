"""The curriculum: each stage trained once, kept under a key of all that determines it, reused and resumed."""

from __future__ import annotations

import json
import logging
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import lightning as L
from safetensors.torch import load_file, save_file

from anyecg.config import to_dict
from anyecg.experiment import Experiment, StageConfig
from anyecg.data.build import Data
from anyecg.data.collate import Collator
from anyecg.data.datamodule import StageData
from anyecg.fingerprint import fingerprint
from anyecg.model import ECGLanguageModel
from anyecg.training.answering import AnsweringStage
from anyecg.training.contrastive import ContrastiveStage, PairCollator
from anyecg.training.progress import LossCurve
from anyecg.training.resume import AtomicCheckpointIO, Periodic, RandomState
from anyecg.types import CheckpointError, ConfigError

log = logging.getLogger(__name__)

DONE = "stage.json"
EMBEDDINGS = "embeddings"  # of the reports, while a contrastive stage trains
LANGUAGE = "language"  # the stage that teaches an LLM without weights of its own to read, before the curriculum


@dataclass(frozen=True)
class PlannedStage:
    """A stage of this experiment and where its output lies (or will)."""

    name: str
    cfg: StageConfig
    key: str
    folder: Path
    seed: int

    @property
    def done(self) -> bool:
        return (self.folder / DONE).exists()


def plan(experiment: Experiment, data_fingerprint: str) -> list[PlannedStage]:
    """The stages in order with their keys; the same prefix has the same keys in every experiment.

    A key holds the stage's own settings, the seed, the data, the components the stage computes with, and the keys of
    the earlier stages that trained any of those.
    """
    planned, trained_by = [], {}
    warm_up = [LANGUAGE] if experiment.llm.component.trained_in_run else []
    if warm_up and LANGUAGE not in experiment.stages:
        raise ConfigError(f"llm '{experiment.llm.name}' is trained in the run and needs stages.{LANGUAGE}, which is not defined")
    for name in [*warm_up, *experiment.curriculum]:
        cfg = experiment.stages[name]
        parts, groups = _determinants(experiment, cfg)
        parents = sorted({key for group, keys in trained_by.items() if group in groups for key in keys})
        key = fingerprint(name, to_dict(cfg), experiment.seed, data_fingerprint, parts, parents)
        for group in cfg.trains:
            trained_by.setdefault(group, []).append(key)
        folder = Path(experiment.cache) / "stages" / f"{name}-{key}"
        planned.append(PlannedStage(name, cfg, key, folder, int(fingerprint(experiment.seed, name, length=8), 16)))
    return planned


def _determinants(experiment: Experiment, cfg: StageConfig) -> tuple[dict, set[str]]:
    """What a stage's outcome depends on beside its own settings: component settings, and groups of parameters."""
    parts = {"precision": experiment.trainer.precision, "replay": experiment.replay if cfg.replay else None}
    if cfg.objective == "contrastive":
        return parts | {"encoder": to_dict(experiment.encoder), "text_encoder": to_dict(experiment.text_encoder)}, {"encoder"}
    parts["input"] = to_dict(experiment.input)
    llm = to_dict(experiment.llm)
    if "llm_weights" in cfg.trains:  # adapters start as the identity and do not move here
        llm = {k: v for k, v in llm.items() if k not in ("tuning", "lora")}
    if cfg.view == "text":
        return parts | {"llm": llm}, {"markers", "llm", "llm_weights"}
    parts |= {"llm": llm, "encoder": to_dict(experiment.encoder), "connector": to_dict(experiment.connector)}
    return parts, {"encoder", "connector", "markers", "llm", "llm_weights"}


def run_stages(experiment: Experiment, model: ECGLanguageModel, data: Data, text_encoder) -> list[PlannedStage]:
    """Bring `model` to the end of the curriculum, training only what no earlier run has left in the cache."""
    stages = plan(experiment, data.fingerprint)
    for stage in stages:
        if stage.done:
            log.info("%s: reused from %s", stage.name, stage.folder)
        else:
            train(experiment, stage, model, data, text_encoder)
        load_stage(model, stage)
    return stages


def train(experiment: Experiment, stage: PlannedStage, model: ECGLanguageModel, data: Data, text_encoder) -> None:
    """Train one stage, from its last checkpoint if it was interrupted, and keep its output."""
    work = stage.folder.with_name(stage.folder.name + ".partial")
    work.mkdir(parents=True, exist_ok=True)
    if (work / DONE).exists():  # killed after the output was whole
        os.replace(work, stage.folder)
        return
    L.seed_everything(stage.seed, verbose=False)
    trainer_cfg = experiment.trainer
    collator = Collator(model.llm.chat, model.prefix, model.patches, model.llm.context)
    loader = StageData(
        data, stage.cfg, experiment.input, replay=experiment.replay, seed=stage.seed, collate=collator,
        length=collator.length, context=model.llm.context,
        devices=trainer_cfg.devices * trainer_cfg.num_nodes, workers=trainer_cfg.workers,
    )
    if stage.cfg.objective == "contrastive":
        loader.collate = PairCollator(data.questions, loader.visited, text_encoder, work / EMBEDDINGS)
        module = ContrastiveStage(model, stage.cfg, loader.steps, text_encoder.dim)
    elif stage.cfg.objective == "answer":
        module = AnsweringStage(model, stage.cfg, loader.steps)
    else:
        raise ConfigError(f"stages.{stage.name}.objective: '{stage.cfg.objective}' is neither 'answer' nor 'contrastive'")
    log.info("%s: trains %s; %d steps of %d samples: %s", stage.name,
             ", ".join(f"{group} ({count:,})" for group, count in module.trainable.items()), loader.steps, stage.cfg.batch_size,
             ", ".join(f"{pool} {count:,}" for pool, count in loader.counts.items()))
    curve = LossCurve(work / "loss.csv", stage.name, trainer_cfg.log_every, stage.cfg.batch_size)
    trainer = L.Trainer(
        accelerator=trainer_cfg.accelerator, devices=trainer_cfg.devices, num_nodes=trainer_cfg.num_nodes,
        strategy=trainer_cfg.strategy, precision=trainer_cfg.precision, max_steps=loader.steps, max_epochs=1,
        accumulate_grad_batches=loader.accumulate, gradient_clip_val=stage.cfg.clip, use_distributed_sampler=False,
        logger=False, enable_checkpointing=False, enable_model_summary=False, enable_progress_bar=_on_a_terminal(),
        callbacks=[curve, RandomState(), Periodic(work, trainer_cfg.checkpoint_every)], plugins=[AtomicCheckpointIO()],
        default_root_dir=work,
    )
    last = work / "last.ckpt"
    if last.exists():
        log.info("%s: continues from %s", stage.name, last)
    model.train()
    trainer.fit(module, loader, ckpt_path=str(last) if last.exists() else None, weights_only=False)
    if trainer.global_step < loader.steps:
        raise KeyboardInterrupt(f"stage {stage.name} stopped at step {trainer.global_step} of {loader.steps}")
    model.eval()
    save_stage(model, stage, work, {"steps": loader.steps, "samples": loader.counts, "too_long": loader.too_long, "trainable": module.trainable})
    os.replace(work, stage.folder)
    (stage.folder / last.name).unlink(missing_ok=True)
    shutil.rmtree(stage.folder / EMBEDDINGS, ignore_errors=True)


def _on_a_terminal() -> bool:
    return os.isatty(2)


def save_stage(model: ECGLanguageModel, stage: PlannedStage, folder: Path, facts: dict) -> None:
    """Write what the stage trained, nothing else: `parts.safetensors`, the adapter or LLM weights, `stage.json` last."""
    state = model.part_state(stage.cfg.trains)
    if state:
        save_file(state, folder / "parts.safetensors")
    if "llm" in stage.cfg.trains:
        model.llm.save_tuned(folder)
    if "llm_weights" in stage.cfg.trains:
        model.llm.save_weights(folder)
    facts = {"name": stage.name, "key": stage.key, "config": to_dict(stage.cfg), **facts}
    (folder / DONE).write_text(json.dumps(facts, indent=1))


def load_stage(model: ECGLanguageModel, stage: PlannedStage) -> None:
    """Lay a stage's output over the model; CheckpointError if it belongs to another one."""
    parts = stage.folder / "parts.safetensors"
    if parts.exists():
        try:
            model.load_part_state(load_file(parts), str(parts))
        except Exception as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(f"{parts}: cannot be read ({error}); delete the folder {stage.folder} to train the stage again") from error
    if "llm_weights" in stage.cfg.trains:
        model.llm.load_weights(stage.folder)
    if "llm" in stage.cfg.trains:
        model.llm.load_tuned(stage.folder)
    model.requires_grad_(False)
    model.eval()
