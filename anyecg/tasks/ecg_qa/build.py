"""ECG-QA: the published questions over one or two ECGs, read as released and asked of the recordings in the stores."""

from __future__ import annotations

import ast
import hashlib
import json
import logging
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pandas as pd

from anyecg.config.checks import Checks
from anyecg.data.chance import chance
from anyecg.data.store.store import Store, Stores, digest
from anyecg.tasks.multi_ecg.series import ORDINALS
from anyecg.tasks.report.build import report_text
from anyecg.types import MARKER, DataError, ECGSample, Turn, Window

log = logging.getLogger(__name__)

CUTS = ("store", "release")  # whose split a question has: that of its ECGs in their store, or ECG-QA's own
FORMS = ("paraphrased", "template")  # of ECG-QA: its questions in many wordings, or in one each
SIMULATED = "simulated"  # in place of a folder
BRIEFLY = "Please answer briefly."
SPLITS = {"train": "train", "valid": "val", "test": "test"}  # ECG-QA's folders -> the store's splits
ECGS = {
    "single-verify": 1, "single-choose": 1, "single-query": 1,
    "comparison_consecutive-verify": 2, "comparison_consecutive-query": 2,
    "comparison_irrelevant-verify": 2, "comparison_irrelevant-query": 2,
}  # fmt: skip


@dataclass(frozen=True)
class ECGQAConfig:
    """folders: corpus (its key) -> its folder of the ECG-QA release (such as ecgqa/ptbxl), or "simulated"; share: how
    much of it is asked (the paper takes a tenth); form: in which wording, "paraphrased" or "template"; types: of which
    question types, empty for all; pool: what stages call its questions, so that two tasks can ask of two releases;
    split: that of the question's ECGs in their "store", so that no patient is in two, or of the "release", as published
    scores."""

    folders: dict[str, str] = field(default_factory=dict)
    share: float = 0.1
    form: str = "paraphrased"
    types: list[str] = field(default_factory=list)
    pool: str = "ecg_qa"
    split: str = "store"

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.among("types", ECGS)
            check.number("share", above=0, most=1)
            check.among("form", FORMS)
            check.among("split", CUTS)


def ecg_qa_questions(stores: Stores, cfg: ECGQAConfig, seed: int, dropped: Counter) -> Iterator[tuple[str, ECGSample]]:
    """(split, question) for a share of ECG-QA's questions about each corpus of `cfg.folders` (Dataset section, ECG-QA).

    Taken are `cfg.share` of the questions of each split, question type and template, one at least; which ones
    depends on the seed and their sample ids, not on the files they lie in. The split is that of the question's ECGs in
    their store, not ECG-QA's own, so that no patient is in two splits, whatever other pools ask; a question over ECGs
    of two splits is dropped. (Scores are therefore not those of ECG-QA's published test files; with `cfg.split`
    "release" it is the release's own, whatever the store's is.) The patient of a sample is that of its first ECG: a
    `comparison_irrelevant` question has ECGs of two patients.
    """
    for corpus, root in sorted(cfg.folders.items()):
        release = Release(corpus, root, cfg.form)
        recordings = Recordings(stores[corpus])
        ranks: dict[tuple, array] = defaultdict(lambda: array("d"))
        for split, question in _askable(release, recordings, cfg, dropped):
            ranks[split, question.type, question.template].append(_rank(question, corpus, seed))
        last = {}
        for stratum, values in ranks.items():
            count = max(1, round(cfg.share * len(values)))
            last[stratum] = sorted(values)[count - 1]
            if count < len(values):
                dropped["ecg_qa", "not in the share taken"] += len(values) - count
        if not ranks:
            log.warning(
                "tasks.ecg_qa.folders.%s: no question in %s can be asked of the recordings in the store; is it ECG-QA "
                "of this corpus?",
                corpus,
                release.root,
            )
        for split, question in _askable(release, recordings, cfg, Counter()):
            if _rank(question, corpus, seed) <= last[split, question.type, question.template]:
                yield split, _sample(question, release, recordings, cfg.pool)


def ecg_qa_answers(cfg: ECGQAConfig) -> dict[str, list[str]]:
    """corpus -> every answer that its ECG-QA knows (`answers.csv`), for a parser to tell where one answer ends."""
    return {corpus: Release(corpus, root, cfg.form).answers for corpus, root in sorted(cfg.folders.items())}


