"""ECGInstruct's families: features, rhythm, morphology and reports, in closed and open forms (PULSE, Table A1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import cast

import pandas as pd

from anyecg.findings import find
from anyecg.tasks.base import Sources, Task, Words
from anyecg.tasks.ecg_instruct.build import FAMILIES, LETTERS, InstructConfig, instruct_questions
from anyecg.tasks.ecg_qa.parser import read_verdict
from anyecg.tasks.multiple_choice import read_choice
from anyecg.tasks.reply import last_answer, plain_text
from anyecg.types import ECGSample

NONE = ("none", "nothing", "no finding")


class ECGInstruct(Task):
    """Questions by family and form, of what a report asserts: yes or no, lists, lettered options, gaps, free text.

    A closed question counts as right where its whole set is right. Free text (open, report) scores the F1 of the
    findings that it asserts, of the family that is asked for; where neither text asserts any it scores 1. What cannot
    be read scores 0. In a dialogue the last answer is scored; the turns before it are the reference's.
    """

    Config = InstructConfig
    name = "ecg_instruct"
    pools = ("instruct_feature", "instruct_rhythm", "instruct_morphology", "instruct_report")
    version = 1
    title = "ECGInstruct's families"
    rule = (
        "features, rhythm and morphology in yes/no, list, choice, gap, open and dialogue form, by rules from the "
        "findings that a record's report asserts (what it does not assert is taken as absent), and its report; shares "
        "of the forms as PULSE's Table A1"
    )
    needs = "it asks about the reports of the corpora: add corpora.mimic or corpora.ptbxl"
    words = {
        "instruct_feature": Words(45, 6, 20),
        "instruct_rhythm": Words(50, 6, 20),
        "instruct_morphology": Words(50, 10, 20),
        "instruct_report": Words(18, 20, 20),
    }
    primary = "score"
    metrics = {
        "score": "mean over questions, 0 to 1: right or wrong if closed, F1 of the findings if free",
        "closed": "share of closed questions answered right, 0 to 1 (yes/no, list, choice, gap, dialogue)",
        "free": "mean F1 of findings of open answers and reports, 0 to 1",
    }
    groups = {"family": "family", "form": "form"}
    kinds = ("family", "form")

    def check(self, corpora: Iterable[str]) -> list[tuple[str, str]]:
        return [
            ("corpora", f"no corpus of the experiment is called '{name}'")
            for name in self.cfg.corpora
            if name not in {*corpora}
        ]

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        return instruct_questions(sources.stores, cast(InstructConfig, self.cfg), sources.seed, sources.dropped)

    def parse(self, text: str, sample: ECGSample) -> frozenset[str] | None:
        """The findings (or the letter) that an answer gives; None where it cannot be read."""
        form, options = sample.meta["form"], sample.meta["options"]
        if form in ("yes_no", "dialogue"):
            verdict = read_verdict(text, ("yes", "no"))
            return None if verdict is None else frozenset(options if "yes" in verdict else ())
        if form == "choice":
            chosen = read_choice(text, options)
            return None if chosen is None else frozenset({LETTERS[chosen]})
        said = last_answer(plain_text(text)).strip()
        if not any(character.isalnum() for character in said):
            return None
        found = frozenset(find(said))
        return found if sample.meta["family"] == "report" else found & FAMILIES[sample.meta["family"]].keys()

    def agrees(self, sample: ECGSample) -> bool:
        return self.parse(sample.answer, sample) == frozenset(sample.meta["gold"])

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[frozenset[str] | None]) -> pd.DataFrame:
        gold = [frozenset(sample.meta["gold"]) for sample in samples]
        free = [sample.meta["form"] in ("open", "report") for sample in samples]
        return pd.DataFrame(
            {
                "family": [sample.meta["family"] for sample in samples],
                "form": [sample.meta["form"] for sample in samples],
                "free": free,
                "score": [
                    0.0 if said is None else _f1(said, true) if loose else float(said == true)
                    for said, true, loose in zip(answers, gold, free, strict=True)
                ],
            }
        )

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        found = {"score": float(rows["score"].mean())}
        for name, part in (("closed", rows[~rows["free"]]), ("free", rows[rows["free"]])):
            if len(part):
                found[name] = float(part["score"].mean())
        return found


def _f1(said: frozenset[str], true: frozenset[str]) -> float:
    return 2 * len(said & true) / (len(said) + len(true)) if said or true else 1.0
