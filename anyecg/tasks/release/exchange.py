"""Rows of the released format to questions over stored recordings, and back: neither way loses anything."""

from __future__ import annotations

import functools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from anyecg.data.store.store import Stores
from anyecg.tasks.ecg_qa.build import BRIEFLY, prompt
from anyecg.tasks.localization.build import Strip
from anyecg.tasks.multi_ecg.series import Series, Visit
from anyecg.tasks.release.rows import CLASSES, OWN, TASKS, abnormality, corpus_of, fault, intervals, paths
from anyecg.tasks.report.build import report_text
from anyecg.types import MARKER, DataError, ECGSample, Turn, Window

SHORT = 10.0  # s of a released short window; any other length is long
LEFT = "released"  # the key of a sample's meta for what its row has and the sample has not
_NAMES = {task: name for name, task in TASKS.items() if name != "location_long"}
_RATE = re.compile(r"records\d+/(\d+/\d+)_[lh]r")  # PTB-XL has each recording twice


def to_samples(
    rows: Iterable[Mapping], stores: Stores, left_out: Counter | None = None
) -> Iterator[tuple[str, ECGSample]]:
    """(split, question) for each released row, in order; rows as `read_released` gives them.

    left_out: reason -> how many rows are left out for it: an ECG that is in none of the stores, a window that leaves
    its recording, ECGs of two splits. Split, patient and evidence come from the stores.
    """
    catalog, numbers, taken = Catalog(stores), Counter(), set()
    left_out = Counter() if left_out is None else left_out
    for row in rows:
        records = [catalog.found(corpus_of(row), path) for path in paths(row)]
        why = _unusable(row, records, stores.fs)
        if why:
            left_out[why] += 1
            continue
        try:
            split, sample = _built({**_derived(row, records, catalog, numbers), **row.get(OWN, {})})
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"question {row['question']!r:.80}: its key '{OWN}' is damaged ({error}); export the dataset again"
            ) from error
        if sample.id in taken:
            raise DataError(
                f"question {row['question']!r:.80}: an earlier row has its id {sample.id}; give each file once"
            )
        taken.add(sample.id)
        rest = _rest(row, _row(sample, records))
        yield split, replace(sample, meta={**sample.meta, LEFT: rest}) if rest else sample


def to_rows(samples: Iterable[tuple[str, ECGSample]], stores: Stores) -> Iterator[dict]:
    """The released row of each (split, question), in order.

    What `to_samples` would not find again in the row and the stores is kept under the row's one key of our own.
    DataError for a question that the format cannot hold.
    """
    catalog, numbers = Catalog(stores), Counter()
    for split, sample in samples:
        records = [catalog.named(window.record) for window in sample.records]
        if len({record.corpus for record in records}) != 1:
            raise DataError(
                f"question {sample.id}: a released row has ECGs, all of one corpus; leave this question out"
            )
        row = _row(sample, records)
        rest = sample.meta.get(LEFT)
        if rest:
            row = {key: rest["values"].get(key, row.get(key)) for key in rest["keys"]}
        found = _derived(row, records, catalog, numbers)
        own = {name: value for name, value in _fields(split, sample).items() if value != found[name]}
        row = {**row, OWN: own} if own else row
        why = fault(row)
        if why:
            raise DataError(
                f"question {sample.id}: the released format cannot hold it ({why}); leave this question out"
            )
        yield row


@dataclass(frozen=True)
class Record:
    """A stored recording as its source has it: path relative to the root, without extension; fs in Hz."""

    id: str
    corpus: str
    path: str
    fs: float
    patient: str
    split: str
    seconds: float
    date: str
    report: str


