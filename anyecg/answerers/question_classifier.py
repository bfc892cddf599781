"""ECG-QA as multi-label classification over its answers: ECG tokens and a question's words in a small transformer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from anyecg.answerers.base import Answerer, Fitting
from anyecg.answerers.features import Features, encoder_of
from anyecg.answerers.fusion_transformer import ECGS, WORDS, FusionTransformer
from anyecg.answerers.learned import descend, learn_once, seed_of, visits
from anyecg.config.checks import Checks
from anyecg.config.code import Code
from anyecg.config.fingerprint import fingerprint
from anyecg.types import MARKER, DataError, ECGSample, Prediction

NONE = "none"  # the published answer of an empty set
LEAST = 0.01  # of a probability that is kept as a score
WORD = re.compile(r"[a-z0-9]+")


class QuestionClassifier(Answerer):
    """Fusion-Transformer-like: a sigmoid for each answer of ECG-QA, over a frozen encoder's tokens and the question."""

    label, tasks, uses = "question classifier", frozenset({"ecg_qa"}), frozenset({"encoder"})

    @dataclass(frozen=True)
    class Config:
        """What is known of the answers, and the size of the transformer."""

        # whether answers outside the template's legal ones (of a choice: outside the two named) are left out, as in the
        # published figures; the table then says that it knows them
        options: bool = True
        width: int = 128  # of a token
        layers: int = 2  # of the transformer
        heads: int = 4  # of attention
        epochs: int = 5  # passes over the training questions
        batch_size: int = 64  # questions a step
        lr: float = 1e-3  # peak learning rate of AdamW
        vocabulary: int = 2000  # words of questions that are told apart

        def __post_init__(self) -> None:
            with Checks(self) as check:
                check.number("width", "layers", "heads", "epochs", "batch_size", "vocabulary", least=1)
                check.number("lr", above=0)

    def __init__(self, cfg: Any = None) -> None:
        super().__init__(cfg or self.Config())
        self.knows = "options" if self.cfg.options else "training labels"  # type: ignore[misc]

    def fit(self, fitting: Fitting) -> None:
        experiment, cfg = fitting.experiment, self.cfg
        encoder, known = encoder_of(fitting)
        self.seed = experiment.evaluation.seed
        ((task, about),) = fitting.tasks.items()
        info = about.info
        self.answers_known = list(dict.fromkeys(one for each in info["ecg_qa_answers"].values() for one in each))
        self.options: Mapping[str, Mapping[str, Sequence[str]]] = info.get("ecg_qa_options", {})
        train = list(fitting.training.samples(task))
        if not train:
            raise DataError("the question classifier has no training questions; set tasks.ecg_qa.folders.CORPUS")
        counted = Counter(word for one in train for word in words_of(one))
        common = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[: cfg.vocabulary]
        self.places = {word: 2 + place for place, (word, _) in enumerate(common)}
        self.features = Features(encoder, known, fitting, pooled=False)
        self.key = fingerprint(
            "question_classifier",
            cfg,
            known,
            experiment.seed,
            fitting.training.fingerprint,
            self.answers_known,
            Code([QuestionClassifier, FusionTransformer, Features]).fingerprint,
        )
        torch.manual_seed(seed_of("question_classifier", experiment.seed))
        sizes = (encoder.dim, len(self.places), len(self.answers_known), cfg.width, cfg.layers, cfg.heads)
        self.net = FusionTransformer(*sizes)
        learn_once(
            self.net, experiment.cache, "question_classifier", self.key, lambda: self._learn(train, experiment.seed)
        )

    def answer(
        self, samples: Sequence[ECGSample], view: str, answered: Collection[str] = frozenset()
    ) -> Iterator[Prediction]:
        """A sigmoid above a half is an answer; of a question that has one and gets none, the likeliest is it."""
        for sample in (one for one in samples if one.id not in answered):
            with torch.inference_mode():
                likely = self.net(self._ecgs([sample], view), self._words([sample]))[0].sigmoid().tolist()
            scores = dict(zip(self.answers_known, likely))
            legal = self._legal(sample)
            said = [name for name in legal if scores[name] > 0.5 and name != NONE]
            if not said:
                said = [NONE] if NONE in legal else [max(legal, key=scores.__getitem__)]
            kept = {name: value for name, value in scores.items() if value >= LEAST}
            yield Prediction(sample.id, ", ".join(said), kept)

    def _legal(self, sample: ECGSample) -> list[str]:
        """The answers that may be given, in the vocabulary's order; all of them without `options`."""
        if not self.cfg.options:
            return self.answers_known
        corpus = sample.records[0].record.partition("/")[0]
        legal = set(self.options.get(corpus, {}).get(str(sample.meta["template_id"]), self.answers_known))
        named = set(sample.meta.get("attributes", ())) & legal
        if len(named) > 1:  # a choice
            legal = named | {NONE}
        return [name for name in self.answers_known if name in legal] or self.answers_known

    def _ecgs(self, samples: Sequence[ECGSample], view: str = "signal") -> Tensor:
        """float32 `[N, 2, P, dim]`, NaN where there is no second ECG."""
        found = torch.full((len(samples), ECGS, *self.features.shape), torch.nan)
        for row, sample in zip(found, samples):
            row[: len(sample.records)] = self.features.question(sample, view)[:ECGS]
        return found

    def _words(self, samples: Sequence[ECGSample]) -> Tensor:
        """int64 `[N, W]`, 0 behind the end."""
        ids = [[self.places.get(word, 1) for word in words_of(one)] for one in samples]
        longest = max(map(len, ids))
        return torch.tensor([row + [0] * (longest - len(row)) for row in ids])

    def _learn(self, train: Sequence[ECGSample], seed: int) -> Mapping:
        cfg, place = self.cfg, {name: number for number, name in enumerate(self.answers_known)}
        targets = torch.zeros(len(train), len(place))
        for row, sample in zip(targets, train):
            row[[place[name] for name in sample.meta["answers"] if name in place and name != NONE]] = 1.0
        steps = -(-cfg.epochs * len(train) // cfg.batch_size)

        def losses() -> Iterator[Tensor]:
            self.net.train()
            for places in visits(len(train), cfg.batch_size, steps, np.random.default_rng(seed)):
                some = [train[number] for number in places]
                logits = self.net(self._ecgs(some), self._words(some))
                yield F.binary_cross_entropy_with_logits(logits, targets[places], reduction="sum") / len(some)

        return {"loss": descend(self.net, losses(), steps, cfg.lr), "questions": len(train)}


def words_of(sample: ECGSample) -> list[str]:
    """The question's words in lower case, the last `WORDS` of them."""
    text = next(turn.text for turn in reversed(sample.conversation) if turn.role == "user")
    return WORD.findall(text.replace(MARKER, " ").lower())[-WORDS:]
