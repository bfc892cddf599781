"""Counts of hand-labelled answers, read by the parsers: python -m tests.parser_cases [-v] [ROUND].

Answers come from beside the checkout (`../shared/cases/parser-*/answers.tsv`) and from `tests/parser_answers`: a file a
parser and round, labelled before the parsers first saw it.
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
from anyecg.tasks.multiple_choice import read_choice
from anyecg.types import ECGSample, Turn, Window

SHARED = next(
    (folder for parent in Path(__file__).parents if (folder := parent / "shared" / "cases").is_dir()),
    Path("/work/shared/cases"),
)
OWN = Path(__file__).parent / "parser_answers"
ECG_QA = SHARED.parent / "data" / "ecgqa" / "ptbxl" / "answers.csv"
QUESTIONS = {
    "single-verify": "Does this ECG show static noise?", "single-query": "What does this ECG show?",
    "single-choose": "Which does this ECG show, sinus rhythm or atrial fibrillation?",
}  # fmt: skip


def rows(path: Path) -> Iterator[list[str]]:
    """Rows of a table of cases, cells as they stand; the heading of a shared one is left out."""
    lines = path.read_text(encoding="utf-8").split("\n")
    yield from (line.split("\t") for line in lines[path.name == "answers.tsv" :] if line)


def files(name: str) -> list[Path]:
    """The tables of cases of a parser that are there: the shared one first, then each round's."""
    shared = SHARED / f"parser-{name}" / "answers.tsv"
    return [*([shared] if shared.is_file() else []), *sorted(OWN.glob(f"{name}-*.tsv"))]


def sample(task: str, question: str, **meta) -> ECGSample:
    return ECGSample(id="q", task=task, records=(Window("r"),), subset=meta.get("question_type", "mit_bih_arrhythmia"),
                     conversation=(Turn("user", f"<ecg>\n{question}"), Turn("assistant", "")), meta=meta)  # fmt: skip


def localization(path: Path) -> Iterator[tuple[str, object, object]]:
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
    for answer, label, *_ in rows(path):
        found = task.parse(json.loads(answer), asked)
        yield (
            answer,
            ast.literal_eval(label),
            None if found is None else [[round(float(x), 6) for x in pair] for pair in found],
        )


def vocabulary() -> list[str]:
    """The release's answers where they are at hand; else those that the labels name."""
    if ECG_QA.is_file():
        with ECG_QA.open() as file:
            return [row["class"] for row in csv.DictReader(file)]
    named = {name for path in files("ecg-qa") for *_, label in rows(path) for name in ast.literal_eval(label) or ()}
    return sorted(named | {"atrial flutter", "baseline drift", "burst noise", "qt interval", "left axis deviation"})


def ecg_qa(path: Path) -> Iterator[tuple[str, object, object]]:
    task = tasks["ecg_qa"](info={"ecg_qa_answers": {"ptbxl": vocabulary()}})
    for kind, answer, label, *_ in rows(path):
        found = task.parse(json.loads(answer), sample("ecg_qa", QUESTIONS[kind], question_type=kind, template_id=1))
        yield f"{kind} {answer}", ast.literal_eval(label), None if found is None else sorted(found.items)


def judge(path: Path) -> Iterator[tuple[str, object, object]]:
    for answer, label, *_ in rows(path):
        found, _ = read_score(json.loads(answer))
        meant = label if label == "any" else ast.literal_eval(label)
        yield answer, found if meant == "any" else meant, found


def multiple_choice(path: Path) -> Iterator[tuple[str, object, object]]:
    options = ("Sinus rhythm", "Atrial fibrillation", "Atrial flutter", "Sinus tachycardia")
    for answer, label, *_ in rows(path):
        yield answer, ast.literal_eval(label), read_choice(json.loads(answer), options)


CASES = {"localization": localization, "ecg-qa": ecg_qa, "judge": judge, "multiple-choice": multiple_choice}


def verdict(label: object, read: object) -> str:
    return "right" if label == read else "unread" if read is None else "silently wrong"


if __name__ == "__main__":
    wanted = [argument for argument in sys.argv[1:] if argument != "-v"]
    for name, cases in CASES.items():
        for path in files(name):
            if wanted and path.stem.rpartition("-")[2] not in wanted:
                continue
            found = [(verdict(label, read), answer, label, read) for answer, label, read in cases(path)]
            print(f"{name:16} {path.stem:20} {dict(Counter(kind for kind, *_ in found))}")
            if "-v" in sys.argv:
                for row in sorted(found, key=lambda row: row[0]):
                    if row[0] != "right":
                        print("  ", *map(repr, row), sep="\t")
