"""What an experiment names, built: its data, the evaluation's data, and the model before its first stage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch

from anyecg.config.fingerprint import fingerprint
from anyecg.config.schema import Experiment
from anyecg.data.dataset.built import open_dataset
from anyecg.data.dataset.data import Data
from anyecg.model import ECGLanguageModel
from anyecg.tasks.build import build_data
from anyecg.types import ConfigError


def build_model(experiment: Experiment, data: Data) -> ECGLanguageModel:
    """Encoder, connector and LLM wired by their sizes; each initialised from its own seed, so one never shifts
    another.
    """

    def seeded(part: str, build):
        torch.manual_seed(int(fingerprint(experiment.seed, part, length=8), 16))
        return build()

    encoder = seeded("encoder", experiment.encoder.build)
    llm = seeded("llm", lambda: experiment.llm.build(texts=lambda: training_texts(data), cache=Path(experiment.cache)))
    joint = experiment.connector
    connector = seeded("connector", lambda: joint.component.of(joint.config, encoder, llm))
    fusion = seeded("fusion", lambda: experiment.fusion.build(llm, *connector.tokens(encoder.prefix, encoder.patches)))
    return ECGLanguageModel(encoder, connector, fusion, llm)


def data_of(experiment: Experiment) -> Data:
    """The dataset that the experiment names, or one of its corpora, built where it is not in the cache yet."""
    if experiment.dataset:
        return open_dataset(experiment.dataset, experiment.input_spec.fs)
    return build_data(
        experiment.corpora, experiment.tasks, Path(experiment.cache), experiment.tasks_seed, fs=experiment.input_spec.fs
    )


def evaluation_data(experiment: Experiment, data: Data) -> Data:
    """What the evaluation asks of: `data`, which the stages learn from, or that with corpora and tasks which only
    the evaluation sees.
    """
    settings = experiment.evaluation
    tasks = experiment.tasks | settings.task_settings | experiment.evaluated_tasks()
    if experiment.dataset:
        if settings.corpora or settings.task_settings:
            raise ConfigError(
                "evaluation.corpora, evaluation.task_settings: a built dataset is asked what was built into it; build "
                "it with them, or leave "
                "them out here"
            )
        return data
    if not settings.corpora and tasks == experiment.tasks:
        return data
    return build_data(
        experiment.corpora | settings.corpora,
        tasks,
        Path(experiment.cache),
        experiment.tasks_seed,
        fs=experiment.input_spec.fs,
    )


def training_texts(data: Data) -> Iterator[str]:
    """Every text of the training questions, for a tokenizer that is trained in the run."""
    for row in data.questions.select(split="train"):
        sample = data.questions[int(row)]
        yield from (turn.text for turn in sample.conversation)
        yield from sample.evidence
