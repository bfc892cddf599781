"""ECG-QA: short answers, one or several of a known vocabulary, about one or two ECGs (the paper's Table 7)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anyecg.config.schema import to_dict
from anyecg.data.store.shards import locked
from anyecg.data.store.store import digest
from anyecg.simulate import ecgqa
from anyecg.tasks.base import Sources, Task, folder_problems
from anyecg.tasks.ecg_qa.build import (
    SIMULATED,
    ECGQAConfig,
    ecg_qa_answers,
    ecg_qa_fingerprints,
    ecg_qa_options,
    ecg_qa_questions,
)
from anyecg.tasks.ecg_qa.parser import VERIFY, plain, read_answers, read_verdict
from anyecg.types import ECGSample, Prediction


@dataclass(frozen=True)
class Answer:
    """What was said: `text` as it stands, `items` as the set of its answers, both in lower case."""

    text: str
    items: frozenset[str]


class ECGQA(Task):
    """Exact match of ECG-QA's answers (Table 7; Oh et al. 2023), as a set and as the published string.

    "sinus rhythm, atrial fibrillation" and "atrial fibrillation and sinus rhythm" are the same set and not the same
    string, so the headline is the set's. A set matches whole: an answer too few or too many is wrong.

    info["ecg_qa_options"]: corpus -> template id -> legal answers; info["ecg_qa_answers"]: corpus -> its answer
    vocabulary, which tells the commas and the "and" within an answer from
    those between two. A sample's meta["answers"] are the true ones (without them, `sample.answer` is read), its
    meta["options"] what a yes/no question may be answered with.
    """

    Config = ECGQAConfig
    name = "ecg_qa"
    pools = ("ecg_qa",)
    version = 8
    by_content = ("folders",)
    title = "ECG-QA"
    rule = 'the stated share of ECG-QA, stratified by split, question type and template, with "Please answer briefly."'
    needs = (
        "set evaluation.task_settings.ecg_qa.folders.ptbxl (tasks.ecg_qa.folders.ptbxl if a stage is to learn it too) "
        "to simulated, or to a folder of the "
        "ECG-QA release such as ecgqa/ptbxl"
    )
    primary = "accuracy"
    metrics = {
        "accuracy": "share of questions whose set of answers is the true one, in any order, 0 to 1",
        "accuracy_macro": "mean of the question types' accuracy, 0 to 1",
        "exact_match": "share of questions answered with the true string but for capitals, order, full stop and all, 0 "
        "to 1 (Table 7)",
        "accuracy_published": "share of questions for which the options that occur in the answer are the true set, 0 "
        "to 1 (as PULSE's scorer reads ECGBench's ECG-QA)",
        "exact_match_macro": "mean of the question types' exact_match, 0 to 1",
    }
    groups = {"question type": "question_type", "attribute type": "attribute_type"}
    shown = ("accuracy", "exact_match")
    kinds = ("question_type", "template_id")

    def __init__(
        self, cfg: ECGQAConfig | None = None, info: Mapping[str, Any] | None = None, text_encoder: Any = None
    ) -> None:
        super().__init__(cfg, info, text_encoder)
        self.pools = self.makes(self.cfg)
        corpora = self.info.get("ecg_qa_answers", {})
        self._vocabulary = frozenset(plain(answer) for answers in corpora.values() for answer in answers) - {*VERIFY}

    @classmethod
    def makes(cls, cfg: ECGQAConfig) -> tuple[str, ...]:
        return (cfg.pool,)

    def check(self, corpora: Iterable[str]) -> list[tuple[str, str]]:
        return folder_problems(self.cfg.folders, corpora, "one of ECG-QA, such as ecgqa/ptbxl", but=[SIMULATED])

    def ready(self, sources: Sources) -> bool:
        return all(
            _simulated(corpus, sources).exists() for corpus, root in self.cfg.folders.items() if root == SIMULATED
        )

    def prepare(self, sources: Sources) -> None:
        """Write the ECG-QA of each corpus whose folder is "simulated"."""
        for corpus in (corpus for corpus, root in self.cfg.folders.items() if root == SIMULATED):
            folder = _simulated(corpus, sources)
            folder.parent.mkdir(exist_ok=True)
            with locked(folder.parent):
                if not folder.exists():
                    ecgqa.write_ecgqa(sources.corpora[corpus], folder, sources.seed, progress=sources.progress)

    def settings(self, sources: Sources) -> dict[str, Any]:
        return to_dict(self.cfg) | {"folders": ecg_qa_fingerprints(self._resolved(sources))}

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        return ecg_qa_questions(sources.stores, self._resolved(sources), sources.seed, sources.dropped)

    def origins(self) -> dict[str, tuple[str, Mapping | None]]:
        return {
            f"ecg_qa of {corpus}": ("ecgqa", {} if root == SIMULATED else None)
            for corpus, root in self.cfg.folders.items()
        }

    def shared(self, sources: Sources) -> dict[str, Any]:
        cfg = self._resolved(sources)
        return {"ecg_qa_answers": ecg_qa_answers(cfg), "ecg_qa_options": ecg_qa_options(cfg)}

    def _resolved(self, sources: Sources) -> ECGQAConfig:
        """The settings with the folder of what was simulated."""
        folders = {
            corpus: str(_simulated(corpus, sources)) if root == SIMULATED else root
            for corpus, root in self.cfg.folders.items()
        }
        return replace(self.cfg, folders=folders)

    def parse(self, text: str, sample: ECGSample) -> Answer | None:
        """The answers that `text` gives and nothing besides; None where anything else is left or it contradicts itself
        (`parser`).

        A yes/no question takes one of yes, no and, where it is an option, not sure; the others a set of the vocabulary.
        """
        if _question_type(sample).endswith("verify"):
            allowed = VERIFY if "not sure" in (sample.meta.get("options") or VERIFY) else VERIFY[1:]
            found = read_verdict(text, allowed, _question(sample))
        else:
            more = frozenset(map(plain, sample.meta.get("answers", ())))
            found = read_answers(
                text, self._vocabulary, more, _question(sample), ranges=_question_type(sample).endswith("query")
            )
        return Answer(_as_published(text), found) if found else None

    def secrets(self, sample: ECGSample) -> Sequence[str]:
        """The answers of an open question; one that names other answers too lets choose among them."""
        if not _question_type(sample).endswith("query"):
            return ()
        words, true = plain(_question(sample)), {*map(plain, sample.meta.get("answers", (sample.answer,)))}
        named = [answer for answer in self._vocabulary - true if answer in words]
        return () if named else tuple(true)

    def agrees(self, sample: ECGSample) -> bool:
        said, true = self.parse(sample.answer, sample), self.reference(sample)
        return said is not None and true is not None and said.items == true.items

    def reference(self, sample: ECGSample) -> Answer | None:
        """The true answers."""
        if "answers" not in sample.meta:
            return self.parse(sample.answer, sample)
        return Answer(_as_published(sample.answer), frozenset(map(plain, sample.meta["answers"])))

    def score(self, samples: Sequence[ECGSample], predictions: Iterable[Prediction]) -> pd.DataFrame:
        predictions = list(predictions)
        texts = {prediction.id: prediction.text.lower() for prediction in predictions}
        rows = super().score(samples, predictions)
        return rows.assign(published=[self._as_scorer(texts[sample.id], sample) for sample in samples])

    def _as_scorer(self, text: str, sample: ECGSample) -> float:
        """Right (1) or wrong (0) by the options that occur in an answer; NaN where the question's options are not
        known.
        """
        corpus = sample.records[0].record.partition("/")[0]
        known = self.info.get("ecg_qa_options", {}).get(corpus, {}).get(str(sample.meta.get("template_id")))
        if not known or "answers" not in sample.meta:
            return float("nan")
        found = {option for option in known if option.lower() in text}
        return float({option.lower() for option in found} == {answer.lower() for answer in sample.meta["answers"]})

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[Answer | None]) -> pd.DataFrame:
        """`question_type`, `correct` (the same set) and `exact` (the same string)."""
        pairs = [(answer, self.reference(sample)) for sample, answer in zip(samples, answers, strict=True)]
        return pd.DataFrame(
            {
                "question_type": [_question_type(sample) for sample in samples],
                "attribute_type": [str(sample.meta.get("attribute_type") or "not said") for sample in samples],
                "correct": [None not in pair and pair[0].items == pair[1].items for pair in pairs],
                "exact": [None not in pair and pair[0].text == pair[1].text for pair in pairs],
            }
        )

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        types, found = pd.factorize(rows["question_type"])[0], {}
        for name, column in (("accuracy", "correct"), ("exact_match", "exact")):
            values = rows[column].to_numpy(float)
            found |= {
                name: float(values.mean()),
                f"{name}_macro": float((np.bincount(types, values) / np.bincount(types)).mean()),
            }
        if "published" in rows and rows["published"].notna().any():
            found["accuracy_published"] = float(rows["published"].mean())
        return found


def _as_published(text: str) -> str:
    """A text as the paper's release compares it."""
    return text.strip().lower()


def _question(sample: ECGSample) -> str:
    return next((turn.text for turn in reversed(sample.conversation) if turn.role == "user"), "")


def _question_type(sample: ECGSample) -> str:
    return str(sample.meta.get("question_type", sample.subset))


def _simulated(corpus: str, sources: Sources) -> Path:
    """Where the simulated ECG-QA of a corpus lies, or will."""
    return (
        sources.folder
        / "ecg_qa"
        / f"{corpus}-{digest([ecgqa.VERSION, sources.stores[corpus].fingerprint, sources.seed])}"
    )