def ecg_qa_options(cfg: ECGQAConfig) -> dict[str, dict[str, list[str]]]:
    """corpus -> template id -> the answers that its questions may have (`answers_for_each_template.csv`)."""
    releases = {corpus: Release(corpus, root, cfg.form) for corpus, root in sorted(cfg.folders.items())}
    return {
        corpus: {str(template): options for template, options in release.options.items()}
        for corpus, release in releases.items()
    }


def ecg_qa_fingerprints(cfg: ECGQAConfig) -> dict[str, str]:
    """corpus -> the content of its ECG-QA files, wherever they lie."""
    return {corpus: Release(corpus, root, cfg.form).fingerprint for corpus, root in sorted(cfg.folders.items())}


@dataclass(frozen=True, slots=True)
class Question:
    """One row of the release. split: the release's; number: its sample_id, unique there; ecgs: one or two ids of its
    source.
    """

    split: str
    number: int
    type: str
    template: int
    text: str
    answers: tuple[str, ...]
    ecgs: tuple[str, ...]
    attribute_type: str = ""
    attributes: tuple[str, ...] = ()


class Release:
    """An ECG-QA folder as released, about one corpus; DataError where the folder or one of its two tables is missing.

    root: holds `paraphrased/{train,valid,test}/*.json` or `template/...`, answers.csv, answers_for_each_template.csv.
    """

    def __init__(self, corpus: str, root: Path | str, form: str) -> None:
        self.corpus, self.root, self.form = corpus, Path(root).expanduser(), form
        paths = [
            (split, path) for folder, split in SPLITS.items() for path in (self.root / form / folder).glob("*.json")
        ]
        self._files = sorted(
            paths, key=lambda file: (list(SPLITS.values()).index(file[0]), len(file[1].name), file[1].name)
        )
        self._broken: set[Path] = set()
        if not self._files:
            raise DataError(
                f"tasks.ecg_qa.folders.{corpus}: no file {self.root / form}/{{train,valid,test}}/*.json; "
                "set it to a folder of the ECG-QA release, such as ecgqa/ptbxl, or leave the corpus out"
            )

    @cached_property
    def answers(self) -> list[str]:
        """Every answer, as `answers.csv` lists them."""
        return self._table("answers.csv", "class")

    @cached_property
    def options(self) -> dict[int, list[str]]:
        """template id -> the answers that its questions may have."""
        templates, classes = (
            self._table("answers_for_each_template.csv", column) for column in ("template_id", "classes")
        )
        try:
            return {int(template): ast.literal_eval(options) for template, options in zip(templates, classes)}
        except (ValueError, SyntaxError) as error:
            raise DataError(
                f"{self.root}/answers_for_each_template.csv is damaged ({error}); download it again"
            ) from error

    @cached_property
    def fingerprint(self) -> str:
        """Changes with the content of any file."""
        files = [path for _, path in self._files] + [
            self.root / name for name in ("answers.csv", "answers_for_each_template.csv")
        ]
        return digest(
            part for path in files if path.exists() for part in (str(path.relative_to(self.root)), _content(path))
        )

    def questions(self, dropped: Counter) -> Iterator[Question]:
        """Every sound row, file by file. A file that is no JSON list is skipped with a warning, once; both are
        counted.
        """
        for split, path in self._files:
            for row in self._rows(path, dropped):
                if why := _unsound(row):
                    dropped["ecg_qa", why] += 1
                else:
                    yield Question(
                        split,
                        row["sample_id"],
                        row["question_type"],
                        row["template_id"],
                        row["question"].strip(),
                        tuple(row["answer"]),
                        tuple(str(ecg) for ecg in row["ecg_id"]),
                        str(row.get("attribute_type") or ""),
                        tuple(map(str, row["attribute"])) if isinstance(row.get("attribute"), list) else (),
                    )

    def _rows(self, path: Path, dropped: Counter) -> list:
        try:
            rows = json.loads(path.read_bytes())
            if not isinstance(rows, list):
                raise ValueError("no list of questions")
        except (OSError, ValueError) as error:
            if path not in self._broken:
                log.warning("%s is skipped: broken or cut short (%s); download it again", path, error)
            self._broken.add(path)
            dropped["ecg_qa", "file that is broken or cut short"] += 1
            return []
        return rows

    def _table(self, file: str, column: str) -> list[str]:
        path = self.root / file
        try:
            return pd.read_csv(path, dtype=str, keep_default_na=False)[column].tolist()
        except FileNotFoundError as error:
            raise DataError(f"{path} is missing; copy it from the ECG-QA release") from error
        except (ValueError, KeyError) as error:
            raise DataError(f"{path} is no table with a column '{column}' ({error}); download it again") from error


