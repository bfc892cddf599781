"""MultiECG: questions over two to six ECGs of one patient, with rule-made answers from the reports' findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from anyecg.data.chance import chance
from anyecg.data.store.store import Stores
from anyecg.findings import BY_KEY, find
from anyecg.tasks.multi_ecg.series import Histories, MultiECGConfig, Series
from anyecg.tasks.multi_ecg.templates import KINDS, Asked, Prevalence
from anyecg.types import SPLITS, ECGSample, Turn, Window


def multi_ecg_questions(
    stores: Stores, cfg: MultiECGConfig, seed: int, dropped: Counter
) -> Iterator[tuple[str, ECGSample]]:
    """(split, question) for series of ECGs (Dataset section, MultiECG); the subset is the number of ECGs, "2" to "6".

    Each answer is read back by `find`: one that would not say what it means to is dropped. Of the yes/no questions
    about a finding, as many are kept with either answer in each split.
    """
    for store in stores:
        histories = Histories(store)
        for split in SPLITS:
            seen = Counter(
                finding
                for one in histories.series(split, cfg, seed)
                for visit in one.visits
                for finding in visit.findings
            )
            common = {key: seen[key] for key in BY_KEY if key in seen and BY_KEY[key].kind != "summary"}
            surplus = _surplus(_drafts(histories.series(split, cfg, seed), common, cfg, seed), seed)
            for draft in _drafts(histories.series(split, cfg, seed), common, cfg, seed):
                if draft.id in surplus:
                    dropped["multi_ecg", "yes/no question without its counterpart"] += 1
                elif find(draft.asked.answer) != draft.asked.asserts:
                    dropped["multi_ecg", "answer that does not read back as meant"] += 1
                else:
                    yield split, make_sample(draft.series, draft.id, draft.kind, draft.asked)


@dataclass(frozen=True)
class Draft:
    """A question that may still give way to the balance of yes and no."""

    series: Series
    kind: str
    asked: Asked

    @property
    def id(self) -> str:
        return f"multi_ecg/{self.series.id}/{self.kind}"


def _drafts(series: Iterable[Series], common: Prevalence, cfg: MultiECGConfig, seed: int) -> Iterator[Draft]:
    """The questions of each series: `cfg.questions_per_run` of the kinds that have an answer there."""
    for one in series:
        rng = chance(seed, "multi_ecg", one.id)
        asked = ((kind, KINDS[kind](one, common, rng)) for kind in rng.sample(sorted(KINDS), len(KINDS)))
        yield from islice((Draft(one, kind, question) for kind, question in asked if question), cfg.questions_per_run)


def _surplus(drafts: Iterable[Draft], seed: int) -> set[str]:
    """The ids of the yes/no questions to drop, so that each kind asks of each finding as often with either answer."""
    groups: dict[tuple[str, str], dict[bool, list[str]]] = {}
    for draft in drafts:
        if draft.asked.truth is not None:
            groups.setdefault((draft.kind, draft.asked.finding), {True: [], False: []})[draft.asked.truth].append(
                draft.id
            )
    surplus: set[str] = set()
    for group in groups.values():
        keep = min(map(len, group.values()))
        for members in group.values():
            surplus.update(sorted(members, key=lambda id: chance(seed, "balance", id).random())[keep:])
    return surplus


def make_sample(series: Series, id: str, kind: str, asked: Asked) -> ECGSample:
    """A question about a series as every MultiECG question is kept."""
    return ECGSample(
        id=id,
        task="multi_ecg",
        pool="multi_ecg",
        subset=str(len(series)),
        patient=series.patient,
        records=tuple(Window(visit.record, 0.0, visit.seconds) for visit in series.visits),
        conversation=(Turn("user", series.prompt(asked.question)), Turn("assistant", asked.answer)),
        evidence=tuple(visit.report for visit in series.visits),
        meta={
            "kind": kind,
            "findings": [list(visit.findings) for visit in series.visits],
            "reference": asked.reference,
        },
    )
