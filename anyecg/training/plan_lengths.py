"""How long the samples of each pool are: measured where the data is built, stated lengths where it is not."""

from __future__ import annotations

import numpy as np

from anyecg.config.schema import Experiment, Slot, StageConfig
from anyecg.data.clips import clips
from anyecg.data.dataset.data import Data
from anyecg.data.loading.collate import Collator
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.llms.chat import Chat
from anyecg.model import ECGLanguageModel
from anyecg.tasks.base import Words
from anyecg.training.flops import Shape
from anyecg.types import InputSpec

MEASURED = 256  # questions of a pool that are looked at
RECORD = 10.0  # s of an ECG of a pool that no task of the experiment makes
TEMPLATE = 11  # tokens that Llama-3's chat template adds to a question and its answer


def shares(stage: StageConfig, replay: float) -> dict[str, float]:
    """Pool -> its share of a stage's samples."""
    weights = stage.weights(replay)
    return {pool: weight / sum(weights.values()) for pool, weight in weights.items()}


def stated(experiment: Experiment, model: ECGLanguageModel, pool: str, view: str) -> list[Shape]:
    """Samples of a pool as they are without data: ECGs as the configuration makes them, text of the stated length."""
    task = experiment.tasks.get(experiment.pools().get(pool))
    words = task.component.words.get(pool, Words()) if task else Words()
    shapes = []
    for counts in _ecgs(experiment, task, pool, model.encoder.input):
        ecgs = [words.evidence if view == "text" else model.places.inside(count) for count in counts]
        text = TEMPLATE + words.question + words.answer
        shapes.append(
            Shape(
                0 if view == "text" else sum(counts),
                sum(ecgs) + 2 * model.places.markers * len(counts) + text,
                words.answer + 1,
            )
        )
    return shapes


def _ecgs(experiment: Experiment, task: Slot | None, pool: str, spec: InputSpec) -> list[list[int]]:
    """Samples of a pool, each as the clips of its ECGs."""
    limits, count = experiment.input, clips(spec).count
    samples = task.build().lengths(pool) if task else [[RECORD]]
    return [[count(min(length, limits.max_seconds)) for length in seconds[: limits.max_ecgs]] for seconds in samples]


def measured(
    experiment: Experiment, model: ECGLanguageModel, pool: str, view: str, data: Data, chat: Chat
) -> list[Shape]:
    """Some training questions of a pool, evenly drawn; an empty list where it has none."""
    rows = data.questions.select(split="train", pool=pool)
    rows = np.random.default_rng(0).permutation(rows)[:MEASURED]
    dataset = QuestionDataset(data.questions, rows, data.stores, experiment.input, view, spec=model.encoder.input)
    collator = Collator(chat, model.places, context=0)
    shapes = []
    for index in range(len(rows)):
        sample = dataset.sample(index)
        counts = dataset.clip_counts(sample)
        shapes.append(Shape(sum(counts), *collator.measure(sample, counts)))
    return shapes
