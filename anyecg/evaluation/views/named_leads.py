"""The leads that a question is about withheld, against as many others."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from anyecg.data.chance import chance
from anyecg.evaluation.views.base import Setup
from anyecg.evaluation.views.masked import Masked
from anyecg.types import CANONICAL_LEADS, ECGSample

REGIONS = {  # the usual wall of each lead
    "inferior": ("II", "III", "aVF"),
    "anterior": ("V1", "V2", "V3", "V4"),
    "septal": ("V1", "V2"),
    "lateral": ("I", "aVL", "V5", "V6"),
    "precordial": CANONICAL_LEADS[6:],
    "chest": CANONICAL_LEADS[6:],
    "limb": CANONICAL_LEADS[:6],
}
_PLAIN = {lead.lower(): lead for lead in CANONICAL_LEADS}
_CHEST = re.compile(r"\bv([1-6])(?:\s*(?:-|–|to|through)\s*v?([1-6]))?\b", re.IGNORECASE)
_AUGMENTED = re.compile(r"\bav([rlf])\b", re.IGNORECASE)
# "I" alone is a word: limb leads count after "lead" or "leads", in a list
_LIMB = re.compile(
    r"\bleads?\s+((?:(?:i{1,3}|av[rlf]|v[1-6](?:\s*-\s*v?[1-6])?)\b(?:\s*,\s*|\s+and\s+|\s*/\s*)?)+)", re.IGNORECASE
)
_REGION = re.compile(r"\b(?:infero|antero|postero)?-?(" + "|".join(REGIONS) + r")\b", re.IGNORECASE)
_COMPOUND = re.compile(r"\b(infero|antero)-?(?:lateral|septal|posterior|inferior)\b", re.IGNORECASE)


def named_leads(text: str) -> frozenset[str]:
    """The canonical leads that a text names, by name ("lead II", "V1-V3") or by region ("inferior")."""
    found = set()
    for first, last in _CHEST.findall(text):
        found.update(f"V{number}" for number in range(int(first), int(last or first) + 1))
    found.update(_PLAIN[f"av{letter.lower()}"] for letter in _AUGMENTED.findall(text))
    for listed in _LIMB.findall(text):
        found.update(_PLAIN[word.lower()] for word in re.findall(r"\bi{1,3}\b", listed, re.IGNORECASE))
    for region in _REGION.findall(text):
        found.update(REGIONS[region.lower()])
    for prefix in _COMPOUND.findall(text):
        found.update(REGIONS[{"infero": "inferior", "antero": "anterior"}[prefix.lower()]])
    return frozenset(found)


def leads_meant(sample: ECGSample) -> np.ndarray:
    """The leads that a question is about, int `[k]`: those that its words name or, where they name none, its reference
    answer.
    """
    question = " ".join(turn.text for turn in sample.conversation if turn.role == "user")
    names = named_leads(question) or named_leads(sample.answer)
    return np.array([place for place, lead in enumerate(CANONICAL_LEADS) if lead in names], int)


class _Named(Masked):
    """Of questions that are about some leads and not all, over ECGs that have these and as many others."""

    def put(self, samples: Sequence[ECGSample], setup: Setup) -> dict[str, ECGSample]:
        if setup.stores is None:
            return {}
        stores, found = setup.stores, {}
        for sample in samples:
            meant = leads_meant(sample)
            if len(meant) and sample.records and all(_enough(stores.leads(w.record), meant) for w in sample.records):
                found[sample.id] = sample
        return found


def _enough(there: np.ndarray, meant: np.ndarray) -> bool:
    """Whether an ECG has some of the leads that are meant, and as many others that can be withheld in their place."""
    named = int(there[meant].sum())
    return 0 < named <= int(there.sum()) - named


class NamedLeads(_Named):
    """The leads that the question, or else its reference answer, names."""

    label = short = "the leads it is about masked"
    colour = "#a8453a"
    against = "other_leads_masked"

    def withheld(self, leads: np.ndarray, sample: ECGSample, record: int, seed: int) -> np.ndarray:
        return np.intersect1d(leads, leads_meant(sample))


class OtherLeads(_Named):
    """As many drawn leads that it does not name."""

    label = short = "as many other leads masked"
    colour = "#d8a29b"
    seeded = True

    def withheld(self, leads: np.ndarray, sample: ECGSample, record: int, seed: int) -> np.ndarray:
        meant = leads_meant(sample)
        others = np.setdiff1d(leads, meant).tolist()
        count = min(len(np.intersect1d(leads, meant)), len(others))
        return np.array(sorted(chance(seed, "other leads", sample.id, record).sample(others, count)), int)
