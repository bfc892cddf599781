"""Zero-shot by likeness, in the manner of MERL: label names, or training reports, ranked against the ECG in the space
that the contrastive stage has learnt.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
import yaml
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from anyecg.answerers.base import Answerer, Fitting
from anyecg.answerers.features import Features, encoder_of
from anyecg.config import shipped
from anyecg.config.checks import Checks
from anyecg.config.code import Code
from anyecg.config.fingerprint import fingerprint
from anyecg.config.schema import to_dict
from anyecg.tasks.classification.build import label_universe
from anyecg.training.pipeline import HEADS
from anyecg.types import CheckpointError, ConfigError, DataError, ECGSample, Prediction

NAMES = "names"
HEAD_NAMES = ("ecg_head.weight", "ecg_head.bias", "text_head.weight", "text_head.bias")
TOGETHER = 1024  # texts embedded at once


class Ranker(Answerer):
    """Cosine between an ECG and what a label's name, or a training report, says; no label of any ECG is learnt.

    Each label has one text and a score that depends on no other label (MERL, arXiv 2403.06659). A report is
    the training report nearest to the ECG.
    """

    label, knows = "ranker (zero-shot)", "label names"
    tasks, uses = frozenset({"classification", "report"}), frozenset({"encoder"})

    @dataclass(frozen=True)
    class Config:
        """What stands for a label."""

        # "names", a label's own, or a YAML file of label -> text, such as experiments/prompts/labels.yaml
        prompts: str = NAMES

        def __post_init__(self) -> None:
            with Checks(self) as check:
                if self.prompts != NAMES and not shipped.find(self.prompts).is_file():
                    check.wrong("prompts", f"there is no file {self.prompts}; give one of label -> text, or '{NAMES}'")

    def fit(self, fitting: Fitting) -> None:
        encoder, known = encoder_of(fitting)
        self.seed = fitting.experiment.evaluation.seed
        self.features = Features(encoder, known, fitting, pooled=True)
        self.encode = fitting.text_encoder.encode
        self.heads = heads_of(fitting)
        prompts = read_prompts(self.cfg.prompts)
        self.labels: dict[str, dict[str, list[str]]] = label_universe(fitting.stores)
        names = sorted({name for sets in self.labels.values() for labels in sets.values() for name in labels})
        self.places = {name: place for place, name in enumerate(names)}
        self.texts = self._project([prompts.get(name.casefold(), name) for name in names]) if names else None
        self.reports: dict[str, tuple[list[str], Tensor]] = {}
        for task in fitting.tasks.keys() - {"classification"}:
            said = {one.evidence[0]: one.answer for one in fitting.training.samples(task) if any(one.evidence)}
            if not said:
                raise DataError(f"the ranker looks for the nearest training report, and {task} has none")
            self.reports[task] = ([*said.values()], self._project([*said]))
        self.key = fingerprint(
            "ranker",
            known,
            prompts,
            self.labels,
            to_dict(fitting.experiment.text_encoder),
            fitting.training.fingerprint,
            Code([Ranker, Features]).fingerprint,
        )

    def answer(
        self, samples: Sequence[ECGSample], view: str, answered: Collection[str] = frozenset()
    ) -> Iterator[Prediction]:
        for sample in (one for one in samples if one.id not in answered):
            ecg = projected(self.features.question(sample, view)[0], self.heads, "ecg")
            if sample.task in self.reports:
                answers, known = self.reports[sample.task]
                yield Prediction(sample.id, answers[int((ecg @ known.T)[0].argmax())])
            else:
                yield self._ranked(sample, (ecg @ self.texts.T)[0].tolist() if self.texts is not None else [])

    def _ranked(self, sample: ECGSample, cosines: Sequence[float]) -> Prediction:
        """The best label of each set in words, and every label's cosine."""
        best, scores = [], {}
        for group, names in self.labels[sample.subset].items():
            found = {name: cosines[self.places[name]] for name in names}
            best.append(max(found, key=found.__getitem__))
            scores |= {f"{sample.subset}.{group}:{name}": value for name, value in found.items()}
        return Prediction(sample.id, "Report: " + ", ".join(dict.fromkeys(best)), scores)

    def _project(self, texts: Sequence[str]) -> Tensor:
        """Unit vectors of texts in the common space, float32 `[n, d]`."""
        found = [self.encode(texts[start : start + TOGETHER]) for start in range(0, len(texts), TOGETHER)]
        return projected(torch.cat(found), self.heads, "text")


def projected(vectors: Tensor, heads: Mapping[str, Tensor], side: str) -> Tensor:
    """Unit vectors in the space that the contrastive stage has learnt, float32 `[n, d]`; side: "ecg" for pooled ECGs
    `[n, dim]`, "text" for a text encoder's vectors `[n, d_text]`; heads: `HEAD_NAMES` and their tensors.
    """
    return F.normalize(F.linear(vectors.float(), heads[f"{side}_head.weight"], heads[f"{side}_head.bias"]), dim=-1)


def heads_of(fitting: Fitting) -> dict[str, Tensor]:
    """The projections of the last stage that has them; ConfigError where none does, CheckpointError for an old one."""
    wanted = [stage for stage in fitting.stages if stage.cfg.objective.component.compares]
    if not wanted:
        raise ConfigError("answerer: the ranker needs a contrastive stage; add one to the curriculum")
    path = wanted[-1].folder / HEADS
    if not path.exists():
        raise CheckpointError(
            f"{path} is missing: the stage was trained before its heads were kept; delete {wanted[-1].folder}, and the "
            f"same command trains it again"
        )
    found = load_file(path)
    if missing := [name for name in HEAD_NAMES if name not in found]:
        raise CheckpointError(f"{path}: has no {', '.join(missing)}; the ranker needs a stage that compares with texts")
    return {name: found[name].float() for name in HEAD_NAMES}


def read_prompts(where: str) -> Mapping[str, str]:
    """Label in lower case -> text; ConfigError for a file that is something else."""
    if where == NAMES:
        return {}
    try:
        content = yaml.safe_load(shipped.find(where).read_text(encoding="utf-8"))
        return {str(name).casefold(): text.strip() for name, text in content.items()}
    except (OSError, yaml.YAMLError, AttributeError) as error:
        raise ConfigError(f"{where}: no prompts can be read, a text for each label is needed ({error})") from error
