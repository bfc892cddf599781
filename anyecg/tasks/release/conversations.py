"""Released files of conversations about pages, the layout of ECGInstruct, ECGBench, ECG-Grounding and ECG-R1.

A row has an `id`, the path of a page (`image`, `image_path`) or of a signal (`ecg`), and `conversations`: a list of
`{from: human | gpt, value}`, the first value beginning with `<image>` (PULSE, section 2.4; ECGBench's `ecgqa-test` has
a list of texts as a value, its `arena` a list of `{question, answer}`). A file is a JSON list, JSON lines, parquet, or
a folder of these. A row's recording is found by the number in the path of its page or signal, else in its id, so that
the same question can be asked over the signal.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from anyecg.data.store.store import Store
from anyecg.tasks.release.rows import read_rows
from anyecg.tasks.report.build import report_text
from anyecg.types import MARKER, SPLITS, DataError, ECGSample, Turn, Window

log = logging.getLogger(__name__)

SUFFIXES = (".json", ".jsonl", ".parquet")
ABSENT = ("stop", "leave_out")  # what a file does that is not there
SPLITS_OF = ("store", "test")  # of a file's questions: that of their recordings, or the test split for all of them
ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant"}
IMAGE = "<image>"
PATHS = ("image_path", "image", "ecg")  # columns that may hold a path
TURNS = ("conversations", "conversation")
COLUMNS = ("id", "No", *PATHS, *TURNS)
_NUMBER = re.compile(r"[A-Za-z]{0,2}\d+")


@dataclass(frozen=True)
class Row:
    """A row of a file. paths: of its page and its signal, as written; turns: in order, images marked by `MARKER`."""

    id: str
    paths: tuple[str, ...]
    turns: tuple[Turn, ...]


def files_of(path: Path | str) -> list[Path]:
    """The files at a path: itself, or those in a folder; DataError where there is none."""
    root = Path(path).expanduser()
    found = (
        [root]
        if root.is_file()
        else sorted(file for suffix in SUFFIXES for file in root.rglob(f"*{suffix}") if not file.name.startswith("."))
    )
    if not found or any(file.suffix not in SUFFIXES for file in found):
        raise DataError(f"{root}: is no file of conversations ({', '.join(SUFFIXES)}) and no folder of them")
    return found


def file_problems(files: Mapping[str, str], absent: str) -> list[tuple[str, str]]:
    """What is wrong with a task's `files`, as (key, message); absent: one of `ABSENT`."""
    wrong = []
    for name, path in files.items() if absent == "stop" else ():
        try:
            files_of(path)
        except DataError as error:
            wrong.append((f"files.{name}", f"{error}; set it to a file or folder of the release"))
    return wrong


def present(files: Mapping[str, str], absent: str) -> dict[str, str]:
    """Those of a task's `files` that are there, in the order of their names; what is left out is logged."""
    found = {}
    for name, path in sorted(files.items()):
        if absent == "leave_out" and not Path(path).expanduser().exists():
            log.warning("files.%s: there is no %s; its questions are left out", name, path)
        else:
            found[name] = path
    return found


def content(path: Path | str) -> list[str]:
    """What the files at a path hold, as a digest each."""
    return [_digest(file, file.stat().st_size, file.stat().st_mtime_ns) for file in files_of(path)]


@lru_cache(maxsize=256)
def _digest(path: Path, size: int, changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]


def conversations(path: Path | str, dropped: Counter, pool: str) -> Iterator[Row]:
    """Every sound row of the files at a path, in order; the others are counted. DataError where a file is broken."""
    for file in files_of(path):
        for number, raw in enumerate(_raw(file), start=1):
            row = _row(raw, number)
            if isinstance(row, str):
                dropped[pool, row] += 1
            else:
                yield row


def _raw(path: Path) -> Iterator[Any]:
    if path.suffix == ".parquet":
        try:
            with pq.ParquetFile(path) as file:
                names = [name for name in COLUMNS if name in file.schema_arrow.names]
                # a page itself, as ECGBench brings it along, is not read
                flat = [name for name in names if not pa.types.is_struct(file.schema_arrow.field(name).type)]
                for batch in file.iter_batches(256, columns=flat):
                    yield from batch.to_pylist()
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"{path}: is no parquet file that can be read ({error}); download it again") from error
    elif path.suffix == ".jsonl":
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1):
            try:
                if line.strip():
                    yield json.loads(line)
            except ValueError as error:
                raise DataError(f"{path}, line {number}: is no JSON ({error}); download it again") from error
    else:
        yield from read_rows(path)