class Catalog:
    """The records of all stores, by id and by where they lie in their source."""

    COLUMNS = ("id", "corpus", "path", "fs", "patient", "split", "seconds", "time", "statements")

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._corpora = {store.summary["corpus"] for store in stores}
        self._table = functools.cache(lambda corpus, *columns: stores[corpus].table(columns).combine_chunks())
        self._rows = functools.cache(self._numbered)
        self.strip = functools.lru_cache(maxsize=64)(self._strip)

    def found(self, corpus: str, path: str) -> Record | None:
        """The record at a path of a source, at whichever rate PTB-XL was read; None where no store has it."""
        row = self._rows(corpus, "path").get(_place(path)) if corpus in self._corpora else None
        return None if row is None else self._record(corpus, row)

    def named(self, id: str) -> Record:
        """The record of an id; DataError where no store has it."""
        corpus = id.partition("/")[0]
        row = self._rows(corpus, "id").get(id)
        if row is None:
            raise DataError(f"record {id} is not in the store {self._stores[corpus].folder} (see its skipped.csv)")
        return self._record(corpus, row)

    def _numbered(self, corpus: str, column: str) -> dict[str, int]:
        values = self._table(corpus, *self.COLUMNS)[column].to_pylist()
        return {_place(value) if column == "path" else value: row for row, value in enumerate(values)}

    def _record(self, corpus: str, row: int) -> Record:
        *plain, time, statements = (self._table(corpus, *self.COLUMNS)[name][row].as_py() for name in self.COLUMNS)
        return Record(*plain, date=time[:10], report=report_text(statements))

    def _strip(self, record: Record) -> Strip:
        table, row = (
            self._table(record.corpus, "annotation_times", "annotation_symbols"),
            self._rows(record.corpus, "id")[record.id],
        )
        times, symbols = (table[name][row].as_py() for name in table.column_names)
        return Strip(
            record.id,
            record.patient,
            record.seconds,
            np.asarray(times, dtype=np.float64),
            np.asarray(symbols, dtype=object),
        )


def _place(path: str) -> str:
    """A path as the index knows it: PTB-XL's without the rate."""
    twice = _RATE.fullmatch(path)
    return twice[1] if twice else path


def _unusable(row: Mapping, records: Sequence[Record | None], fs: float) -> str:
    """Why nothing can be asked of a row's records, stored at `fs` Hz; "" if it can."""
    if None in records:
        return f"{corpus_of(row)} has no record {paths(row)[records.index(None)]} in this dataset"
    if len({record.split for record in records}) > 1:
        return f"ECGs of two splits, which would show training patients to a test ({corpus_of(row)})"
    if "ecg_start" in row:
        start, end = (round(row[key] / records[0].fs * fs) for key in ("ecg_start", "ecg_end"))
        if not start < end <= round(records[0].seconds * fs):
            return f"window that leaves its record or holds no sample of it ({corpus_of(row)} {paths(row)[0]})"
    return ""


def _windows(row: Mapping, records: Sequence[Record]) -> list[list]:
    """[record, start, end] of each ECG, in s; where both ends are the samples nearest to whole hundredths, those
    hundredths: questions built here have them, and the store holds no finer."""
    if "ecg_start" not in row:
        return [[record.id, 0.0, record.seconds] for record in records]
    samples, fs = (row["ecg_start"], row["ecg_end"]), records[0].fs
    rounded = [round(sample / fs, 2) for sample in samples]
    exact = [round(second * fs) for second in rounded] == [*samples]
    start, end = rounded if exact else [sample / fs for sample in samples]
    return [[records[0].id, start, end]]


