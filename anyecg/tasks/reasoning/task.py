"""Reasoning: chains of steps towards a diagnosis, each step scored, a chain right only if all of its steps are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, ClassVar, cast

import numpy as np
import pandas as pd

from anyecg.config.schema import to_dict
from anyecg.tasks.base import Sources, Task, Words, folder_problems
from anyecg.tasks.multiple_choice import read_choice, read_choices
from anyecg.tasks.reasoning.build import ReasoningConfig, reasoning_questions
from anyecg.tasks.reasoning.released import released_files
from anyecg.tasks.reasoning.steps import POOL
from anyecg.types import ECGSample

NO_OPTION = ("none", "none of these", "none of them", "none of the leads", "no lead", "no leads")
NONE = frozenset({-1})  # the answer that none of the options is right


class Reasoning(Task):
    """Steps of a chain in the manner of ECG-Reasoning-Benchmark (arXiv 2603.14326): finding, lead, wave, measurement,
    decision.

    Truth is by rule from what a corpus measures, or as released. Each step is asked with the true answers of those
    before it in the conversation, as the benchmark does, so that a step is scored for itself; a chain is complete where
    every step of it is right. With `evaluation.limit`, chains that are not asked as a whole count for their steps only.
    """

    Config = ReasoningConfig
    name = "reasoning"
    pools = (POOL,)
    by_content = ("folders",)
    title = "Reasoning"
    rule = (
        "chains of a finding, the leads and the stretch of time that show it, a measurement and a decision, by rule "
        "from the recording's measurements; recordings near a threshold are left out."
    )
    needs = (
        "it asks of corpora that measure: add corpora.ludb or corpora.mimic, or set tasks.reasoning.folders.ptbxl to "
        "ECG-Reasoning-Benchmark's data/ptbxl"
    )
    words: ClassVar = {POOL: Words(question=120, answer=10, evidence=30)}
    primary = "completion"
    metrics = {
        "completion": "share of the chains all of whose steps are right, 0 to 1",
        "depth": "mean share of a chain's steps that are right before the first that is wrong, 0 to 1",
        "step_accuracy": "share of the steps that are right, each given the true answers before it, 0 to 1",
        "decision_accuracy": "share of the decisions that are right, given the true steps, 0 to 1",
        "chance": "step_accuracy of guessing: mean of one in as many as a step has options, or, where several may be "
        "right, as these have subsets, 0 to 1",
    }
    groups = {"step": "kind", "diagnosis": "diagnosis"}
    shown = ("completion", "step_accuracy")
    kinds = ("diagnosis", "kind")

    def check(self, corpora: Iterable[str]) -> list[tuple[str, str]]:
        return folder_problems(self.cfg.folders, corpora, "ECG-Reasoning-Benchmark's data/ptbxl")

    def settings(self, sources: Sources) -> dict[str, Any]:
        contents = {
            corpus: [
                [path.parent.name, path.name, hashlib.blake2b(path.read_bytes(), digest_size=8).hexdigest()]
                for path in released_files(root)
            ]
            for corpus, root in sorted(self.cfg.folders.items())
        }
        return to_dict(self.cfg) | {"folders": contents}

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        cfg = cast(ReasoningConfig, self.cfg)
        return reasoning_questions(sources.stores, cfg, sources.seed, sources.dropped)

    def answer_kind(self, sample: ECGSample) -> str:
        return str(sample.meta["kind"])

    def parse(self, text: str, sample: ECGSample) -> frozenset[int] | None:
        """The options that an answer gives, by letter or text; `NONE` where it says that none of several is right."""
        options = sample.meta["options"]
        if not sample.meta["several"]:
            found = read_choice(text, options)
            return None if found is None else frozenset({found})
        if text.strip(" .").casefold() in NO_OPTION:
            return NONE
        return read_choices(text, options)

    def agrees(self, sample: ECGSample) -> bool:
        return self.parse(sample.answer, sample) == (frozenset(sample.meta["right"]) or NONE)

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[frozenset[int] | None]) -> pd.DataFrame:
        """`chain`, `kind`, `diagnosis`, `correct`; `last`: the row that stands for its chain, where the chain is whole;
        `complete` and `depth` of its chain; `guess`: chance of a guess.
        """
        rows = pd.DataFrame(
            {
                "chain": [sample.meta["chain"] for sample in samples],
                "step": [sample.meta["step"] for sample in samples],
                "steps": [sample.meta["steps"] for sample in samples],
                "kind": [sample.meta["kind"] for sample in samples],
                "diagnosis": [sample.meta["diagnosis"] for sample in samples],
                "correct": [
                    answer == (frozenset(sample.meta["right"]) or NONE)
                    for sample, answer in zip(samples, answers, strict=True)
                ],
                "guess": [
                    1 / (2 ** len(sample.meta["options"]) if sample.meta["several"] else len(sample.meta["options"]))
                    for sample in samples
                ],
            }
        )
        chains = rows.groupby("chain")
        whole = chains["step"].transform("size") == rows["steps"]
        rows["complete"] = chains["correct"].transform("all")
        in_order = rows.sort_values(["chain", "step"])
        right_so_far = in_order.groupby("chain")["correct"].cumprod().astype(bool)
        rows["depth"] = right_so_far.groupby(in_order["chain"]).transform("mean").reindex(rows.index)
        rows["last"] = whole & (rows["step"] == rows["steps"] - 1)
        return rows

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        correct, last = rows["correct"].to_numpy(float), rows["last"].to_numpy(bool)
        found = {"step_accuracy": float(correct.mean()), "chance": float(rows["guess"].mean())}
        if last.any():
            found["completion"] = float(rows["complete"].to_numpy(float)[last].mean())
            found["depth"] = float(rows["depth"].to_numpy(float)[last].mean())
        decisions = rows["kind"].to_numpy(str) == "decision"
        if decisions.any():
            found["decision_accuracy"] = float(np.mean(correct[decisions]))
        return found
