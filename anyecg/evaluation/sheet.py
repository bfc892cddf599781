"""A sheet of answers for people to score, blind to the model, and what their scores say of the judges."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from anyecg.config.fingerprint import fingerprint
from anyecg.evaluation.bootstrap import FEWEST, bounds, replicates
from anyecg.evaluation.tables import MISSING, Grid, with_interval
from anyecg.files import atomic_write
from anyecg.tasks.agreement import agreement, correlations
from anyecg.tasks.multi_ecg.task import HIGHEST, shown
from anyecg.types import MARKER, DataError, ECGSample

CODE, SCORE = "code", "score"
COLUMNS = (CODE, "ecgs", "question", "reference", "answer", SCORE)
JUDGES = {"human": "human", "judge": "LLM judge", "score": "findings judge"}
TOLD = 10  # problems named in one message


def code(id: str, text: str) -> str:
    """What names an answer on the sheet: it tells neither the model nor the kind of question, and changes with the
    answer.
    """
    return "q" + fingerprint(id, text, length=9)  # a letter first: a spreadsheet takes 12e4567 for a number


def draw(samples: Sequence[ECGSample], n: int, seed: int = 0) -> list[ECGSample]:
    """n questions in random order, as many of each number of ECGs as there can be, of different patients first; all if
    there are fewer.

    Questions with an ECG that has no report are passed over: nobody could score their answers. DataError if there are
    no others.
    """
    if n < 1:
        raise DataError(f"--n {n}: give at least one answer to score")
    samples = sorted((sample for sample in samples if shown(sample)), key=lambda sample: sample.id)
    if not samples:
        raise DataError("there are no questions over several ECGs with a report for each: there is nothing to score by")
    rng, seen, ranked = np.random.default_rng(seed), Counter(), []
    for place in rng.permutation(len(samples)):
        sample = samples[place]
        ecgs, patient = len(sample.records), (len(sample.records), sample.patient)
        seen[patient] += 1
        ranked.append((ecgs, seen[patient], len(ranked), sample))
    turns = Counter()
    order = []
    for ecgs, _, place, sample in sorted(ranked, key=lambda row: row[:3]):
        turns[ecgs] += 1
        order.append((turns[ecgs], place, sample))
    chosen = [sample for _, _, sample in sorted(order, key=lambda row: row[:2])[:n]]
    return [chosen[place] for place in rng.permutation(len(chosen))]


def write_sheet(path: Path, samples: Sequence[ECGSample], answers: Mapping[str, str]) -> None:
    """A CSV for a spreadsheet, a row an answer, with an empty column for the score; answers: question's id -> the
    model's text.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for sample in samples:
        lines = shown(sample)
        ecgs, question = ("\n".join(line for line, has in lines if has == kind) for kind in (True, False))
        question = question or sample.conversation[0].text.replace(MARKER, "[ECG]")
        cells = [code(sample.id, answers[sample.id]), ecgs, question, sample.answer, answers[sample.id], ""]
        writer.writerow([_harmless(cell) for cell in cells])
    with atomic_write(path) as part:
        # with its mark, a spreadsheet reads it as UTF-8
        part.write_bytes(text.getvalue().encode("utf-8-sig", errors="replace"))


