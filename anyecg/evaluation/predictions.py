"""Predictions: kept once by all that determines them, shared by every run, and copied in order into the folder of
each.
"""

from __future__ import annotations

import io
import json
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from anyecg.answerers.base import Answerer
from anyecg.config.fingerprint import fingerprint
from anyecg.data.store.store import Stores
from anyecg.files import atomic_write, report_write_errors
from anyecg.types import DataError, ECGSample, Prediction

log = logging.getLogger(__name__)

Key = tuple[str, str, str]  # task, view, question's id
FORMAT = "2"  # of the kept files: another one where a line or a key changes its meaning
DIGITS = 6  # of a score
ALL = (0, 1)  # the share of the one process there is


class PredictionStore:
    """A folder of predictions by content: a file an answerer and view, a JSON line `{"key", "id", "text"[, "scores"]}`
    a prediction.

    A prediction's key holds the question as it was put (words, windows, recordings) and the company that it was
    answered in (`Answerer.company`), the file's name the answerer with its decoding (`Answerer.key`) and the view.
    Another statistic, task, view or limit so asks for nothing that is kept, and what is kept changes nothing that is
    asked. Several runs may add to a file at once: a line is written in one piece, and the same prediction twice is the
    same.
    """

    def __init__(self, folder: Path | str, stores: Stores | None = None) -> None:
        self.folder, self.stores = Path(folder) / FORMAT, stores

    def predict(
        self,
        answerer: Answerer,
        samples: Sequence[ECGSample],
        view: str,
        told: Callable[[], None] = lambda: None,
        share: tuple[int, int] = ALL,
        turn: int = 0,
    ) -> dict[str, Prediction]:
        """Id -> prediction in the order of the samples: what is kept, and what the answerer adds, kept as it comes;
        told: called for each. share: (n, of how many) parts of the questions, of which this process answers the n-th,
        in a file of its own: processes on several nodes add to none together; turn: which process is the first.

        DataError for a prediction too few or too many.
        """
        path = self.folder / answerer.key / f"{fingerprint(answerer.variant(view))}-{view}.jsonl"
        together = answerer.company(samples, view)
        keys = self._keys(samples, together)
        kept: dict[str, Prediction] = {}
        for each in [path, *sorted(path.parent.glob(f"{path.stem}.*.jsonl"))]:
            kept |= read_kept(each)
        found = {id: kept[key] for id, key in keys.items() if key in kept}
        for _ in found:
            told()
        others = set() if share == ALL else _of_others(keys, together, share, turn)
        if share[0]:
            path = path.with_suffix(f".{share[0]}.jsonl")
        if keys.keys() - found.keys() - others:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("ab", buffering=0) as file:
                if path.stat().st_size and not _ends(path):
                    file.write(b"\n")  # after a line that a kill cut short
                for prediction in answerer.answer(list(samples), view, answered=set(found) | others):
                    if prediction.id in found or prediction.id not in keys:
                        raise DataError(
                            f"view {view}: a prediction for question {prediction.id}, which was not asked or is "
                            f"answered already"
                        )
                    prediction = found[prediction.id] = rounded(prediction)
                    with report_write_errors(path):
                        _write(file, _line({"key": keys[prediction.id], "id": prediction.id}, prediction))
                    told()
        missing = sorted(keys.keys() - found.keys() - others)
        if missing:
            raise DataError(f"view {view}: {len(missing)} questions stayed without an answer: {', '.join(missing[:5])}")
        return {sample.id: found[sample.id] for sample in samples if sample.id in found}

    def _keys(self, samples: Sequence[ECGSample], together: Mapping[str, Sequence[str]]) -> dict[str, str]:
        """Id -> the key of its prediction; DataError for two questions of one id."""
        questions = {sample.id: self._question(sample) for sample in samples}
        if len(questions) < len(samples):
            raise DataError(f"{len(samples) - len(questions)} questions share an id with another; ids must be unique")
        company: dict[tuple[str, ...], str] = {}  # the ids of a batch -> its fingerprint, taken once
        keys = {}
        for id, question in questions.items():
            ids = tuple(together.get(id, ()))
            if ids not in company:
                company[ids] = fingerprint([questions[other] for other in ids])
            keys[id] = fingerprint(question, company[ids], length=20)
        return keys

    def _question(self, sample: ECGSample) -> str:
        """All of a question but what nobody is told before answering: the answer at its end and the evidence."""
        turns = [[turn.role, turn.text] for turn in sample.conversation]
        if turns and turns[-1][0] == "assistant":
            turns.pop()
        windows = [[window.record, window.start, window.end] for window in sample.records]
        sources = (
            [self.stores[window.record.partition("/")[0]].fingerprint for window in sample.records]
            if self.stores is not None
            else []
        )
        return fingerprint(sample.id, sample.task, sample.subset, windows, sources, turns, dict(sample.meta), length=20)


