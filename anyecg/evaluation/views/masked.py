"""Leads withheld by where they stand: one of two (the paper's Figure 2), the limb leads, the chest leads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from anyecg.data.chance import chance
from anyecg.evaluation.views.base import Setup, View
from anyecg.tasks.base import Task
from anyecg.types import CANONICAL_LEADS, ECGSample

LIMB, CHEST = np.arange(6), np.arange(6, len(CANONICAL_LEADS))  # of the canonical leads


class Masked(View):
    """Some leads withheld: zeros, and absent."""

    def see(
        self, signal: np.ndarray, mask: np.ndarray, sample: ECGSample, record: int, seed: int
    ) -> tuple[np.ndarray, np.ndarray]:
        withheld = self.withheld(np.flatnonzero(mask), sample, record, seed)
        signal[withheld], mask[withheld] = 0.0, False
        return signal, mask

    def withheld(self, leads: np.ndarray, sample: ECGSample, record: int, seed: int) -> np.ndarray:
        """Those of the leads that are there, int `[k]` in canonical order, that are withheld."""
        raise NotImplementedError


class _OfTwo(Masked):
    """One lead of the zero-shot single lead (Figure 2), of tasks whose ECGs have two; an ECG of one lead keeps it."""

    place: ClassVar[int | None] = None  # of the leads that are there; None: a drawn one

    def asked(self, task: type[Task] | Task) -> bool:
        return task.single_lead

    def withheld(self, leads: np.ndarray, sample: ECGSample, record: int, seed: int) -> np.ndarray:
        place = self.place
        if place is None:
            place = chance(seed, "masked lead", sample.id, record).randrange(max(1, len(leads)))
        return leads[place : place + 1] if len(leads) > 1 else leads[:0]


class FirstLead(_OfTwo):
    """The first lead withheld."""

    label = short = "first lead masked"
    colour = "#e6a14c"
    place = 0


class SecondLead(_OfTwo):
    """The second lead withheld."""

    label = short = "second lead masked"
    colour = "#d9792b"
    place = 1


class RandomLead(_OfTwo):
    """A drawn lead withheld."""

    label = short = "random lead masked"
    colour = "#f2c99a"
    seeded = True


class _Group(Masked):
    """The limb or the chest leads, of questions whose every ECG has leads of both."""

    leads: ClassVar[np.ndarray]

    def put(self, samples: Sequence[ECGSample], setup: Setup) -> dict[str, ECGSample]:
        if setup.stores is None:
            return {}
        stores, found = setup.stores, {}
        for record in {window.record for sample in samples for window in sample.records}:
            there = stores.leads(record)
            found[record] = bool(there[LIMB].any() and there[CHEST].any())
        return {
            sample.id: sample
            for sample in samples
            if sample.records and all(found[window.record] for window in sample.records)
        }

    def withheld(self, leads: np.ndarray, sample: ECGSample, record: int, seed: int) -> np.ndarray:
        return np.intersect1d(leads, self.leads)


class LimbLeads(_Group):
    """The limb leads withheld."""

    label = short = "limb leads masked"
    colour = "#c9b458"
    leads = LIMB


class ChestLeads(_Group):
    """The chest leads withheld."""

    label = short = "chest leads masked"
    colour = "#94853d"
    leads = CHEST
