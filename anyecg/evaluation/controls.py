"""Which views an evaluation asks of a task, and who lends ECGs to whom where they are shuffled."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from anyecg.config.schema import SIGNAL
from anyecg.data.store.store import Stores
from anyecg.registry import registry
from anyecg.tasks.base import Task
from anyecg.types import DataError, ECGSample, Window

BLIND, SHUFFLED = "blind", "shuffled"  # the names of two views that every table has
CONTROLLED = (SIGNAL, BLIND, SHUFFLED)

ALIKE = 1.25  # windows are of one class of length where they differ by less than about this factor

# Who may lend ECGs to whom: the narrowest likeness first. length: of a sample's windows, a class each.
_LIKENESS = (
    lambda s, length: (s.task, s.subset, length, s.meta.get("name", "")),
    lambda s, length: (s.task, s.subset, length),
    lambda s, length: (s.task, length),
    lambda s, length: (s.task, len(length)),
)


def asked_in(task: type[Task] | Task, views: Sequence[str]) -> list[str]:
    """Those of `views` that a task is asked in."""
    return [view for view in views if registry("view")[view]().asked(task)]


def patients_of(samples: Sequence[ECGSample], stores: Stores) -> dict[str, str]:
    """record -> patient, of every record that the samples ask about: a question may have ECGs of two patients, and
    names one.
    """
    asked = pa.array(sorted({window.record for sample in samples for window in sample.records}), pa.string())
    found: dict[str, str] = {}
    for store in stores:
        table = store.table(["id", "patient"])
        table = table.filter(pc.is_in(table["id"], value_set=asked))
        found |= zip(table["id"].to_pylist(), table["patient"].to_pylist(), strict=True)
    return found


def shuffled(
    samples: Sequence[ECGSample],
    seed: int = 0,
    patients: Mapping[str, str] | None = None,
    seconds: Callable[[Window], float] | None = None,
) -> list[ECGSample]:
    """The samples in their order, each with the windows (and evidence) of its donor among `donors`."""
    lent = donors(samples, seed, patients, seconds)
    return [replace(sample, records=lent[sample.id].records, evidence=lent[sample.id].evidence) for sample in samples]


def donors(
    samples: Sequence[ECGSample],
    seed: int = 0,
    patients: Mapping[str, str] | None = None,
    seconds: Callable[[Window], float] | None = None,
) -> dict[str, ECGSample]:
    """Question's id -> a sample of other patients with as many windows, which are shown in place of the question's own.

    patients: record -> patient, for questions over ECGs of two patients; a record that it does not know is the sample's
    patient's. seconds: of a window (`Stores.seconds`), needed for windows that go to their record's end. Whoever lends
    ECGs shares no patient and no record with the question.

    Donors come from the same task, subset, number of ECGs of nearly the same length (`ALIKE`), and abnormality. Where
    no patient owns more than half of such a group, its ECGs are exchanged one to one; elsewhere each sample draws a
    donor, from a wider group if need be, and where no other patient has as many ECGs, single ECGs of any others; so
    does a sample to whom an exchange would give ECGs of its own second patient. The outcome depends on the set of
    samples and the seed, not on their order. DataError if all samples are of one patient.
    """
    rng = np.random.default_rng(seed)
    ordered = sorted(samples, key=lambda sample: sample.id)
    apart = _Apart(ordered, patients or {})
    lengths = {sample.id: tuple(_length_class(window, seconds) for window in sample.records) for sample in ordered}
    wider = [_grouped(ordered, lambda sample, alike=alike: alike(sample, lengths[sample.id])) for alike in _LIKENESS]
    lent: dict[str, ECGSample] = {}
    for members in wider[0].values():
        largest = max(Counter(member.patient for member in members).values())
        exchanged = _exchanged(members, largest, rng) if 2 * largest <= len(members) else {}
        for member in members:
            donor = exchanged.get(member.id)
            if donor is None or not apart(member, donor):
                donor = _drawn(member, lengths[member.id], wider, apart, rng) or _mixed(member, ordered, apart, rng)
            lent[member.id] = donor
    return lent


def _length_class(window: Window, seconds: Callable[[Window], float] | None) -> int:
    """Windows of a class are of nearly the same length; without `seconds`, one that ends with its record is of a
    class of its own.
    """
    if window.end is None and seconds is None:
        return -1
    return round(math.log(seconds(window) if seconds else window.end - window.start, ALIKE))


class _Apart:
    """Whether two samples have neither a patient nor a record in common."""

    def __init__(self, samples: Sequence[ECGSample], patients: Mapping[str, str]) -> None:
        self._has = {
            sample.id: frozenset([("patient", sample.patient)]).union(
                *(
                    (("record", window.record), ("patient", patients.get(window.record, sample.patient)))
                    for window in sample.records
                )
            )
            for sample in samples
        }

    def __call__(self, one: ECGSample, other: ECGSample) -> bool:
        return self._has[one.id].isdisjoint(self._has[other.id])


def _grouped(samples: Sequence[ECGSample], likeness: Callable[[ECGSample], tuple]) -> dict[tuple, list[ECGSample]]:
    groups: dict[tuple, list[ECGSample]] = defaultdict(list)
    for sample in samples:
        groups[likeness(sample)].append(sample)
    return groups


def _exchanged(members: list[ECGSample], largest: int, rng: np.random.Generator) -> dict[str, ECGSample]:
    """A permutation: with patients side by side, a turn by the largest patient's share leaves nobody at home."""
    patients = sorted({member.patient for member in members})
    place = dict(zip(patients, rng.permutation(len(patients)).tolist()))
    members = [members[i] for i in rng.permutation(len(members))]
    members.sort(key=lambda member: place[member.patient])
    return {member.id: donor for member, donor in zip(members, members[largest:] + members[:largest])}


def _drawn(
    sample: ECGSample, length: tuple[int, ...], wider: list[dict], apart: _Apart, rng: np.random.Generator
) -> ECGSample | None:
    """A sample of another patient, as alike as can be; None if no other patient has as many ECGs."""
    for likeness, groups in zip(_LIKENESS, wider):
        others = [other for other in groups[likeness(sample, length)] if apart(sample, other)]
        if others:
            return others[rng.integers(len(others))]
    return None


def _mixed(sample: ECGSample, samples: list[ECGSample], apart: _Apart, rng: np.random.Generator) -> ECGSample:
    """The sample over single ECGs of other patients, each at most once where there are enough."""
    others = [other for other in samples if apart(sample, other) and other.records]
    if not others:
        raise DataError(
            f"question {sample.id}: all questions are about one patient or share one with it, so its ECGs cannot be "
            f"shuffled; evaluate more "
            "patients, or drop 'shuffled' from evaluation.views"
        )
    lent = {
        window: evidence
        for other in others
        for window, evidence in zip_longest(other.records, other.evidence, fillvalue="")
    }
    windows, count = list(lent), len(sample.records)
    chosen = [windows[i] for i in rng.choice(len(windows), count, replace=count > len(windows))]
    return replace(sample, records=tuple(chosen), evidence=tuple(lent[window] for window in chosen))
