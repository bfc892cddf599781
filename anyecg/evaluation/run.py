"""A run: one experiment from its data to its table, and the folder that keeps all of it."""

from __future__ import annotations

import json
import logging
import os
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import torch
import yaml

from anyecg import config
from anyecg.answerers import answerers
from anyecg.answerers.base import Answerer, Fitting, TrainingQuestions
from anyecg.config.fingerprint import fingerprint
from anyecg.config.schema import Experiment
from anyecg.data.dataset.data import Data
from anyecg.evaluation import conversation
from anyecg.evaluation import conversation_metrics as turns
from anyecg.evaluation.comparison import Results, read_run
from anyecg.evaluation.controls import BLIND, SIGNAL, patients_of
from anyecg.evaluation.evaluate import evaluate, predict_share
from anyecg.evaluation.judge import Judge
from anyecg.evaluation.predictions import Key, PredictionStore, read_predictions
from anyecg.evaluation.published import check_row
from anyecg.evaluation.report import figure_data, write_report
from anyecg.evaluation.selection import require_answers, require_questions, require_views, test_samples
from anyecg.files import atomic_write
from anyecg.model import ECGLanguageModel
from anyecg.tasks.base import Task
from anyecg.training.assembly import build_model, data_of, evaluation_data
from anyecg.training.distributed import first_alone, is_first, join, share, together
from anyecg.training.machine import check_machine
from anyecg.training.pipeline import run_curriculum
from anyecg.training.planning import DONE, PlannedStage, check_batches, plan
from anyecg.types import CheckpointError, ConfigError, DataError, ECGSample

log = logging.getLogger(__name__)

FINISHED = "finished"  # in a run's folder, written last: the key of its predictions


