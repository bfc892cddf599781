"""The curriculum: each stage trained once, kept under a key of all that determines it, reused and resumed."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import lightning as L
from safetensors.torch import load_file, save_file
from torch import Tensor

from anyecg.config.schema import Experiment, to_dict
from anyecg.data.dataset.data import Data
from anyecg.data.store.shards import LOCK, locked
from anyecg.files import atomic_write, checksum, report_write_errors
from anyecg.model import ECGLanguageModel
from anyecg.training.compiled import compiled
from anyecg.training.determinism import deterministic
from anyecg.training.distributed import first_alone, is_first
from anyecg.training.guard import Guard
from anyecg.training.job import StageJob
from anyecg.training.matmul import matmul_by
from anyecg.training.planning import DONE, PlannedStage, plan
from anyecg.training.preemption import Preemption
from anyecg.training.progress import Bar, LossCurve
from anyecg.training.resume import LAST, AtomicCheckpointIO, Periodic, RandomState
from anyecg.training.validation import Validation, schedule
from anyecg.types import CheckpointError, ConfigError

log = logging.getLogger(__name__)

HEADS = "heads.safetensors"  # in a stage's folder: what its objective learnt beside the model, where there is any
SCRATCH = "scratch"  # in a stage's work folder: what its objective needs while it trains


def run_stages(experiment: Experiment, model: ECGLanguageModel, data: Data, text_encoder) -> list[PlannedStage]:
    """Bring `model` to the end of the curriculum, training only what no earlier run has left in the cache."""
    stages = plan(experiment, data.fingerprint)
    for stage in stages:
        if reused(stage):
            log_reuse(stage)
        else:
            train(experiment, stage, model, data, text_encoder)
        load_stage(model, stage)
    return stages


def run_curriculum(
    experiment: Experiment, build: Callable[[], ECGLanguageModel], data: Data, text_encoder, everywhere: bool = False
) -> tuple[ECGLanguageModel | None, list[PlannedStage]]:
    """The model at the end of the curriculum and its stages, by any strategy; on every process but the first there may
    be no model, unless it is wanted `everywhere`.

    build: the model before its first stage. An engine that shards keeps what it was given, so each stage begins with a
    model built anew from the outputs of those before, of whose LLM a process may hold a part only (`Engine.building`).
    """
    engine = experiment.trainer.strategy.build(experiment.trainer)
    if not engine.sharded:
        model = build()
        return model, run_stages(experiment, model, data, text_encoder)
    stages = plan(experiment, data.fingerprint)
    for number, stage in enumerate(stages):
        if reused(stage):
            log_reuse(stage)
            continue
        with engine.building():
            model = _loaded(build(), stages[:number])
        train(experiment, stage, model, data, text_encoder)
    return _loaded(build(), stages) if everywhere or is_first() else None, stages


def _loaded(model: ECGLanguageModel, stages: Sequence[PlannedStage]) -> ECGLanguageModel:
    for stage in stages:
        load_stage(model, stage)
    return model


def log_reuse(stage: PlannedStage) -> None:
    """Log where a stage comes from, a warning where its code is another now."""
    log.info("%s: reused from %s", stage.name, stage.folder)
    if stage.despite:
        log.warning(
            "%s: reused although its code has changed since (%s), as reuse_despite says",
            stage.name,
            ", ".join(stage.despite),
        )


def log_change(stage: PlannedStage) -> None:
    """Log why a stage is trained that the cache has with other code."""
    if earlier := stage.earlier():
        folder, facts = earlier
        log.info(
            "%s: trained again, the code has changed since %s (%s); reuse_despite=[code] reuses that instead",
            stage.name,
            folder,
            ", ".join(stage.changed(facts)) or "of an earlier stage",
        )


def reused(stage: PlannedStage) -> bool:
    """Whether a stage need not be trained: for every process what the first one sees."""
    with first_alone():
        return stage.done


def train(experiment: Experiment, stage: PlannedStage, model: ECGLanguageModel, data: Data, text_encoder) -> None:
    """Train one stage, from its last checkpoint if it was interrupted, and keep its output.

    Of two runs at once, or of a job and the one that was queued after it, the second waits until the first has ended;
    it then has the finished stage, or goes on from the first one's last checkpoint.
    """
    work = stage.folder.with_name(stage.folder.name + ".partial")
    with contextlib.ExitStack() as held:
        with first_alone():
            if is_first():
                _hold(work, held)
                if stage.done:  # by the run that this one waited for
                    log.info("%s: finished meanwhile by another run", stage.name)
                    shutil.rmtree(work, ignore_errors=True)
                elif (work / DONE).exists():  # killed after the output was whole
                    _finish(work, stage)
            finished = stage.done
        if not finished:
            if is_first():
                log_change(stage)
            _train(experiment, stage, work, model, data, text_encoder)


def _hold(work: Path, held: contextlib.ExitStack) -> None:
    """Make the work folder and hold it alone, until `held` closes or this process ends."""
    for last in (False, True):
        work.mkdir(parents=True, exist_ok=True)
        try:
            held.enter_context(locked(work))
            return
        except FileNotFoundError:  # it was just now given its name as a finished stage
            if last:
                raise


def _train(
    experiment: Experiment, stage: PlannedStage, work: Path, model: ECGLanguageModel, data: Data, text_encoder
) -> None:
    L.seed_everything(stage.seed, verbose=False)
    trainer_cfg = experiment.trainer
    job, objective = (
        StageJob(experiment, stage.cfg, stage.seed, model, data, text_encoder, work / SCRATCH),
        stage.cfg.objective.build(),
    )
    with first_alone():  # it counts, and embeds, for all
        loader, validation = objective.batches(job), validation_of(job)
    module = objective.module(job, loader.steps)
    log.info(
        "%s: trains %s; %d steps of %d samples: %s",
        stage.name,
        ", ".join(f"{group} ({count:,})" for group, count in module.trainable.items()),
        loader.steps,
        stage.cfg.batch_size,
        ", ".join(f"{pool} {count:,}" for pool, count in loader.counts.items()),
    )
    engine = module.engine = trainer_cfg.strategy.build(trainer_cfg)
    guard = Guard(work, stage.name, stage.cfg.spike, stage.cfg.on_spike, engine)
    curve = LossCurve(work / "loss.csv", stage.name, trainer_cfg.log_every, stage.cfg.batch_size, guard, validation)
    logger = trainer_cfg.logger.build().logger(work, experiment.name, stage.name, stage.key)
    on_a_terminal, preemption = os.isatty(2), Preemption(work)
    trainer = L.Trainer(
        accelerator=trainer_cfg.accelerator,
        devices=trainer_cfg.devices,
        num_nodes=trainer_cfg.num_nodes,
        strategy=engine.strategy(model),
        precision=trainer_cfg.precision,
        max_steps=loader.steps,
        max_epochs=1,
        accumulate_grad_batches=loader.accumulate,
        gradient_clip_val=engine.clip_value(stage.cfg.clip),
        use_distributed_sampler=False,
        logger=logger or False,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=on_a_terminal,
        callbacks=[
            *([Bar(curve)] if on_a_terminal else []),
            guard,
            *engine.callbacks(stage.cfg.clip),
            *([validation] if validation else []),
            curve,
            RandomState(),
            Periodic(work, trainer_cfg.checkpoint_every),
            preemption,
        ],
        plugins=[AtomicCheckpointIO()],
        default_root_dir=work,
    )
    last = work / LAST
    if last.exists():
        log.info("%s: continues from %s", stage.name, last)
    model.train()
    model.llm.fuse_loss(trainer_cfg.fused_loss)
    with compiled(model, trainer_cfg.compile), matmul_by(trainer_cfg.matmul), deterministic(trainer_cfg.deterministic):
        trainer.fit(module, loader, ckpt_path=str(last) if last.exists() else None, weights_only=False)
    if trainer.global_step < loader.steps:
        raise KeyboardInterrupt(f"stage {stage.name} stopped at step {trainer.global_step} of {loader.steps}")
    model.eval()
    state = engine.gather(trainer, model)
    with first_alone():
        if is_first():
            kept = {}
            if validation and validation.kept:
                step, loss, best = validation.kept
                log.info(
                    "%s: the weights of step %d are kept, whose validation loss %.4f was the lowest",
                    stage.name,
                    step,
                    loss,
                )
                state, kept = state | best, {"kept": {"step": step, "validation_loss": loss}}
            own = {name.removeprefix("model."): tensor for name, tensor in state.items() if name.startswith("model.")}
            heads = {name: tensor for name, tensor in state.items() if not name.startswith("model.")}
            facts = {
                "steps": loader.steps,
                "samples": loader.counts,
                "skipped": loader.skipped,
                "trainable": module.trainable,
            } | kept
            save_stage(model, stage, work, facts, own, heads)
            _finish(work, stage)
    preemption.leave()


def validation_of(job: StageJob) -> Validation | None:
    """The validation of a stage on questions of the split "val", the same for every seed; None where there is none: it
    is not wanted, or no such question can be used, which is ConfigError where the stage keeps its best weights."""
    questions, every = schedule(job.cfg)
    if not questions:
        return None

    def there(weights: Mapping[str, float]) -> dict[str, float]:
        return {
            pool: weight for pool, weight in weights.items() if len(job.data.questions.select(split="val", pool=pool))
        }

    cfg = replace(job.cfg, samples=questions, tasks=there(job.cfg.tasks), replay=there(job.cfg.replay))
    try:
        loader = job.cfg.objective.build().batches(replace(job, cfg=cfg, seed=0, split="val"))
    except ConfigError as error:
        if job.cfg.keep == "best":
            raise ConfigError(
                f"keep: best is by the validation loss, and there is none: {error}; write keep: last"
            ) from error
        log.info("no validation loss: %s", error)
        return None
    return Validation(loader.batches(), every, best=job.cfg.keep == "best")


def _finish(work: Path, stage: PlannedStage) -> None:
    """Drop what only a resume needs, and give the folder its name last."""
    (work / LAST).unlink(missing_ok=True)
    shutil.rmtree(work / SCRATCH, ignore_errors=True)
    os.replace(work, stage.folder)
    (stage.folder / LOCK).unlink(missing_ok=True)


def save_stage(
    model: ECGLanguageModel,
    stage: PlannedStage,
    folder: Path,
    facts: dict,
    state: Mapping[str, Tensor] | None = None,
    heads: Mapping[str, Tensor] | None = None,
) -> None:
    """Write what the stage trained, nothing else: `parts.safetensors`, the objective's `heads.safetensors`, the adapter
    or LLM weights, `stage.json` last.

    state: the model's tensors by name, where an engine holds them elsewhere; heads: the objective's own tensors.
    """
    state = model.state_dict() if state is None else state
    parts = model.part_state(stage.cfg.trains, state)
    llm = {name.removeprefix("llm."): tensor for name, tensor in state.items() if name.startswith("llm.")}
    if parts:
        with atomic_write(folder / "parts.safetensors") as part:
            save_file(parts, part)
    if heads:
        with atomic_write(folder / HEADS) as part:
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in heads.items()}, part)
    with report_write_errors(folder):
        if "llm" in stage.cfg.trains:
            model.llm.save_tuned(folder, llm)
        if "llm_weights" in stage.cfg.trains:
            model.llm.save_weights(folder, llm)
    facts = {
        "name": stage.name,
        "key": stage.key,
        "meaning": stage.meaning,
        "code": dict(stage.code),
        "config": to_dict(stage.cfg),
        "files": {str(path.relative_to(folder)): checksum(path) for path in sorted(folder.rglob("*.safetensors"))},
        **facts,
    }
    with atomic_write(folder / DONE) as part:
        part.write_text(json.dumps(facts, indent=1))


def damaged(folder: Path) -> list[Path]:
    """The files of a stage's output that are missing or not as they were written."""
    facts = json.loads((folder / DONE).read_text()) if (folder / DONE).exists() else {}
    written = {folder / name: known for name, known in facts.get("files", {}).items()}
    return [path for path, known in written.items() if not path.is_file() or checksum(path) != known]


def load_stage(model: ECGLanguageModel, stage: PlannedStage) -> None:
    """Lay a stage's output over the model; CheckpointError if it is damaged or belongs to another one."""
    if wrong := damaged(stage.folder):
        raise CheckpointError(
            f"{wrong[0]}: is missing or not as it was written, so the disk or a copy has changed it; delete the folder "
            f"{stage.folder} to train the stage again, or put the file back"
        )
    parts = stage.folder / "parts.safetensors"
    if parts.exists():
        try:
            model.load_part_state(load_file(parts), str(parts))
        except Exception as error:
            if isinstance(error, CheckpointError):
                raise
            raise CheckpointError(
                f"{parts}: cannot be read ({error}); delete the folder {stage.folder} to train the stage again"
            ) from error
    if "llm_weights" in stage.cfg.trains:
        model.llm.load_weights(stage.folder)
    if "llm" in stage.cfg.trains:
        model.llm.load_tuned(stage.folder)
    model.requires_grad_(False)
    model.eval()
