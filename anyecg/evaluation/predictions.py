"""Answers as they come: a line of JSON each, of one model to one set of questions, from which the same call goes on after a kill."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from anyecg.files import atomic_write
from anyecg.types import DataError, ECGSample, Prediction

log = logging.getLogger(__name__)

Answer = Callable[..., Iterator[Prediction]]  # (samples, view), and what is answered already as `answered=`, where anything is
Key = tuple[str, str, str]  # task, view, question's id
FORMAT = "predictions 1"  # of the file: begins the line beside it that says whose answers it holds


class Answers:
    """The answers kept in a file, and the way to those that are missing.

    given: (task, view, id) -> text. DataError, of a file that is there, where its answers are not those of `key`, another
    version wrote it, or a line cannot be read; anew: answers of another key or version are dropped instead. Only one process may
    hold a file so; `read_predictions` is for all others.
    """

    def __init__(self, path: Path, key: str, anew: bool = False) -> None:
        self.path = path
        claim = path.with_suffix(".key")
        if anew and not (claim.exists() and claim.read_text() == f"{FORMAT}\n{key}"):
            path.unlink(missing_ok=True)
        _claim(claim, path, key)
        _mend(path)
        self.given = read_predictions(path)

    def missing(self, task: str, view: str, samples: Sequence[ECGSample]) -> set[str]:
        """The ids of the questions without an answer."""
        return {sample.id for sample in samples if (task, view, sample.id) not in self.given}

    def ask(self, answer: Answer, task: str, view: str, samples: Sequence[ECGSample], told: Callable[[], None] = lambda: None) -> None:
        """Ask what is missing, writing each answer as it comes; told: called after each.

        `answer` gets all samples and the ids of those answered before, so that it can ask the others in the company that they
        would have had without the interruption. DataError for an answer too few or too many.
        """
        left = self.missing(task, view, samples)
        if not left:
            return
        answered = {sample.id for sample in samples} - left
        with self.path.open("a", encoding="utf-8") as file:
            for prediction in answer(list(samples), view, **({"answered": answered} if answered else {})):
                if prediction.id not in left:
                    raise DataError(f"task {task}, view {view}: an answer to question {prediction.id}, which was not asked or is answered already")
                left.discard(prediction.id)
                self.given[task, view, prediction.id] = prediction.text
                file.write(json.dumps({"id": prediction.id, "task": task, "view": view, "text": prediction.text}) + "\n")
                file.flush()
                told()
        if left:
            raise DataError(f"task {task}, view {view}: {len(left)} questions stayed without an answer: {', '.join(sorted(left)[:5])}")


def read_predictions(path: Path) -> dict[Key, str]:
    """(task, view, id) -> text of a `predictions.jsonl`; a last line that is not whole, of a run that goes on or was killed, is passed over.

    A missing file is empty. Raises DataError naming the line if any other line cannot be read.
    """
    if not path.exists():
        return {}
    given: dict[Key, str] = {}
    for number, line in enumerate(path.read_bytes().decode("utf-8", errors="replace").split("\n")[:-1], start=1):
        try:
            row = json.loads(line)
            if not all(isinstance(row[name], str) for name in ("task", "view", "id", "text")):
                raise ValueError("task, view, id and text must be words")
            given[row["task"], row["view"], row["id"]] = row["text"]
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path}, line {number}: not a prediction ({error}); delete the line to have it asked again") from error
    return given


def _mend(path: Path) -> None:
    """Remove a last line that a kill cut short."""
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        log.warning("%s: the last line was cut short by an interruption and is asked again", path)
        os.truncate(path, whole)


def _claim(path: Path, predictions: Path, key: str) -> None:
    """Remember whose answers the file holds; refuse to add to another model's, or to those of another version's file."""
    known = path.read_text() if path.exists() else ""
    if predictions.exists() and not known.startswith(f"{FORMAT}\n"):
        raise DataError(f"{predictions} was written by another version of anyecg (this one writes '{FORMAT}'); move it away to have all asked again")
    if predictions.exists() and known != f"{FORMAT}\n{key}":
        raise DataError(f"{predictions} holds the answers of another model or set of questions; move it away or choose another folder")
    with atomic_write(path) as part:
        part.write_text(f"{FORMAT}\n{key}")
