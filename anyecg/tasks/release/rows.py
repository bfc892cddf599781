"""The released JSON format of the anyECG dataset: its rows, read one at a time and checked, and written."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from wfdb.io.annotation import ann_labels

from anyecg.tasks.localization.build import NAMES
from anyecg.types import MARKER, SPLITS, DataError

OWN = "anyecg"  # the one key of a row that the release does not have
LATEST = 2**53  # samples or seconds: no recording is as long
TASKS = {
    "report": "report",
    "location": "localization",
    "location_long": "localization",
    "open-ended": "multi_ecg",
    "ecgqa": "ecg_qa",
}
CLASSES = {
    label.symbol: label.description for label in ann_labels
} | NAMES  # WFDB symbol -> the name a question has for it
_SYMBOLS = {name: symbol for symbol, name in CLASSES.items()}
_NUMBER = r"(\d{1,5}(?:\.\d{1,6})?)"
_INTERVAL = re.compile(rf"{_NUMBER}\s*s\s*-\s*{_NUMBER}\s*s")
_DURATION = re.compile(rf"\s*Duration:\s*{_INTERVAL.pattern}(?:\s*,\s*{_INTERVAL.pattern})*[\s.]*")
_NOTHING = re.compile(r"\s*No (.+) Found[\s.]*")
_BLANK = re.compile(r"[ \t\r\n]*")


def read_released(path: Path | str) -> Iterator[dict]:
    """The rows of a released file, in order; DataError names the file, the row (counted from 1) and the key that is
    wrong.
    """
    for number, row in enumerate(read_rows(path), 1):
        why = fault(row)
        if why:
            raise DataError(f"{path}: row {number}: {why}")
        yield row


def read_rows(path: Path | str) -> Iterator:
    """The rows of a released file as they are, in order; DataError where it is missing, cut short or no JSON list."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(
            f"{path} cannot be read ({error.strerror or error}); give a JSON file of the release"
        ) from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: no UTF-8 text (byte {error.start}); give a JSON file of the release") from error
    decode, number, at = json.JSONDecoder().raw_decode, 1, _BLANK.match(text).end()
    if text[at : at + 1] != "[":
        raise DataError(f"{path}: the release is a JSON list of rows; there is none at character {at}")
    at = _BLANK.match(text, at + 1).end()
    empty = text[at : at + 1] == "]"
    while not empty:
        try:
            row, at = decode(text, at)
        except (json.JSONDecodeError, RecursionError) as error:
            raise _broken(path, getattr(error, "pos", at), number, len(text)) from error
        yield row
        at = _BLANK.match(text, at).end()
        if text[at : at + 1] == "]":
            break
        if text[at : at + 1] != ",":
            raise _broken(path, at, number, len(text))
        at, number = _BLANK.match(text, at + 1).end(), number + 1
    at = _BLANK.match(text, at + 1).end()
    if at < len(text):
        raise _broken(path, at, number, len(text))


def _broken(path: Path | str, at: int, number: int, length: int) -> DataError:
    return DataError(
        f"{path}: cut short or no JSON at character {at} of {length}, in or after row {number}; get the file again"
    )


def write_rows(path: Path | str, rows: Iterable[Mapping]) -> int:
    """Write rows as the release does (indented by four, text as it is), whole or not at all; returns how many."""
    path, count = Path(path), 0
    partial = path.with_name(f".{path.name}.part")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as file:
            file.write("[")
            for count, row in enumerate(rows, 1):
                written = json.dumps(row, indent=4, ensure_ascii=False).replace("\n", "\n    ")
                file.write(f"{',' if count > 1 else ''}\n    {written}")
            file.write("\n]" if count else "]")
        partial.rename(path)
    except (FileNotFoundError, NotADirectoryError, PermissionError, IsADirectoryError) as error:
        raise DataError(f"{path} cannot be written ({error.strerror}); choose another file") from error
    finally:
        with contextlib.suppress(OSError):  # what could not be written need not be there to be taken away
            partial.unlink()
    return count


def fault(row) -> str:
    """Which key of a row is wrong and why, "" if none is. What only its recording can tell is not looked at."""
    if not isinstance(row, dict):
        return f"a row is a JSON object, not {row!r:.60}"
    for key in ("question", "answer", "dataset", "task"):
        if not _is_text(row.get(key)):
            return f"{key}: {_told(row, key)}, where a text is needed"
    if not all(map(_is_text, paths(row))) or not paths(row):
        return f"ecg_path: {_told(row, 'ecg_path')}, where a path or a list of paths is needed"
    if not isinstance(row.get(OWN, {}), dict):
        return f"{OWN}: {_told(row, OWN)}, where a JSON object is needed"
    if why := _own_fault(row.get(OWN, {})):
        return f"{OWN}.{why}; export the dataset again"
    if row["task"] not in TASKS and OWN not in row:
        return f"task: there is no '{row['task']}' (known: {', '.join(TASKS)})"
    if MARKER in row["question"]:
        return f"question: it holds {MARKER}, which stands for an ECG here; take it out"
    if is_localization(row):
        return _location_fault(row)
    return _window_fault(row) if "ecg_start" in row or "ecg_end" in row else ""


