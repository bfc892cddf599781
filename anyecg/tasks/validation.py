"""One validator for every question of a built dataset: what must hold before a model may learn from it or be measured on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from anyecg.data.build import Data
from anyecg.data.preprocess import clip_count
from anyecg.tasks.base import Task
from anyecg.types import SAMPLING_RATE, DataError, ECGSample

EXAMPLES = 3  # ids kept of each kind of failure


@dataclass
class Report:
    """What the validator found.

    questions: pool -> how many were looked at; longest: pool -> tokens of its longest question; too_long: pool -> how
    many do not fit into the LLM's context (told, no failure: training leaves them out); failures: (pool, what) -> how many
    and the first of them.
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


def validate(data: Data, tasks: Mapping[str, Task], length: Callable[[ECGSample, list[int]], int], context: int,
             progress: Callable[[Iterable[int]], Iterable[int]] = iter) -> Report:
    """Look at every question: one marker an ECG, windows inside their records, an answer that its task's own parser reads
    as the reference, an id of its own; and at all: no patient and no record in two splits.

    length: `(sample, clip counts) -> tokens`, a Collator's.
    """
    report, ids = Report(), set()
    splits = data.questions.column("split")
    homes: dict[tuple[str, str], str] = {}
    for row in progress(range(len(data.questions))):
        try:
            sample = data.questions[row]
        except DataError as error:  # an ECGSample checks its own markers, a Window its own length
            report.fail("(unreadable)", "not one marker an ECG, or an empty window", str(error))
            continue
        pool = sample.pool
        report.questions[pool] += 1
        if sample.id in ids:
            report.fail(pool, "id of another question", sample.id)
        ids.add(sample.id)
        for what in _wrong(sample, data, tasks):
            report.fail(pool, what, sample.id)
        for what, key in {("patient", sample.patient), *(("record", window.record) for window in sample.records)}:
            if key and homes.setdefault((what, key), splits[row]) != splits[row]:
                report.fail(pool, f"{what} of the {homes[what, key]} split in {splits[row]}", f"{sample.id} ({key})")
        tokens = length(sample, [_clips(data, window) for window in sample.records])
        report.longest[pool] = max(report.longest[pool], tokens)
        report.too_long[pool] += tokens > context
    return report


def _wrong(sample: ECGSample, data: Data, tasks: Mapping[str, Task]) -> Iterator[str]:
    for window in sample.records:
        try:
            seconds = data.stores.seconds(window.record)
        except DataError:
            yield "record that is not in the stores"
            continue
        if window.end is not None and round(window.end * SAMPLING_RATE) > round(seconds * SAMPLING_RATE):
            yield "window beyond its record's end"
    if sample.task not in tasks:
        yield f"task '{sample.task}', which nobody knows"
    elif not tasks[sample.task].agrees(sample):
        yield "answer that its task's parser does not read as the reference"


def _clips(data: Data, window) -> int:
    try:
        return clip_count(round(data.stores.seconds(window) * SAMPLING_RATE))
    except DataError:
        return 1
