"""Questions for all labels of a list that hold, by a corpus's own labels; or as ECGBench's files ask them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from anyecg.config.checks import Checks
from anyecg.data.chance import chance
from anyecg.data.store.store import Stores
from anyecg.tasks.abnormality.parser import named_labels, read_labels
from anyecg.tasks.base import Task
from anyecg.tasks.label_sets import LabelSet, label_set, label_sets, written
from anyecg.tasks.release.conversations import ABSENT, SPLITS_OF, present, questions_in
from anyecg.tasks.report.build import report_text
from anyecg.types import MARKER, ECGSample, Turn, Window

POOL = "abnormality"
NONE = "none"
WORDINGS = (
    "Which of these does the ECG show? {options}. Answer with the codes, separated by semicolons, or none.",
    "From the list, give every code that fits this recording, with semicolons between them: {options}. If nothing "
    "fits, write none.",
    "Read the tracing and name all that is present: {options}. Codes only, separated by semicolons (none if there is "
    "nothing).",
    "Mark what applies to this ECG: {options}. Use the codes and semicolons; write none for an empty list.",
    "What would you code for this electrocardiogram? Choose among {options}. Separate several codes by semicolons; "
    "answer none where no code holds.",
    "Possible labels: {options}. Which hold for the ECG? Give the codes with semicolons, or none.",
    "Check the recording for each of these: {options}. List the codes of what you find, separated by semicolons, or "
    "say none.",
    "As an over-reader, assign all fitting codes: {options}. Semicolons between codes; none if no code is right.",
)
YES_NO = {"NORM": "normal ECG", "ABNORMAL": "abnormal ECG"}  # asked for in ECGBench's files beside a set's own labels


@dataclass(frozen=True)
class AbnormalityConfig(Task.Config):
    """sets: corpus (its key) -> the label set that is asked of, empty for the first of every corpus that has at most
    twelve labels; files: corpus -> a file or folder of ECGBench about it (parquet or JSON), whose questions are asked
    in place of ours; split: of a file's questions, that of their recordings in the "store", or "test" for all of
    them; absent: a file that is not there is an error ("stop"), or its corpus is not asked about ("leave_out")."""

    sets: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    split: str = "store"
    absent: str = "stop"

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.among("split", SPLITS_OF)
            check.among("absent", ABSENT)


def abnormality_questions(
    stores: Stores, cfg: AbnormalityConfig, seed: int, dropped: Counter
) -> Iterator[tuple[str, ECGSample]]:
    """(split, question): one for each record of a corpus with such a label set; its labels are the truth."""
    for store, labels in label_sets(stores, cfg.sets, few=True):
        if labels.corpus in cfg.files:
            continue
        options = ", ".join(written(acronym, name) for acronym, name in labels.shown.items())
        columns = ["id", "patient", "split", "seconds", "statements", "labels"]
        for record, patient, split, seconds, statements, codes in store.rows(columns):
            held = labels.held(codes)
            asked = chance(seed, POOL, record).choice(WORDINGS).format(options=options)
            yield (
                split,
                ECGSample(
                    id=f"{POOL}/{record}",
                    task=POOL,
                    pool=POOL,
                    subset=labels.corpus,
                    patient=patient,
                    records=(Window(record, 0.0, seconds),),
                    evidence=(report_text(statements),),
                    conversation=(Turn("user", f"{MARKER}\n{asked}"), Turn("assistant", "; ".join(held) or NONE)),
                    meta={"options": dict(labels.shown), "labels": list(held)},
                ),
            )
    for corpus, path in present(cfg.files, cfg.absent).items():
        store = stores[corpus]
        group = cfg.sets.get(corpus) or next(iter(store.summary["info"].get("labels", {})), "")
        labels = label_set(store, group)
        for split, sample in questions_in(path, {"": store}, POOL, cfg.split, dropped):
            if (framed := _framed(sample, labels)) is None:
                dropped[POOL, "answer that names no label of the set"] += 1
            else:
                yield split, framed


def _framed(sample: ECGSample, labels: LabelSet) -> ECGSample | None:
    """A question of a file as one of this task; None where its answer cannot be read.

    A question for one label, or for normal and abnormal, has these options alone, as the file's scorer takes them: what
    the question names; one that names none has all.
    """
    known = {**labels.shown, **{code: name for code, name in YES_NO.items() if code not in labels.shown}}
    named = named_labels(next(turn.text for turn in sample.conversation if turn.role == "user"), known)
    options = {acronym: known[acronym] for acronym in known if acronym in named} or dict(labels.shown)
    held = read_labels(sample.answer, options)
    if held is None:
        return None
    order = [acronym for acronym in options if acronym in held]
    return ECGSample(**{**vars(sample), "meta": {"options": options, "labels": order}})
