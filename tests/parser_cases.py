"""Counts of the hand-labelled answers beside the checkout (`../shared/cases/parser-*/answers.tsv`): python -m
tests.parser_cases [-v].
"""

from __future__ import annotations

import ast
import csv
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from anyecg.evaluation.score_parser import read_score
from anyecg.tasks import tasks
from anyecg.types import ECGSample, Turn, Window

SHARED = next(
    (folder for parent in Path(__file__).parents if (folder := parent / "shared" / "cases").is_dir()),
    Path("/work/shared/cases"),
)
ECG_QA = SHARED.parent / "data" / "ecgqa" / "ptbxl" / "answers.csv"
QUESTIONS = {
    "single-verify": "Does this ECG show static noise?", "single-query": "What does this ECG show?",
    "single-choose": "Which does this ECG show, sinus rhythm or atrial fibrillation?",
}  # fmt: skip


def rows(name: str) -> Iterator[list[str]]:
    """Rows of a table of cases, cells as they stand."""
    lines = (SHARED / f"parser-{name}" / "answers.tsv").read_text(encoding="utf-8").split("\n")
    yield from (line.split("\t") for line in lines[1:] if line)


def sample(task: str, question: str, **meta) -> ECGSample:
    return ECGSample(id="q", task=task, records=(Window("r"),), subset=meta.get("question_type", "mit_bih_arrhythmia"),
                     conversation=(Turn("user", f"<ecg>\n{question}"), Turn("assistant", "")), meta=meta)  # fmt: skip


def localization() -> Iterator[tuple[str, object, object]]:
    """(answer, label, read) of each case."""
    task = tasks["localization"]()
    asked = sample(
        "localization",
        "Where is Premature ventricular contraction?",
        name="Premature ventricular contraction",
        symbol="V",
        seconds=10.0,
        intervals=[],
    )
    for answer, label, *_ in rows("localization"):
        found = task.parse(json.loads(answer), asked)
        yield (
            answer,
            ast.literal_eval(label),
            None if found is None else [[round(float(x), 6) for x in pair] for pair in found],
        )


def ecg_qa() -> Iterator[tuple[str, object, object]]:
    with ECG_QA.open() as file:
        task = tasks["ecg_qa"](info={"ecg_qa_answers": {"ptbxl": [row["class"] for row in csv.DictReader(file)]}})
    for kind, answer, label, *_ in rows("ecg-qa"):
        found = task.parse(json.loads(answer), sample("ecg_qa", QUESTIONS[kind], question_type=kind, template_id=1))
        yield f"{kind} {answer}", ast.literal_eval(label), None if found is None else sorted(found.items)


def judge() -> Iterator[tuple[str, object, object]]:
    for answer, label, *_ in rows("judge"):
        found, _ = read_score(json.loads(answer))
        meant = label if label == "any" else ast.literal_eval(label)
        yield answer, found if meant == "any" else meant, found


CASES = {"localization": localization, "ecg_qa": ecg_qa, "judge": judge}


def verdict(label: object, read: object) -> str:
    return "right" if label == read else "unread" if read is None else "silently wrong"


if __name__ == "__main__":
    for name, cases in CASES.items():
        found = [(verdict(label, read), answer, label, read) for answer, label, read in cases()]
        print(name, dict(Counter(kind for kind, *_ in found)))
        if "-v" in sys.argv:
            for row in sorted(found):
                if row[0] != "right":
                    print("  ", *map(repr, row), sep="\t")