class Recordings:
    """What ECG-QA needs of a store's records, by the id of their source."""

    def __init__(self, store: Store) -> None:
        self._corpus = store.summary["corpus"]
        self._table = store.table(["id", "patient", "split", "seconds", "statements"]).combine_chunks()
        self._row = {record: row for row, record in enumerate(self._table["id"].to_pylist())}
        self._split = self._table["split"].to_numpy()

    def splits(self, question: Question) -> set[str]:
        """The splits of a question's records; none where one of them is not in the store."""
        rows = [self._row.get(f"{self._corpus}/{ecg}") for ecg in question.ecgs]
        return set() if None in rows else {self._split[row] for row in rows}

    def columns(self, ecg: str) -> tuple[str, str, float, list[str]]:
        """id, patient, seconds and statements of a record."""
        row = self._row[f"{self._corpus}/{ecg}"]
        return tuple(self._table[name][row].as_py() for name in ("id", "patient", "seconds", "statements"))


def prompt(text: str, ecgs: int) -> str:
    """The user's text: a marker a line, named as first and second where there are two, then the question."""
    names = [""] if ecgs == 1 else [f"{ORDINALS[k].capitalize()} ECG: " for k in range(ecgs)]
    return "\n".join([*(f"{name}{MARKER}" for name in names), f"{text} {BRIEFLY}"])


def _askable(
    release: Release, recordings: Recordings, cfg: ECGQAConfig, dropped: Counter
) -> Iterator[tuple[str, Question]]:
    """(split, question) for each row that can be asked; the others are counted."""
    seen: dict[str, set[int]] = defaultdict(set)
    for question in release.questions(dropped):
        if cfg.types and question.type not in cfg.types:
            dropped["ecg_qa", "question type that is not asked for"] += 1
            continue
        twice = question.number in seen[question.split]
        seen[question.split].add(question.number)
        splits = recordings.splits(question)
        if twice:
            dropped["ecg_qa", "sample_id that another question of the split has"] += 1
        elif not splits:
            dropped["ecg_qa", "ECG that is not in the store"] += 1
        elif cfg.split == "release":
            yield question.split, question
        elif len(splits) > 1:
            dropped["ecg_qa", "ECGs of patients in two splits"] += 1
        else:
            yield splits.pop(), question


def _unsound(row) -> str:
    """What is wrong with a row of a file; "" if nothing is."""
    if not isinstance(row, dict) or any(type(row.get(name)) is not int for name in ("sample_id", "template_id")):
        return "row without a sample_id and a template_id"
    if row.get("question_type") not in ECGS:
        return "question type that ECG-QA does not have"
    if not isinstance(row.get("question"), str) or not row["question"].strip() or MARKER in row["question"]:
        return "row without a question"
    if not _filled(row.get("answer"), str):
        return "row without an answer"
    if not _filled(row.get("ecg_id"), (int, str)):
        return "row without ECG ids"
    if len(row["ecg_id"]) != ECGS[row["question_type"]]:
        return "more or fewer ECGs than the question type has"
    return ""


def _filled(values, kind) -> bool:
    return (
        isinstance(values, list)
        and len(values) > 0
        and all(isinstance(value, kind) and str(value).strip() for value in values)
    )


def _rank(question: Question, corpus: str, seed: int) -> float:
    return chance(seed, "ecg_qa", corpus, question.split, question.number).random()


def _content(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()


def _sample(question: Question, release: Release, recordings: Recordings, pool: str) -> ECGSample:
    records, patients, seconds, statements = zip(*(recordings.columns(ecg) for ecg in question.ecgs))
    meta = {
        "question_type": question.type,
        "template_id": question.template,
        "answers": list(question.answers),
        "attribute_type": question.attribute_type,
        "attributes": list(question.attributes),
    }
    if not question.type.endswith("query"):
        meta["options"] = release.options.get(question.template, [])
    return ECGSample(
        id=f"{pool}/{release.corpus}/{release.form}/{question.split}/{question.number}",
        task="ecg_qa",
        pool=pool,
        subset=question.type,
        patient=patients[0],
        records=tuple(Window(record, 0.0, length) for record, length in zip(records, seconds)),
        conversation=(
            Turn("user", prompt(question.text, len(records))),
            Turn("assistant", ", ".join(question.answers)),
        ),
        evidence=tuple(report_text(lines) for lines in statements),
        meta=meta,
    )
