"""MultiECG: questions over two to six ECGs of one patient, with rule-made answers from the reports' findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from anyecg.data.corpora.base import SPLITS
from anyecg.data.findings import BY_KEY, find
from anyecg.data.questions.config import QuestionsConfig
from anyecg.data.questions.kinds import KINDS, Asked
from anyecg.data.questions.phrasings import chance
from anyecg.data.questions.series import Series, all_series
from anyecg.data.store import Stores
from anyecg.types import ECGSample, Turn, Window


@dataclass(frozen=True)
class Draft:
    """A question that may still give way to the balance of yes and no."""

    split: str
    series: Series
    kind: str
    asked: Asked


def multi_ecg_questions(stores: Stores, cfg: QuestionsConfig, seed: int, dropped: Counter) -> Iterator[tuple[str, ECGSample]]:
    """(split, question) for series of ECGs (Dataset section, MultiECG); the subset is the number of ECGs, "2" to "6".

    Each answer is read back by `find`: one that would not say what it means to is dropped. Of the yes/no questions
    about a finding, as many are kept with either answer in each split.
    """
    for store in stores:
        series = list(all_series(store.records, cfg, seed))
        for split in SPLITS:
            drafts = list(_drafts(split, [one for where, one in series if where == split], cfg, seed, dropped))
            for draft in _balanced(drafts, seed, dropped):
                yield split, _sample(draft)


def _drafts(split: str, series: list[Series], cfg: QuestionsConfig, seed: int, dropped: Counter) -> Iterator[Draft]:
    """The questions of each series: `cfg.questions_per_run` kinds that have an answer there."""
    seen = Counter(finding for one in series for visit in one.visits for finding in visit.findings)
    common = {key: seen[key] for key in BY_KEY if key in seen and BY_KEY[key].kind != "summary"}
    for one in series:
        rng = chance(seed, "multi_ecg", one.id)
        made = 0
        for kind in rng.sample(sorted(KINDS), len(KINDS)):
            asked = KINDS[kind](one, common, rng)
            if asked is None:
                continue
            if find(asked.answer) != asked.asserts:
                dropped["multi_ecg", "answer that does not read back as meant"] += 1
                continue
            yield Draft(split, one, kind, asked)
            made += 1
            if made == cfg.questions_per_run:
                break


def _balanced(drafts: list[Draft], seed: int, dropped: Counter) -> Iterator[Draft]:
    """Drop yes/no questions until each kind asks of each finding as often with either answer."""
    groups: dict[tuple[str, str], dict[bool, list[int]]] = {}
    for n, draft in enumerate(drafts):
        if draft.asked.truth is not None:
            groups.setdefault((draft.kind, draft.asked.finding), {True: [], False: []})[draft.asked.truth].append(n)
    surplus: set[int] = set()
    for group in groups.values():
        keep = min(len(group[True]), len(group[False]))
        for members in group.values():
            surplus.update(sorted(members, key=lambda n: chance(seed, "balance", drafts[n].series.id, drafts[n].kind).random())[keep:])
    dropped["multi_ecg", "yes/no question without its counterpart"] += len(surplus)
    return (draft for n, draft in enumerate(drafts) if n not in surplus)


def _sample(draft: Draft) -> ECGSample:
    series, asked = draft.series, draft.asked
    return ECGSample(
        id=f"multi_ecg/{series.id}/{draft.kind}", task="multi_ecg", pool="multi_ecg", subset=str(len(series)), patient=series.patient,
        records=tuple(Window(visit.record, 0.0, visit.seconds) for visit in series.visits),
        conversation=(Turn("user", series.prompt(asked.question)), Turn("assistant", asked.answer)),
        evidence=tuple(visit.report for visit in series.visits),
        meta={"kind": draft.kind, "findings": [list(visit.findings) for visit in series.visits], "reference": asked.reference},
    )
