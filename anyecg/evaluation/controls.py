"""Controls: the same questions without their ECGs, and with the ECGs of another patient."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest

import numpy as np

from anyecg.types import DataError, ECGSample

SIGNAL = "signal"  # every question with its own ECGs
BLIND = "blind"  # every ECG withheld: zeros with all leads absent, the question's words unchanged
SHUFFLED = "shuffled"  # every question with the ECGs of another patient's question of the same kind
VIEWS = (SIGNAL, BLIND, SHUFFLED)

# Who may lend ECGs to whom: the narrowest likeness first.
_LIKENESS = (
    lambda s: (s.task, s.subset, len(s.records), s.meta.get("name", "")),
    lambda s: (s.task, s.subset, len(s.records)),
    lambda s: (s.task, len(s.records)),
)


def shuffled(samples: Sequence[ECGSample], seed: int = 0) -> list[ECGSample]:
    """The samples in their order, each with the windows (and evidence) of other patients, as many as before.

    Donors come from the same task, subset, number of ECGs and abnormality. Where no patient owns more than half of such
    a group, its ECGs are exchanged one to one; elsewhere each sample draws a donor, from a wider group if need be, and
    where no other patient has as many ECGs, single ECGs of any others. The outcome depends on the set of samples and
    the seed, not on their order. DataError if all samples are of one patient.
    """
    rng = np.random.default_rng(seed)
    ordered = sorted(samples, key=lambda sample: sample.id)
    wider = [_grouped(ordered, likeness) for likeness in _LIKENESS]
    lent: dict[str, ECGSample] = {}
    for members in wider[0].values():
        largest = max(Counter(member.patient for member in members).values())
        if 2 * largest <= len(members):
            lent |= _exchanged(members, largest, rng)
        else:
            lent |= {member.id: _drawn(member, wider, rng) or _mixed(member, ordered, rng) for member in members}
    return [replace(sample, records=lent[sample.id].records, evidence=lent[sample.id].evidence) for sample in samples]


def _grouped(samples: Sequence[ECGSample], likeness) -> dict[tuple, list[ECGSample]]:
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


def _drawn(sample: ECGSample, wider: list[dict], rng: np.random.Generator) -> ECGSample | None:
    """A sample of another patient, as alike as can be; None if no other patient has as many ECGs."""
    for likeness, groups in zip(_LIKENESS, wider):
        others = [other for other in groups[likeness(sample)] if other.patient != sample.patient]
        if others:
            return others[rng.integers(len(others))]
    return None


def _mixed(sample: ECGSample, samples: list[ECGSample], rng: np.random.Generator) -> ECGSample:
    """The sample over single ECGs of other patients, each at most once where there are enough."""
    others = [other for other in samples if other.patient != sample.patient and other.records]
    if not others:
        raise DataError(
            f"question {sample.id}: all questions are about one patient, so its ECGs cannot be shuffled; evaluate more "
            "patients, or drop 'shuffled' from evaluation.views"
        )
    lent = {window: evidence for other in others for window, evidence in zip_longest(other.records, other.evidence, fillvalue="")}
    windows, count = list(lent), len(sample.records)
    chosen = [windows[i] for i in rng.choice(len(windows), count, replace=count > len(windows))]
    return replace(sample, records=tuple(chosen), evidence=tuple(lent[window] for window in chosen))
