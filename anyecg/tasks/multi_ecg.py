"""MultiECG: open questions over two to six ECGs, judged by the facts that an answer gets right (Table 6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from anyecg.tasks.base import Task
from anyecg.tasks.facts import Facts, read
from anyecg.types import ECGSample

HIGHEST = 5.0


class MultiECG(Task):
    """Answers over several ECGs: a deterministic judge of findings on the paper's 0 to 5 scale (Table 6).

    The judge reads facts from the answer and from the reference with one reader for the question's kind (which findings,
    new or resolved, in which ECG, how many, yes or no: `anyecg.tasks.facts`). The score is 5 times the F1 of the two
    sets: 5 if they are the same in any order or wording, 0 if they share nothing, so a wrong yes or no, count or ECG is
    0, and each fact too few or too many takes its share. An answer without a readable fact is unparsed and scores 0.
    """

    name = "multi_ecg"
    primary = "score"
    metrics = {
        "score": "mean score of the findings judge, 0 to 5 (Table 6 is judged by an LLM on this scale)",
        "score_N": "the same over questions with N ECGs, N from 2 to 6",
        "highest": "share of answers with the highest score, 0 to 1 (Figure 3)",
    }
    groups = {"kind": "kind"}

    def parse(self, text: str, sample: ECGSample) -> Facts | None:
        """The facts that the answer states; None if there is none to be read."""
        return read(text, sample)

    def agrees(self, sample: ECGSample) -> bool:
        said, meant = self.parse(sample.answer, sample), reference(sample)
        return said is not None and (meant is None or said == meant)

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[Facts | None]) -> pd.DataFrame:
        """`kind`, `ecgs` (how many), `score` (NaN where the reference itself states no fact the judge knows)."""
        return pd.DataFrame({
            "kind": [str(sample.meta.get("kind", "")) for sample in samples],
            "ecgs": [len(sample.records) for sample in samples],
            "score": [judge(answer, read(sample.answer, sample)) for sample, answer in zip(samples, answers)],
        })

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        scores = rows["score"].to_numpy()
        judged = ~np.isnan(scores)
        if not judged.any():
            return {}
        scores, ecgs = scores[judged], rows["ecgs"].to_numpy()[judged]
        found = {"score": scores.mean(), "highest": (scores == HIGHEST).mean()}
        found |= {f"score_{n}": scores[ecgs == n].mean() for n in np.unique(ecgs)}
        return {name: float(value) for name, value in found.items()}

    def notes(self, rows: pd.DataFrame) -> list[str]:
        unjudged = int(rows["score"].isna().sum())
        return [f"{unjudged} questions left out: their reference states nothing that the findings judge can read"] if unjudged else []


def reference(sample: ECGSample) -> Facts | None:
    """The facts that a question's reference is as data, to be read in its answer; None where it has no reference (a released one)."""
    kind, data = sample.meta.get("kind"), sample.meta.get("reference")
    if data is None:
        return None
    if kind == "changes" and not data["new"] and not data["resolved"]:
        return frozenset([("nothing changes",), *(("shows", key) for key in sample.meta["findings"][data["from"] - 1])])
    if kind == "changes":
        return frozenset((role, key) for role in ("new", "resolved") for key in data[role])
    if kind == "rhythm":
        return frozenset((k, key) for k, keys in enumerate(data["rhythms"], start=1) for key in keys)
    if kind in ("first_seen", "how_many", "present", "persists"):
        role = {"first_seen": "ecg", "how_many": "count"}.get(kind, "answer")
        return frozenset([(role, data[role])])
    return frozenset(("shows", key) for key in data["findings"]) | frozenset(("absent", key) for key in data.get("absent", ()))


def judge(answer: Facts | None, reference: Facts | None) -> float:
    """5 times the F1 of an answer's facts against the reference's, 0 to 5; NaN without a reference to judge by."""
    if reference is None:
        return np.nan
    if answer is None:
        return 0.0
    if not answer and not reference:
        return HIGHEST
    return HIGHEST * 2 * len(answer & reference) / (len(answer) + len(reference))
