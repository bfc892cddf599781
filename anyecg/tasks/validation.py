"""One validator for every question of a built dataset: what must hold before a model may learn from it or be
measured on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from anyecg.data.dataset.data import Data
from anyecg.tasks.base import Task
from anyecg.tasks.leaks import Wordings, leaks
from anyecg.types import AnyECGError, DataError, ECGSample, Window

EXAMPLES = 3  # ids kept of each kind of failure
UNREADABLE = "(unreadable)"  # the pool of a question that is none
Length = Callable[[int], int]  # the row of a question -> its tokens


@dataclass
class ValidationReport:
    """What the validator found.

    questions: pool -> how many were looked at; longest: pool -> tokens of its longest question; too_long: pool -> how
    many do not fit into the LLM's context (told, no failure: training leaves them out); failures: (pool, what) -> how
    many;
    examples: (pool, what) -> the first of them.
    """

    questions: Counter = field(default_factory=Counter)
    longest: Counter = field(default_factory=Counter)
    too_long: Counter = field(default_factory=Counter)
    failures: Counter = field(default_factory=Counter)
    examples: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def fail(self, pool: str, what: str, example: str) -> None:
        self.failures[pool, what] += 1
        known = self.examples.setdefault((pool, what), [])
        if len(known) < EXAMPLES:
            known.append(example)


def validate(
    data: Data,
    tasks: Mapping[str, Task],
    length: Length,
    context: int,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> ValidationReport:
    """Look at every question: one marker an ECG, windows inside their records, question and answer in turn, an answer
    that its task's own parser reads as the reference, an id of its own, a prompt that names neither its answer nor the
    patient's data; and at all: no patient and no record in two splits, no wording that goes with one kind of answer.

    length: the tokens of a question by its row; only sound questions are counted.
    """
    report, ids, splits = ValidationReport(), set(), data.questions.column("split")
    wordings = Wordings()
    homes: dict[str, str] = {}  # patients and records -> the split they are in
    owners = {record: patient for store in data.stores for record, patient in store.rows(["id", "patient"])}
    for row in progress(range(len(data.questions))):
        try:
            sample = data.questions[row]
        except DataError as error:  # an ECGSample looks at its own markers, a Window at its own length
            report.questions[UNREADABLE] += 1
            report.fail(UNREADABLE, "not one marker an ECG, or an empty window", str(error))
            continue
        pool, faults = sample.pool, list(_faults(sample, data, tasks, owners))
        report.questions[pool] += 1
        if sample.id in ids:
            faults.append("id of another question")
        ids.add(sample.id)
        if not faults:
            wordings.add(tasks[sample.task], sample)
        if not faults:
            try:
                tokens = length(row)
                report.longest[pool] = max(report.longest[pool], tokens)
                report.too_long[pool] += tokens > context
            except AnyECGError as error:
                faults.append(f"conversation that the LLM cannot be asked ({error})")
        for what in faults:
            report.fail(pool, what, sample.id)
        records = [window.record for window in sample.records]
        patients = [owners.get(record, sample.patient) for record in records]
        for what, keys in (("patient", patients), ("record", records)):
            for key in dict.fromkeys(keys):
                if homes.setdefault(f"{what} {key}", splits[row]) != splits[row]:
                    report.fail(
                        pool, f"{what} of the {homes[f'{what} {key}']} split in {splits[row]}", f"{sample.id} ({key})"
                    )
    for pool, kind, count, example in wordings.found():
        report.fail(pool, f"wording that goes with {kind} answers only", f"{example} and {count - 1} more")
    return report


def _faults(sample: ECGSample, data: Data, tasks: Mapping[str, Task], owners: Mapping[str, str]) -> Iterator[str]:
    """What is wrong with a question by itself."""
    known = [window for window in sample.records if window.record in owners]
    if len(known) < len(sample.records):
        yield "record that is not in the stores"
    elif sample.records and sample.patient not in {owners[window.record] for window in known}:
        yield "patient whose records it does not have"
    if not all(_inside(window, data) for window in known):
        yield "window beyond its record's end"
    roles = [turn.role for turn in sample.conversation]
    if (
        not roles
        or roles != ["user", "assistant"] * (len(roles) // 2)
        or not all(turn.text.strip() for turn in sample.conversation)
    ):
        yield "conversation that is not question and answer in turn"
    if sample.task not in tasks:
        yield f"task '{sample.task}', which nobody knows"
    elif not _agrees(tasks[sample.task], sample):
        yield "answer that its task's parser does not read as the reference"
    else:
        yield from leaks(tasks[sample.task], sample)


def _inside(window: Window, data: Data) -> bool:
    """Whether the store can read a window."""
    fs = data.stores.fs
    samples = round(data.stores.seconds(window.record) * fs)
    return round(window.start * fs) < (samples if window.end is None else round(window.end * fs)) <= samples


def _agrees(task: Task, sample: ECGSample) -> bool:
    """Whether a task reads its reference in a question's answer; a reference that it cannot make sense of is none."""
    try:
        return task.agrees(sample)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return False
