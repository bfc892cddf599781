"""How long the samples of each pool are: measured where the data is built, stated lengths where it is not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anyecg.data.dataset.data import Data
from anyecg.data.loading.collate import Collator
from anyecg.data.loading.dataset import QuestionDataset
from anyecg.data.clips import clips
from anyecg.config.schema import Experiment, StageConfig
from anyecg.llms.chat import Chat
from anyecg.model import ECGLanguageModel
from anyecg.training.flops import Shape
from anyecg.types import InputSpec

MEASURED = 256  # questions of a pool that are looked at
WINDOWS = 11  # lengths that stand for all between the shortest and the longest
TEMPLATE = 11  # tokens that Llama-3's chat template adds to a question and its answer


@dataclass(frozen=True)
class Words:
    """Tokens of a sample's text without its chat template: of the question, the answer, and (view "text") the words for one ECG."""

    question: int
    answer: int
    evidence: int


# Means over the training questions of simulated corpora with SmolLM2's tokenizer, 136 to 212 questions a pool. Real reports
# differ, and MultiECG answers that an LLM wrote are longer. For any other pool a round figure.
WORDS = {
    "report": Words(10, 21, 19),
    "localization_short": Words(19, 12, 98),
    "localization_long": Words(19, 17, 358),
    "multi_ecg": Words(78, 14, 19),
}
OTHER = Words(20, 20, 20)


def shares(stage: StageConfig, replay: float) -> dict[str, float]:
    """Pool -> its share of a stage's samples."""
    weights = stage.weights(replay)
    return {pool: weight / sum(weights.values()) for pool, weight in weights.items()}


def stated(experiment: Experiment, model: ECGLanguageModel, pool: str, view: str) -> list[Shape]:
    """Samples of a pool as they are without data: ECGs as the configuration makes them, text of the stated length."""
    words = WORDS.get(pool, OTHER)
    shapes = []
    for clips in _ecgs(experiment, pool):
        ecgs = [words.evidence if view == "text" else model.places.inside(count) for count in clips]
        text = TEMPLATE + words.question + words.answer
        shapes.append(Shape(0 if view == "text" else sum(clips), sum(ecgs) + 2 * model.places.markers * len(clips) + text, words.answer + 1))
    return shapes


def _ecgs(experiment: Experiment, pool: str, spec: InputSpec) -> list[list[int]]:
    """Samples of a pool, each as the clips of its ECGs: windows of every length and series of every size are taken as equally frequent."""
    questions, limits = experiment.questions, experiment.input
    if pool == "multi_ecg":
        return [[clips(spec).count(RECORD)] * min(ecgs, limits.max_ecgs) for ecgs in range(2, questions.max_ecgs + 1)]
    seconds = {"localization_short": [questions.short_seconds], "localization_long": np.linspace(*questions.long_seconds, WINDOWS)}
    count = clips(spec).count
    return [[count(min(length, limits.max_seconds))] for length in seconds.get(pool, [RECORD])]


def measured(experiment: Experiment, model: ECGLanguageModel, pool: str, view: str, data: Data, chat: Chat) -> list[Shape]:
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