def _row(raw: Any, number: int) -> Row | str:
    """A row of a file, or what is wrong with it."""
    if not isinstance(raw, dict):
        return "row that is no object"
    listed = next((raw[name] for name in TURNS if isinstance(raw.get(name), list)), None)
    if not listed:
        return "row without a conversation"
    turns: list[Turn] = []
    for one in listed:
        if not isinstance(one, dict):
            return "row without a conversation"
        if "question" in one:  # of arena
            turns += [Turn("user", _text(one["question"])), Turn("assistant", _text(one.get("answer")))]
        elif one.get("from") in ROLES:
            turns.append(Turn(ROLES[one["from"]], _text(one.get("value"))))
        elif one.get("from") == "system":
            continue
        else:
            return "turn of an unknown speaker"
    if [turn.role for turn in turns] != ["user", "assistant"] * (len(turns) // 2) or not turns:
        return "conversation that is not question and answer in turn"
    if any(MARKER in turn.text for turn in turns) or not all(turn.text.strip() for turn in turns):
        return "turn without words, or with a marker of ours"
    images = sum(turn.text.count(IMAGE) for turn in turns if turn.role == "user")
    if images > 1 or any(IMAGE in turn.text for turn in turns if turn.role == "assistant"):
        return "row over several pages"
    first = turns[0].text.replace(IMAGE, MARKER, 1) if images else f"{MARKER}\n{turns[0].text}"
    if MARKER not in first:
        return "row whose page comes after its first question"
    turns[0] = Turn("user", first.strip())
    paths = tuple(raw[name] for name in PATHS if isinstance(raw.get(name), str) and raw[name].strip())
    return Row(str(raw.get("id", raw.get("No", number))), paths, tuple(turns))


def _text(value: Any) -> str:
    """A value as text: ECGBench's `ecgqa-test` has lists."""
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else str(value).strip()


class Recordings:
    """Finds the recording that a row is about, by the numbers in its paths and its id.

    stores: root of a path -> the store of its recordings; "": for all that have no root of their own. A number is
    looked for as it is written and without leading zeros, the longest first, in the name of the page or signal, then in
    the id.
    """

    def __init__(self, stores: Mapping[str, Store]) -> None:
        self._known: dict[str, dict[str, tuple[str, str, str, float, str]]] = {}
        for root, store in stores.items():
            corpus = store.summary["corpus"]
            columns = ["id", "patient", "split", "seconds", "statements"]
            self._known[root] = {
                _bare(record.removeprefix(f"{corpus}/")): (record, patient, split, seconds, report_text(statements))
                for record, patient, split, seconds, statements in store.rows(columns)
            }

    def root(self, row: Row) -> str | None:
        """Which of the roots a row's paths (or its id) begin with, the longest; None where none does."""
        begins = [*row.paths, row.id]
        fitting = [root for root in self._known if any(text == root or text.startswith(root) for text in begins)]
        return max(fitting, key=len, default=None)

    def __call__(self, row: Row) -> tuple[str, str, str, float, str] | None:
        """(record, patient, split, seconds, report); None where there is none in the stores."""
        root = self.root(row)
        if root is None:
            return None
        known = self._known[root]
        for text in (*(Path(path).stem for path in row.paths), row.id.removeprefix(root)):
            for number in sorted(_NUMBER.findall(text), key=len, reverse=True):
                if (found := known.get(_bare(number))) is not None:
                    return found
        return None


def _bare(id: str) -> str:
    """An id as it is compared: a number without its leading zeros."""
    return id.lstrip("0") or "0" if id.isdigit() else id


def questions_in(
    path: Path | str, stores: Mapping[str, Store], task: str, split: str, dropped: Counter, pool: str = ""
) -> Iterator[tuple[str, ECGSample]]:
    """(split, question) for each row of the files at a path whose recording the stores have; the others are counted.

    stores: as for `Recordings`; split: one of `SPLITS_OF`. The questions have no meta yet.
    """
    pool = pool or task
    find, seen = Recordings(stores), set()
    for row in conversations(path, dropped, pool):
        found = find(row)
        if found is None:
            dropped[pool, "recording that is not in the stores"] += 1
            continue
        record, patient, home, seconds, report = found
        id = f"{pool}/{record}/{row.id}"
        if id in seen:
            dropped[pool, "row with the id of another"] += 1
            continue
        seen.add(id)
        yield (
            home if split == "store" else SPLITS[-1],
            ECGSample(
                id=id,
                task=task,
                pool=pool,
                subset=record.partition("/")[0],
                patient=patient,
                records=(Window(record, 0.0, seconds),),
                evidence=(report,),
                conversation=row.turns,
            ),
        )
