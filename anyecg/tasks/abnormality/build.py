"""Questions for all labels of a list that hold, by a corpus's own labels; or as ECGBench's files ask them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from anyecg.data.chance import chance
from anyecg.data.store.store import Stores
from anyecg.tasks.abnormality.parser import named_labels, read_labels
from anyecg.tasks.label_sets import LabelConfig, LabelSet, label_set, labelled, written
from anyecg.tasks.release.conversations import present, questions_in
from anyecg.types import ECGSample

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
class AbnormalityConfig(LabelConfig):
    """sets: corpus (its key) -> the label set that is asked of, empty for the first of every corpus that has at most
    twelve labels.
    """


def abnormality_questions(
    stores: Stores, cfg: AbnormalityConfig, seed: int, dropped: Counter
) -> Iterator[tuple[str, ECGSample]]:
    """(split, question): one for each record of a corpus with such a label set; its labels are the truth."""
    for one in labelled(stores, cfg, few=True):
        options = ", ".join(written(acronym, name) for acronym, name in one.labels.shown.items())
        asked = chance(seed, POOL, one.record).choice(WORDINGS).format(options=options)
        meta = {"options": dict(one.labels.shown), "labels": list(one.held)}
        yield one.question(POOL, asked, "; ".join(one.held) or NONE, meta)
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