class Run:
    """One experiment and its folder. Each part is made when it is first asked for; `claim`, `train`, `share` and
    `evaluate`, in this order, do the run, the last on the first process alone.

    experiment: resolved; folder: what the run leaves; model, stages: at the end of the curriculum, after `train` (there
    may be no model on other processes than the first).
    """

    def __init__(self, experiment: Experiment, folder: Path | str) -> None:
        self.experiment, self.folder = experiment, Path(folder)
        self.model: ECGLanguageModel | None = None
        self.stages: list[PlannedStage] = []

    @classmethod
    def named(cls, experiment: Experiment, name: str) -> Run:
        """The run of an experiment in the folder of that name under `experiment.output`."""
        return cls(experiment, Path(experiment.output) / name)

    @classmethod
    def open(cls, folder: Path | str) -> Run:
        """The run that left a folder, with the configuration that it saved there; DataError where there is none."""
        if not (Path(folder) / "config.yaml").exists():
            raise DataError(
                f"{folder} is not the folder of a run: it has no config.yaml (python -m anyecg.run leaves runs under "
                f"runs/)"
            )
        return cls(config.load(Path(folder) / "config.yaml"), folder)

    @cached_property
    def data(self) -> Data:
        """What the stages learn from, built where it is not in the cache yet."""
        return data_of(self.experiment)

    @cached_property
    def evaluation_data(self) -> Data:
        """What the evaluation's questions are of: `data`, or that with corpora which no stage sees."""
        return evaluation_data(self.experiment, self.data)

    @cached_property
    def answerer(self) -> Answerer:
        """Who answers, not fitted yet."""
        return self.experiment.answerer.build()

    @cached_property
    def text_encoder(self) -> Any:
        return self.experiment.text_encoder.build()

    @cached_property
    def tasks(self) -> dict[str, Task]:
        """The tasks of the evaluation, by name."""
        info = self.evaluation_data.questions.info
        return {key: slot.build(info, self.text_encoder) for key, slot in self.experiment.evaluated_tasks().items()}

    @cached_property
    def samples(self) -> dict[str, list[ECGSample]]:
        """Task -> the questions that the evaluation asks."""
        return {key: self.questions(key) for key in self.experiment.evaluated_tasks()}

    def questions(self, task: str) -> list[ECGSample]:
        """The questions that the evaluation asks of one task."""
        settings = self.experiment.evaluation
        return test_samples(self.evaluation_data, task, settings.split, settings.limit, settings.seed)

    @cached_property
    def scripts(self) -> list[conversation.Script]:
        """The conversations that the evaluation holds."""
        path = self.experiment.evaluation.conversations
        return conversation.read_scripts(path) if path else []

    @property
    def predictions(self) -> dict[Key, str]:
        """(task, view, question's id) -> text, as far as the folder has them."""
        return read_predictions(self.folder / "predictions.jsonl")

    @property
    def results(self) -> Results:
        """Metrics and scores of the finished run; DataError where it is not finished."""
        return read_run(self.folder)

    def finished_stages(self) -> list[PlannedStage]:
        """The finished run's stages in order, from the links in its folder, no data read; CheckpointError names the
        one that is missing.
        """
        stages = []
        for name in self.experiment.trained():
            link = self.folder / "stages" / name
            if not (link / DONE).exists():
                where = f" ({link} points to {os.readlink(link)})" if link.is_symlink() else ""
                raise CheckpointError(
                    f"{self.folder}: the output of stage '{name}' is missing{where}; put the stages back, or give the "
                    f"command of the "
                    "run again to train it"
                )
            folder = link.resolve()
            key = json.loads((folder / DONE).read_text())["key"]
            stages.append(
                PlannedStage(
                    name=name, cfg=self.experiment.stages[name], key=key, folder=folder, seed=self.experiment.seed
                )
            )
        return stages

    def key(self) -> str:
        """The key of everything that determines the run's metrics."""
        settings = {
            k: v
            for k, v in config.to_dict(self.experiment.evaluation).items()
            if k not in ("judge", "conversations", "corpora", "task_settings")
        }
        stages = self.stages or plan(self.experiment, self.data.fingerprint)
        return fingerprint(
            self.experiment.answerer, [stage.key for stage in stages], settings, self.evaluation_data.fingerprint
        )

    def is_finished(self) -> bool:
        """Whether the folder holds all that a run leaves, of this configuration, this data and these stages."""
        if not (self.folder / FINISHED).exists() or _meaning((self.folder / "config.yaml").read_text()) != _meaning(
            config.dump(self.experiment)
        ):
            return False
        return (self.folder / FINISHED).read_text() == self.key()

    def claim(self) -> None:
        """Check the configuration and the machine, connect the processes, and take the folder; an earlier run of
        another configuration is moved aside.
        """
        if self.experiment.paper_row:
            check_row(self.experiment.paper_row)
        check_machine(self.experiment.trainer, self.experiment.llm)
        join(self.experiment.trainer)
        check_batches(self.experiment)
        if is_first():
            claim_folder(self.folder, self.experiment)
            (self.folder / FINISHED).unlink(missing_ok=True)

    def train(self) -> None:
        """Build the data and bring the model to the end of the stages that the answerer needs.

        DataError or ConfigError, before anything is trained, for an evaluation without questions or one that the
        answerer cannot answer.
        """
        with first_alone():
            data, asked, text_encoder = self.data, self.evaluation_data, self.text_encoder
        require_questions(asked, self.experiment, self.scripts)
        require_answers(
            self.answerer, self.experiment.answerer.name, list(self.experiment.evaluated_tasks()), self.scripts
        )
        require_views(
            self.samples,
            self.tasks,
            self.experiment.evaluation.views,
            asked.stores,
            self.patients,
            self.experiment.evaluation.seed,
        )
        if self.answerer.uses is None or self.answerer.uses:
            self.model, self.stages = run_curriculum(
                self.experiment,
                partial(build_model, self.experiment, data),
                data,
                text_encoder,
                everywhere=self.answerer.divides,
            )
        if is_first():
            for stage in self.stages:
                link(self.folder / "stages" / stage.name, stage.folder)

    def share(self) -> None:
        """Where the processes of the run divide the answerer's questions: predict this one's share, and wait for the
        others. What is predicted is kept, where `evaluate` finds it: the same bytes as by one process alone.
        """
        number, processes = share()
        if processes == 1 or not self.answerer.divides:
            return
        with together():
            settings, stores = self.experiment.evaluation, self.evaluation_data.stores
            self.fit(references=False)
            log.info("the questions are divided over %d processes", processes)
            predict_share(
                self.answerer,
                self.samples,
                self.tasks,
                self.store,
                (number, processes),
                views=settings.views,
                seed=settings.seed,
                patients=self.patients,
                seconds=stores.seconds,
                stores=stores,
            )

    @cached_property
    def store(self) -> PredictionStore:
        """All predictions that runs of this cache share."""
        return PredictionStore(Path(self.experiment.cache) / "predictions", self.evaluation_data.stores)

    @cached_property
    def patients(self) -> dict[str, str]:
        """Record -> patient, of the evaluation's questions."""
        return patients_of([sample for part in self.samples.values() for sample in part], self.evaluation_data.stores)

    def fit(self, references: bool = True) -> tuple[Answerer, dict[str, Answerer]]:
        """The answerer, and by name those that stand beside it (none without `references`), ready to answer."""
        if self.model is not None:
            cuda = self.experiment.trainer.accelerator in ("gpu", "cuda", "auto") and torch.cuda.is_available()
            self.model.to("cuda" if cuda else "cpu")
        fitting = Fitting(
            self.experiment,
            TrainingQuestions(self.data),
            self.evaluation_data.stores,
            self.tasks,
            self.model,
            self.stages,
            self.text_encoder,
        )
        if not self.answerer.key:  # not by `share` before
            self.answerer.fit(fitting)
        beside = {}
        for name in self.experiment.evaluation.references if references else ():
            reference = answerers[name]
            if reference is not type(self.answerer):
                beside[name] = reference(reference.Config())
                beside[name].fit(fitting)
        return self.answerer, beside

    def evaluate(self) -> None:
        """Predict, score and write everything that a run leaves; on the first process alone."""
        experiment, settings, stores = self.experiment, self.experiment.evaluation, self.evaluation_data.stores
        answerer, references = self.fit()
        judge = Judge(settings.judge, self.folder) if settings.judge.url else None
        facts = {"answerer": {"name": experiment.answerer.name, "knows": answerer.knows}}
        metrics = evaluate(
            answerer,
            self.samples,
            self.tasks,
            self.folder,
            views=settings.views,
            bootstrap=settings.bootstrap,
            seed=settings.seed,
            store=self.store,
            references=references,
            patients=self.patients,
            seconds=stores.seconds,
            stores=stores,
            judge=judge,
            more=lambda found: facts | figure_data(experiment, self.stages, self.samples, self.tasks, stores, found),
        )
        held = []
        if self.scripts:
            views = [view for view in (SIGNAL, BLIND) if view in settings.views]
            held = [
                turns.grid(
                    conversation.hold(
                        answerer,
                        self.scripts,
                        self.samples,
                        self.folder,
                        settings.seed,
                        self.store,
                        views,
                        settings.bootstrap,
                    )
                )
            ]
        write_report(self.folder, experiment, metrics, held)
        with atomic_write(self.folder / FINISHED) as part:
            part.write_text(self.key())


def claim_folder(folder: Path, experiment: Experiment) -> Path:
    """The run's folder with its resolved configuration; an earlier run of another configuration is moved aside.

    Another judge is no other configuration: it scores the answers that are there.
    """
    path = folder / "config.yaml"
    text = config.dump(experiment)
    if path.exists() and _meaning(path.read_text(), judged=False) != _meaning(text, judged=False):
        aside = next(p for p in (folder.with_name(f"{folder.name}.old{i}") for i in range(1, 10_000)) if not p.exists())
        os.rename(folder, aside)
        log.warning("%s held a run of another configuration; it is now %s", folder, aside)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as part:
        part.write_text(text)
    return folder


def _meaning(text: str, judged: bool = True) -> Any:
    """A resolved configuration as plain values, with today's defaults for keys that are newer than it; judged: with
    its LLM judge.
    """
    try:
        values = config.to_dict(config.build(Experiment, yaml.safe_load(text), "config.yaml"))
    except (yaml.YAMLError, ConfigError):
        return text
    if not judged:
        values["evaluation"].pop("judge")
    return values


def link(path: Path, target: Path) -> None:
    """A relative symbolic link, replaced if it points elsewhere."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(os.path.relpath(target, path.parent), target_is_directory=True)
