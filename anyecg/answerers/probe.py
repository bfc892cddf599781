"""A head over an encoder as answerer of classification: on frozen features, linear or attention-pooled, or tuned."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from anyecg.answerers.base import Answerer, Fitting
from anyecg.answerers.features import Features, encoder_of
from anyecg.answerers.labelled import Labelled, known_loss, labelled, thresholds
from anyecg.answerers.learned import descend, learn_once, seed_of, visits
from anyecg.config.checks import Checks
from anyecg.config.code import Code
from anyecg.config.fingerprint import fingerprint
from anyecg.data.clips import clips
from anyecg.tasks.classification.build import label_universe
from anyecg.types import DataError, ECGSample, Prediction, Window

HEADS = ("linear", "attention")

class Head(nn.Module):
    """Tokens `[N, P, dim]` -> logits `[N, labels]`: their mean or a learned query's share, normalised, one layer."""

    def __init__(self, dim: int, labels: int, kind: str) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(dim)
        self.query = nn.Linear(dim, 1) if kind == "attention" else None
        self.out = nn.Linear(dim, labels)

    def forward(self, tokens: Tensor) -> Tensor:
        if self.query is None:
            return self.out(self.norm(tokens.mean(1)))
        return self.out(self.norm((self.query(tokens).softmax(1) * tokens).sum(1)))


class Probe(Answerer):
    """Labels of every set at once by a head over the experiment's encoder, with thresholds from validation."""

    label, knows, tasks, uses = "probe", "training labels", frozenset({"classification"}), frozenset({"encoder"})

    @dataclass(frozen=True)
    class Config:
        """What learns, and from how much."""

        # "frozen", its features kept, or "tuned" with the head (a supervised model where the curriculum is empty)
        encoder: str = "frozen"
        head: str = "linear"  # over the pooled vector, "linear", or over the tokens, "attention"
        records: int | None = None  # of the training split, drawn by the seed (None: all)
        epochs: int = 30  # passes over them
        batch_size: int = 64  # recordings a step
        lr: float = 3e-3  # peak learning rate of AdamW
        weight_decay: float = 0.01  # of AdamW

        def __post_init__(self) -> None:
            with Checks(self) as check:
                check.among("encoder", ("frozen", "tuned"))
                check.among("head", HEADS)
                check.number("records", "epochs", "batch_size", least=1)
                check.number("lr", above=0)
                check.number("weight_decay", least=0)

    def fit(self, fitting: Fitting) -> None:
        experiment, cfg = fitting.experiment, self.cfg
        encoder, known = encoder_of(fitting)
        self.seed = experiment.evaluation.seed
        universe = label_universe(fitting.stores)
        self.labels = [f"{c}.{s}:{name}" for c, sets in universe.items() for s, names in sets.items() for name in names]
        train, val = (labelled(fitting, split, self.labels) for split in ("train", "val"))
        if not train[0] or not val[0]:
            raise DataError("the probe learns from labels, and no corpus has them in its training and validation split")
        if cfg.records is not None:
            few = np.random.default_rng(experiment.seed).permutation(len(train[0]))[: cfg.records]
            train = ([train[0][place] for place in few], train[1][few])
        code = Code([Probe, Head, Features, labelled, known_loss, thresholds]).fingerprint
        self.key = fingerprint("probe", cfg, known, experiment.seed, fitting.stores.fingerprint, self.labels, code)
        torch.manual_seed(seed_of("probe", experiment.seed))
        self.head = head = Head(encoder.dim, len(self.labels), cfg.head).to(next(encoder.parameters()).device)
        if cfg.encoder == "frozen":
            features = Features(encoder, known, fitting, pooled=cfg.head == "linear")
            facts = learn_once(
                head, experiment.cache, "probe", self.key, lambda: self._learn(features, train, val, experiment.seed)
            )
        else:
            encoder.requires_grad_(True)
            net = nn.ModuleDict({"encoder": encoder, "head": head})
            facts = learn_once(
                net, experiment.cache, "probe", self.key, lambda: self._tune(net, fitting, train, val, experiment.seed)
            )
            features = Features(encoder, self.key, fitting, pooled=cfg.head == "linear")
        self.features, self.thresholds = features, np.array(facts["thresholds"])

    def answer(
        self, samples: Sequence[ECGSample], view: str, answered: Collection[str] = frozenset()
    ) -> Iterator[Prediction]:
        for sample in samples:
            if sample.id not in answered:
                likely = self._likely(self.features.question(sample, view)[:1])[0]
                own = [place for place, name in enumerate(self.labels) if name.startswith(f"{sample.subset}.")]
                said = [place for place in own if likely[place] >= self.thresholds[place]]
                names = [self.labels[place].partition(":")[2] for place in said or [max(own, key=likely.__getitem__)]]
                scores = {self.labels[place]: float(likely[place]) for place in own}
                yield Prediction(sample.id, "Report: " + ", ".join(dict.fromkeys(names)), scores)

    @torch.inference_mode()
    def _likely(self, tokens: Tensor) -> np.ndarray:
        return self.head(tokens.to(self.head.out.weight.device)).sigmoid().double().cpu().numpy()

    def _learn(self, features: Features, train: Labelled, val: Labelled, seed: int) -> Mapping:
        tokens, cfg = features(train[0]), self.cfg
        steps = -(-cfg.epochs * len(tokens) // cfg.batch_size)

        def losses() -> Iterator[Tensor]:
            self.head.train()
            for places in visits(len(tokens), cfg.batch_size, steps, np.random.default_rng(seed)):
                yield known_loss(self.head(tokens[places].to(self.head.out.weight.device)), train[1][places])

        loss = descend(self.head, losses(), steps, cfg.lr, cfg.weight_decay)
        self.head.eval()
        likely = self._likely(features(val[0]))
        return {"loss": loss, "records": len(tokens), "thresholds": thresholds(likely, val[1].numpy())}

    def _tune(self, net: nn.ModuleDict, fitting: Fitting, train: Labelled, val: Labelled, seed: int) -> Mapping:
        encoder: Any = net["encoder"]
        head, cfg = self.head, self.cfg
        made, device = clips(encoder.input), next(encoder.parameters()).device
        steps = -(-cfg.epochs * len(train[0]) // cfg.batch_size)

        def logits(windows: Sequence[Window]) -> Tensor:
            shown = [(made.make(*found)[0], found[1]) for found in map(fitting.stores.read, windows)]
            tokens = encoder(*(torch.from_numpy(np.stack(part)).to(device) for part in zip(*shown)))
            return head(encoder.pooled(tokens)[:, None] if cfg.head == "linear" else tokens).cpu()

        def losses() -> Iterator[Tensor]:
            net.train()
            for places in visits(len(train[0]), cfg.batch_size, steps, np.random.default_rng(seed)):
                yield known_loss(logits([train[0][place] for place in places]), train[1][places])

        loss = descend(net, losses(), steps, cfg.lr, cfg.weight_decay)
        net.eval()
        with torch.inference_mode():
            parts = [logits(val[0][start : start + cfg.batch_size]) for start in range(0, len(val[0]), cfg.batch_size)]
        likely = torch.cat(parts).sigmoid().numpy()
        return {"loss": loss, "records": len(train[0]), "thresholds": thresholds(likely, val[1].numpy())}