def _of_others(
    ids: Iterable[str], together: Mapping[str, Sequence[str]], share: tuple[int, int], turn: int
) -> set[str]:
    """The questions that another process answers: those that are answered together stay together, in turn."""
    number, world = share
    units = {tuple(together[id]): None for id in together} | {(id,): None for id in ids if id not in together}
    return {id for place, unit in enumerate(units) if (place + turn) % world != number for id in unit}


def read_kept(path: Path) -> dict[str, Prediction]:
    """Key -> prediction of a kept file; a line that cannot be read, such as one that a kill cut short, is asked
    again. A missing file is empty.
    """
    if not path.exists():
        return {}
    kept, damaged = {}, 0
    for line in path.read_bytes().split(b"\n"):
        if not line:
            continue
        try:
            row = json.loads(line)
            kept[str(row["key"])] = _prediction(row)
        except (ValueError, KeyError, TypeError):
            damaged += 1
    if damaged:
        log.warning(
            "%s: %d lines cannot be read, perhaps cut short by an interruption; their questions are asked again",
            path,
            damaged,
        )
    return kept


def write_predictions(path: Path, predictions: Mapping[Key, Prediction]) -> None:
    """A run's `predictions.jsonl`: a line `{"id", "task", "view", "text"[, "scores"]}` a prediction, in order."""
    with atomic_write(path) as part, part.open("wb") as file:
        for (task, view, id), prediction in predictions.items():
            file.write(_line({"id": id, "task": task, "view": view}, prediction))


def read_predictions(path: Path) -> dict[Key, str]:
    """(task, view, id) -> text of a `predictions.jsonl`; a missing file is empty. Raises DataError naming the line
    that cannot be read.
    """
    if not path.exists():
        return {}
    given: dict[Key, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
        try:
            row = json.loads(line)
            given[str(row["task"]), str(row["view"]), str(row["id"])] = _prediction(row).text
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{path}, line {number}: not a prediction ({error}); give the command of the run again, which writes "
                f"it anew"
            ) from error
    return given


def _prediction(row: Mapping[str, Any]) -> Prediction:
    if not isinstance(row["id"], str) or not isinstance(row["text"], str):
        raise ValueError("id and text must be words")
    return Prediction(row["id"], row["text"], row.get("scores"))


def rounded(prediction: Prediction) -> Prediction:
    """The prediction as it is kept: scores of `DIGITS` digits, so that one read back is the one that was written."""
    if prediction.scores is None:
        return prediction
    return replace(prediction, scores={name: round(float(value), DIGITS) for name, value in prediction.scores.items()})


def _line(keys: Mapping[str, str], prediction: Prediction) -> bytes:
    scores = {} if prediction.scores is None else {"scores": dict(prediction.scores)}
    return (json.dumps({**keys, "text": prediction.text, **scores}) + "\n").encode()


def _write(file: io.RawIOBase, line: bytes) -> None:
    """Write all of a line, in one piece where the system takes it; OSError where it takes no more."""
    while line:
        line = line[file.write(line) :]


def _ends(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