def _derived(row: Mapping, records: Sequence[Record], catalog: Catalog, numbers: Counter) -> dict:
    """Every field of the question that a row and its records make, as `_fields` writes them.

    numbers: how many questions have had the same stem of their id.
    """
    task, windows, corpus = TASKS.get(row["task"], ""), _windows(row, records), records[0].corpus
    pool, subset, stem, first, meta = task, corpus, f"{task}/{records[0].id}", 0, {}
    text = f"{MARKER}\n{row['question']}"
    if task == "localization":
        start, end = windows[0][1:]
        seconds, symbol, said = (
            round(end - start, 2),
            abnormality(row),
            [[a, b] for a, b in intervals(row["answer"]) if a < b],
        )
        long = seconds != SHORT or row["task"] == "location_long" or row["dataset"].endswith("_long")
        pool, subset = ("localization_long", f"{corpus}_long") if long else ("localization_short", corpus)
        stem, first = (f"{pool}/{records[0].id}/{symbol}", 0) if said else (f"{pool}/{records[0].id}/no{symbol}", 1)
        meta = {"name": CLASSES[symbol], "symbol": symbol, "seconds": seconds, "intervals": said}
    elif task == "multi_ecg":
        visits = tuple(Visit(record.id, record.seconds, record.date, record.report, ()) for record in records)
        subset, text = str(len(records)), Series("", records[0].patient, visits).prompt(row["question"])
    elif task == "ecg_qa":
        meta = {name: row[name] for name in ("question_type", "template_id") if name in row}
        subset = str(row.get("question_type", corpus))
        text = prompt("", len(records)).removesuffix(f" {BRIEFLY}") + row["question"]
    number = first + numbers[stem]
    numbers[stem] += 1
    return {
        "id": f"{stem}/{number}",
        "task": task,
        "pool": pool,
        "subset": subset,
        "split": records[0].split,
        "patient": records[0].patient,
        "records": windows,
        "conversation": [["user", text], ["assistant", row["answer"]]],
        "evidence": [
            record.report or catalog.strip(record).beats(start, end)
            for record, (_, start, end) in zip(records, windows)
        ],
        "meta": meta,
    }


def _fields(split: str, sample: ECGSample) -> dict:
    """A question as plain JSON data, less what its meta has of a released row."""
    meta = {name: value for name, value in sample.meta.items() if name != LEFT}
    return json.loads(
        json.dumps(
            {
                "id": sample.id,
                "task": sample.task,
                "pool": sample.pool,
                "subset": sample.subset,
                "split": split,
                "patient": sample.patient,
                "records": [[window.record, window.start, window.end] for window in sample.records],
                "conversation": [[turn.role, turn.text] for turn in sample.conversation],
                "evidence": sample.evidence,
                "meta": meta,
            }
        )
    )


def _built(fields: Mapping) -> tuple[str, ECGSample]:
    fields = dict(fields)
    split, windows, turns, evidence = (fields.pop(name) for name in ("split", "records", "conversation", "evidence"))
    return split, ECGSample(
        **fields,
        records=tuple(Window(*window) for window in windows),
        conversation=tuple(Turn(*turn) for turn in turns),
        evidence=tuple(evidence),
    )


def _row(sample: ECGSample, records: Sequence[Record]) -> dict:
    """The row of a question as the release would write it."""
    asked = "\n".join(turn.text for turn in sample.conversation if turn.role == "user")
    question = asked.rpartition(MARKER)[2].removeprefix("\n") or asked.replace(MARKER, "").strip()
    task = "location_long" if sample.pool == "localization_long" else _NAMES.get(sample.task, sample.task)
    listed = len(records) > 1 or task in ("open-ended", "ecgqa")
    row = {
        "question": question,
        "answer": sample.answer,
        "ecg_path": [record.path for record in records] if listed else records[0].path,
        "dataset": records[0].corpus,
        "task": task,
    }
    if sample.task == "localization":
        row["abnormal_type"] = sample.meta.get("symbol")
    window = sample.records[0]
    if sample.task == "localization" or (not listed and (window.start, window.end) != (0.0, records[0].seconds)):
        end = records[0].seconds if window.end is None else window.end
        row |= {"ecg_start": round(window.start * records[0].fs), "ecg_end": round(end * records[0].fs)}
    if sample.task == "ecg_qa":
        row |= {name: sample.meta[name] for name in ("question_type", "template_id") if name in sample.meta}
    return row


def _rest(row: Mapping, made: Mapping) -> dict:
    """What a released row says otherwise than the row made of its question: its keys in order, and the values that
    differ.
    """
    row = {key: value for key, value in row.items() if key != OWN}
    values = {key: value for key, value in row.items() if key not in made or made[key] != value}
    return {"keys": list(row), "values": values} if values or list(row) != list(made) else {}
