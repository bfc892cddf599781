"""MultiECG: open questions over two to six ECGs, judged by the facts that an answer gets right (Table 6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from anyecg.config.schema import to_dict
from anyecg.tasks.agreement import correlations
from anyecg.tasks.base import Rubric, Sources, Task, Words
from anyecg.tasks.metrics import judge_notes
from anyecg.tasks.multi_ecg.build import multi_ecg_questions
from anyecg.tasks.multi_ecg.parser import Facts, read
from anyecg.tasks.multi_ecg.series import MultiECGConfig
from anyecg.tasks.multi_ecg.written import written_questions
from anyecg.types import MARKER, ECGSample

HIGHEST = 5.0
ECGS = "number of ECGs"  # the breakdown with the distributions
SCORES = {"score": "histogram", "judge": "judge_histogram"}  # a judge's column -> its distribution in that breakdown
BINS = ("0", "<1", "<2", "<3", "<4", "<5", "5")  # of a distribution: from the one before up to this one, without it

FIRST_TURN = """A model answered a question about {ecgs} ECGs. It saw the ECGs and not their reports; you have the reports.

The ECGs, by their reports, and the question:
<question>
{question}
</question>

The model's answer:
<answer>
{answer}
</answer>

Score this answer by the reports, where 0 means completely wrong and 5 means completely right. Say what in it is right, what is wrong and what is missing."""  # noqa: E501
SECOND_TURN = "So what is the final score? Reply with one number between 0 and 5 and nothing else."


class MultiECG(Task):
    """Answers over several ECGs: a deterministic judge of findings on the paper's 0 to 5 scale (Table 6).

    The judge reads facts from the answer and from the reference with one reader for the question's kind (which
    findings, new or resolved, in which ECG, how many, yes or no: `anyecg.tasks.multi_ecg.parser`). The score is 5 times
    the F1 of the two
    sets: 5 if they are the same in any order or wording, 0 if they share nothing, so a wrong yes or no, count or ECG is
    0, and each fact too few or too many takes its share. An answer without a readable fact is unparsed and scores 0.

    Where an LLM judge is configured (`evaluation.judge`), its scores stand beside these with their correlation. It sees
    the question, each ECG's report and the answer, as the paper's does, and not the reference.
    """

    Config = MultiECGConfig
    name = "multi_ecg"
    pools = ("multi_ecg",)
    version = 7
    by_content = ("writer",)
    title = "Several ECGs"
    rule = (
        "two to six ECGs of one patient in order of time, with dates; answers by rule from the findings that the "
        "reports assert, or written by an LLM and "
        "checked against them."
    )
    needs = "it asks of corpora with several reported ECGs of a patient: add corpora.mimic or corpora.ptbxl"
    words = {"multi_ecg": Words(78, 14, 19)}
    primary = "score"
    metrics = {
        "score": "mean score of the findings judge, 0 to 5 (Table 6 is judged by an LLM on this scale)",
        "score_N": "the same over questions with N ECGs, N from 2 to 6",
        "highest": "share of answers with the highest score, 0 to 1 (Figure 3)",
        "judge_score": "mean score of the LLM judge over the answers it scored, 0 to 5 (Table 6)",
        "judge_score_N": "the same over questions with N ECGs, N from 2 to 6 (Table 6)",
        "judge_highest": "share of the answers it scored that have its highest score, 0 to 1 (Figure 3)",
        "judge_pearson": "Pearson's correlation of the two judges over the answers both scored, -1 to 1",
        "judge_spearman": "Spearman's rank correlation of the two judges over the answers both scored, -1 to 1",
    }
    groups = {"kind": "kind", ECGS: "ecgs"}
    shown = ("highest", "judge_score", "judge_highest")
    ranked = tuple(SCORES)
    rubric = Rubric({"judge": SECOND_TURN})
    stated = frozenset({"date"})  # of each ECG, since questions ask what came when
    kinds = ("kind",)

    def settings(self, sources: Sources) -> dict[str, Any]:
        """Which LLM wrote, not where it is served."""
        writer = self.cfg.writer
        return to_dict(self.cfg) | {"writer": writer.sampling() if writer.url else None}

    def build(self, sources: Sources) -> Iterator[tuple[str, ECGSample]]:
        if self.cfg.writer.url:
            return written_questions(
                sources.stores, self.cfg, sources.seed, sources.dropped, replies=sources.folder / "replies.sqlite"
            )
        return multi_ecg_questions(sources.stores, self.cfg, sources.seed, sources.dropped)

    def answer_kind(self, sample: ECGSample) -> str:
        return sample.meta.get("kind", "")

    def lengths(self, pool: str) -> Sequence[Sequence[float]]:
        return [[10.0] * ecgs for ecgs in range(2, self.cfg.max_ecgs + 1)]

    @classmethod
    def figures(
        cls, summary: Mapping[str, Any], drawn: Sequence[Mapping[str, Any]]
    ) -> dict[str, Callable[[Path], list[Path]]]:
        from anyecg.tasks.multi_ecg.figures import score_distributions  # matplotlib: for who draws

        return {"scores": partial(score_distributions, summary)}

    def parse(self, text: str, sample: ECGSample) -> Facts | None:
        """The facts that the answer states; None if there is none to be read."""
        return read(text, sample)

    def agrees(self, sample: ECGSample) -> bool:
        said, meant = self.parse(sample.answer, sample), reference(sample)
        return said is not None and (meant is None or said == meant)

    def measure(self, samples: Sequence[ECGSample], answers: Sequence[Facts | None]) -> pd.DataFrame:
        """`kind`, `ecgs` (how many), `score` (NaN where the reference itself states no fact the judge knows)."""
        return pd.DataFrame(
            {
                "kind": [str(sample.meta.get("kind", "")) for sample in samples],
                "ecgs": [len(sample.records) for sample in samples],
                "score": [judge(answer, read(sample.answer, sample)) for sample, answer in zip(samples, answers)],
            }
        )

    def judging(self, sample: ECGSample, text: str) -> str | None:
        """The paper's first turn: question, reports and answer, for an assessment. None without a report for each
        ECG.
        """
        lines = shown(sample)
        if lines is None:
            return None
        question = "\n".join(line for line, _ in lines)
        answer = text.encode(errors="replace").decode().strip() or "(there is no answer)"
        return FIRST_TURN.format(ecgs=len(sample.records), question=question, answer=answer)

    def compute(self, rows: pd.DataFrame) -> dict[str, float]:
        found, ecgs = {}, rows["ecgs"].to_numpy()
        for column, prefix in (("score", ""), ("judge", "judge_")):
            scores = rows[column].to_numpy(float) if column in rows else np.full(len(rows), np.nan)
            judged = ~np.isnan(scores)
            if judged.any():
                found |= {
                    f"{prefix}score": scores[judged].mean(),
                    f"{prefix}highest": (scores[judged] == HIGHEST).mean(),
                }
                found |= {f"{prefix}score_{n}": scores[judged & (ecgs == n)].mean() for n in np.unique(ecgs[judged])}
        if "judge" in rows:
            found |= {f"judge_{name}": value for name, value in correlations(rows["score"], rows["judge"]).items()}
        return {name: float(value) for name, value in found.items()}

    def blocks(self, rows: pd.DataFrame) -> dict[str, dict[str, dict]]:
        """As every task's; the breakdown by number of ECGs also has each judge's distribution: answers in each of
        `BINS`.
        """
        blocks = super().blocks(rows)
        for ecgs, group in blocks[ECGS].items():
            part = rows[rows["ecgs"] == int(ecgs)]
            group |= {
                name: distribution(part[column].to_numpy(float)) for column, name in SCORES.items() if column in part
            }
        return blocks

    def notes(self, rows: pd.DataFrame) -> list[str]:
        left_out, notes = int(rows["score"].isna().sum()), []
        if left_out:
            notes.append(
                f"{left_out} questions left out: their reference states nothing that the findings judge can read"
            )
        return notes + judge_notes(rows)


def shown(sample: ECGSample) -> list[tuple[str, bool]] | None:
    """The question as a reader without its ECGs sees it: lines, and whether each has an ECG, whose report stands in its
    place.

    Dates stand where the question has them. None if an ECG has no report.
    """
    if len(sample.evidence) != len(sample.records) or not all(text.strip() for text in sample.evidence):
        return None
    asked = next(
        (
            place
            for place in reversed(range(len(sample.conversation)))
            if sample.conversation[place].role == "assistant"
        ),
        None,
    )
    turns, reports, lines = sample.conversation[:asked], iter(sample.evidence), []
    for turn in turns:
        for line in (turn.text if len(turns) == 1 else f"{turn.role}: {turn.text}").split("\n"):
            pieces = line.split(MARKER) if turn.role == "user" else [line]
            lines.append((pieces[0] + "".join(f"{next(reports)}{piece}" for piece in pieces[1:]), len(pieces) > 1))
    return lines


def distribution(scores: np.ndarray) -> list[int]:
    """How many scores lie in each of `BINS`; NaN in none."""
    scores = scores[~np.isnan(scores)]
    places = np.select([scores == 0, scores >= HIGHEST], [0, len(BINS) - 1], np.floor(scores) + 1)
    return np.bincount(places.astype(int), minlength=len(BINS)).tolist()


def reference(sample: ECGSample) -> Facts | None:
    """The facts that a question's reference is as data, to be read in its answer; None where it has no reference (a
    released one).
    """
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
    return frozenset(("shows", key) for key in data["findings"]) | frozenset(
        ("absent", key) for key in data.get("absent", ())
    )


def judge(answer: Facts | None, reference: Facts | None) -> float:
    """5 times the F1 of an answer's facts against the reference's, 0 to 5; NaN without a reference to judge by."""
    if reference is None:
        return np.nan
    if answer is None:
        return 0.0
    if not answer and not reference:
        return HIGHEST
    return HIGHEST * 2 * len(answer & reference) / (len(answer) + len(reference))