def _own_fault(own: Mapping) -> str:
    """Which field of our own key is of another kind than `export` writes; "" if none is."""
    for key, value in own.items():
        if key not in OWN_KINDS:
            return f"{key}: is no field of a question"
        if not OWN_KINDS[key](value):
            return f"{key}: {value!r:.60} is no such field of a question"
    return ""


def _is_list_of(kind: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(kind, value))


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < LATEST


OWN_KINDS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("id", "task"), lambda value: isinstance(value, str) and value != ""),
    **dict.fromkeys(("pool", "subset", "patient"), lambda value: isinstance(value, str)),
    "split": lambda value: value in SPLITS,
    "records": _is_list_of(
        lambda window: (
            isinstance(window, list)
            and len(window) == 3
            and isinstance(window[0], str)
            and _is_seconds(window[1])
            and (window[2] is None or _is_seconds(window[2]))
        )
    ),
    "conversation": _is_list_of(
        lambda turn: isinstance(turn, list) and len(turn) == 2 and all(isinstance(word, str) for word in turn)
    ),
    "evidence": _is_list_of(lambda text: isinstance(text, str)),
    "meta": lambda value: isinstance(value, dict),
}


def _location_fault(row: Mapping) -> str:
    said = intervals(row["answer"])
    if said is None:
        return f'answer: {row["answer"]!r:.80} is neither "Duration: 0.4s-3.7s, ..." nor "No <name> Found"'
    turned = next((f"{a}s-{b}s" for a, b in said if b < a), None)
    if turned:
        return f"answer: the interval {turned} ends before it begins"
    if abnormality(row) is None:
        return (
            f"abnormal_type: {_told(row, 'abnormal_type')}, and neither question nor answer names a class of "
            f"WFDB's annotations"
        )
    return _window_fault(row)


def _window_fault(row: Mapping) -> str:
    for key in ("ecg_start", "ecg_end"):
        if type(row.get(key)) is not int or not 0 <= row[key] < LATEST:
            return f"{key}: {_told(row, key)}, where a whole number of samples is needed"
    if row["ecg_end"] <= row["ecg_start"]:
        return f"ecg_end: a window from sample {row['ecg_start']} to {row['ecg_end']} holds no signal"
    if len(paths(row)) != 1:
        return f"ecg_path: {len(paths(row))} ECGs, where a window is one of one ECG"
    return ""


def _is_text(value) -> bool:
    """Whether a value is text with something in it that any file can hold (half a surrogate pair is none)."""
    return isinstance(value, str) and value.strip() != "" and value == value.encode("utf-8", "ignore").decode()


def _told(row: Mapping, key: str) -> str:
    return f"{row[key]!r:.60}" if key in row else "not there"


def is_localization(row: Mapping) -> bool:
    """Whether the row asks where in its window something is."""
    return TASKS.get(row["task"]) == "localization"


def paths(row: Mapping) -> list[str]:
    """The row's ECGs, relative to the root of their source, without extension."""
    path = row.get("ecg_path")
    return path if isinstance(path, list) else [path]


def corpus_of(row: Mapping) -> str:
    """The registry's name of the row's source."""
    return row["dataset"].removesuffix("_long")


def intervals(answer: str) -> list[tuple[float, float]] | None:
    """What "Duration: 0.4s-3.7s, 4.6s-9.3s" says, in s; [] for "No <name> Found", None for anything else.

    The release also says "10.0s-10.0s", where all of a beat but a few hundredths lies outside the window.
    """
    if _DURATION.fullmatch(answer):
        return [(float(a), float(b)) for a, b in _INTERVAL.findall(answer)]
    return [] if _NOTHING.fullmatch(answer) else None


def named(answer: str) -> str | None:
    """The symbol of the class that "No <name> Found" names; None for any other answer or name."""
    nothing = _NOTHING.fullmatch(answer)
    return _SYMBOLS.get(nothing[1]) if nothing else None


def abnormality(row: Mapping) -> str | None:
    """The WFDB symbol a localization row asks for: its abnormal_type, or where it has none what its text names."""
    if row.get("abnormal_type") is not None:
        symbol = row["abnormal_type"]
        return symbol if isinstance(symbol, str) and symbol in CLASSES else None
    asked = max((name for name in NAMES.values() if name in row["question"]), key=len, default="")
    return named(row["answer"]) or _SYMBOLS.get(asked)