def read_sheet(path: Path) -> dict[str, tuple[int, float]]:
    """code -> (row of the spreadsheet, the header being row 1; score from 0 to 5). DataError names every row without
    a usable score.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}); give the sheet that export wrote"
        ) from error
    lines = content.decode("utf-8-sig", errors="replace")
    header = lines.splitlines()[0] if lines.strip() else ""
    # a spreadsheet may save with another separator
    rows = csv.reader(io.StringIO(lines, newline=""), delimiter=max(",;\t", key=header.count))
    names = [name.strip().lower() for name in next(rows, [])]
    for name in (CODE, SCORE):
        if name not in names:
            raise DataError(
                f"{path} has no column '{name}' (it has: {', '.join(filter(None, names)) or 'none'}); give the sheet "
                f"that export wrote, saved as CSV"
            )
    found: dict[str, tuple[int, float]] = {}
    wrong = []
    for number, cells in enumerate(rows, start=2):
        if not any(cell.strip() for cell in cells):
            continue
        cells += [""] * (len(names) - len(cells))
        which, said = cells[names.index(CODE)].strip(), cells[names.index(SCORE)].strip()
        problem = _fault(said) or (f"is scored in row {found[which][0]} too" if which in found else "")
        if problem:
            wrong.append(f"row {number} ({which or 'no code'}): {problem}")
        else:
            found[which] = (number, float(said.replace(",", ".")))
    if wrong:
        more = f"\n  and {len(wrong) - TOLD} more" if len(wrong) > TOLD else ""
        raise DataError(
            f"{path}: {len(wrong)} rows have no usable score; give each a number from 0 to 5, or delete the row:\n  "
            + "\n  ".join(wrong[:TOLD])
            + more
        )
    if not found:
        raise DataError(f"{path}: no row has a score")
    return found


def join(
    path: Path, scored: Mapping[str, tuple[int, float]], rows: pd.DataFrame, answers: Mapping[str, str]
) -> pd.DataFrame:
    """`id`, `patient`, `ecgs`, `human`, `score` and, where an LLM judged the run, `judge`, one row an answer that a
    person scored.

    rows: of `Task.score`, with the ECG; answers: question's id -> the model's text. DataError for codes of no answer of
    the run.
    """
    ids = {code(id, answers[id]): id for id in rows["id"] if id in answers}
    unknown = [f"row {number} ({which})" for which, (number, _) in scored.items() if which not in ids]
    if unknown:
        raise DataError(
            f"{path}: {len(unknown)} of {len(scored)} answers are none of this run's, such as "
            f"{', '.join(unknown[:5])}: the sheet is another run's, or the run was evaluated again"
        )
    human = pd.DataFrame({"id": [ids[which] for which in scored], "human": [score for _, score in scored.values()]})
    kept = [name for name in ("id", "patient", "ecgs", "score", "judge") if name in rows]
    return human.merge(rows[kept], on="id", validate="one_to_one")


def agreement_table(joined: pd.DataFrame, resamples: int = 1000, seed: int = 0) -> Grid:
    """How far people, the LLM judge and the findings judge agree, two by two, over the answers that people scored."""
    there = [name for name in JUDGES if name in joined]
    table = []
    for place, one in enumerate(there):
        for other in there[place + 1 :]:
            part = joined[["id", "patient", one, other]].dropna()
            found = agreement(part[one], part[other])
            ends = {}
            if resamples and "pearson" in found and part["patient"].nunique() >= FEWEST:
                drawn = replicates(part, lambda rows: correlations(rows[one], rows[other]), n=resamples, seed=seed)  # noqa: B023
                ends = {
                    name: spread
                    for name, (_, *spread) in bounds(
                        {name: found[name] for name in ("pearson", "spearman")}, drawn
                    ).items()
                }
            cells = [
                with_interval(found.get(name), ends.get(name))
                for name in ("pearson", "spearman", "exact", "within_half", "kappa")
            ]
            table.append([f"{JUDGES[one]} and {JUDGES[other]}", str(found["n"]), *cells])
    means = ", ".join(
        f"{JUDGES[name]} {joined[name].mean():.2f}" if joined[name].notna().any() else f"{JUDGES[name]} {MISSING}"
        for name in there
    )
    notes = [
        f"{len(joined)} answers scored by people, with the ECG; mean scores: {means}",
        "kappa: Cohen's, quadratic weights, of scores rounded to whole numbers; [95 %] intervals by patient",
    ]
    if "judge" not in joined:
        notes.append(
            "the run has no LLM judge: give the command that made it again with evaluation.judge.url= and "
            "evaluation.judge.model="
        )
    header = ["", "answers", "Pearson", "Spearman", "the same", "within 0.5", "weighted kappa"]
    return Grid("Agreement of the judges on the same answers", header, table, notes)


def _fault(said: str) -> str:
    """What is wrong with a person's score, or nothing."""
    if not said:
        return "the score is missing"
    if not re.fullmatch(r"\d+(?:[.,]\d+)?", said):
        return f"'{said[:40]}' is no number"
    return "" if float(said.replace(",", ".")) <= HIGHEST else f"{said} is not between 0 and 5"


def _harmless(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f" {cell}" if cell[:1] in ("=", "+", "-", "@", "\t") else cell
