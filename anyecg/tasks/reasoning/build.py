"""Chains from measurements by rule, for each store that has measurements; and from ECG-Reasoning-Benchmark's files."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from anyecg.config.checks import Checks
from anyecg.data.chance import chance
from anyecg.data.corpora.base import BEATS
from anyecg.data.store.store import Store, Stores
from anyecg.tasks.base import Task
from anyecg.tasks.measure.quantities import quantity
from anyecg.tasks.reasoning.released import released_chains
from anyecg.tasks.reasoning.rules import BY_NAME, RULES, YES_NO, Rule
from anyecg.tasks.reasoning.steps import POOL, Chain, Step, ordered, questions
from anyecg.types import ECGSample, Window

HALF = 0.1  # s on either side of an R peak: the stretch that is asked for
CHOICES = 4  # stretches of time that a wave is chosen from


@dataclass(frozen=True)
class ReasoningConfig(Task.Config):
    """diagnoses: which are asked about, by rule, where a corpus measures what they need; per_record: chains a
    recording; folders: corpus (its key) -> a folder of ECG-Reasoning-Benchmark about it, such as data/ptbxl, whose
    chains are asked too."""

    diagnoses: list[str] = field(default_factory=lambda: [rule.name for rule in RULES])
    per_record: int = 1
    folders: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.among("diagnoses", tuple(BY_NAME))
            check.number("per_record", least=0)


def reasoning_questions(
    stores: Stores, cfg: ReasoningConfig, seed: int, dropped: Counter
) -> Iterator[tuple[str, ECGSample]]:
    """(split, question) for every step of every chain, in the order of its steps."""
    if cfg.per_record:
        for store in stores:
            if store.summary["info"].get("quantities"):
                yield from _by_rule(store, cfg, seed, dropped)
    for corpus, folder in sorted(cfg.folders.items()):
        store = stores[corpus]
        known = {record: (patient, split, seconds) for record, patient, split, seconds in store.rows(
            ["id", "patient", "split", "seconds"]
        )}  # fmt: skip
        for name, entry, chain in released_chains(folder):
            record = f"{corpus}/{entry}"
            if record not in known:
                dropped[POOL, "chain about a recording that is not in the store"] += 1
                continue
            patient, split, seconds = known[record]
            window = Window(record, 0.0, seconds)
            for sample in questions(chain, f"{record}/{name}", window, patient, f"{corpus}_released", ""):
                yield split, sample


def _by_rule(store: Store, cfg: ReasoningConfig, seed: int, dropped: Counter) -> Iterator[tuple[str, ECGSample]]:
    columns = ["id", "patient", "split", "seconds", "measurements", "annotation_times", "annotation_symbols"]
    taken: Counter = Counter()
    for record, patient, split, seconds, pairs, times, symbols in store.rows(columns):
        values = dict(pairs or ())
        decided = {name: BY_NAME[name].holds(values) for name in cfg.diagnoses}
        there = [name for name, holds in decided.items() if holds is not None]
        if not there:
            dropped[POOL, "record that no rule decides on"] += 1
            continue
        rng = chance(seed, POOL, record)
        beats = [time for time, symbol in zip(times or (), symbols or ()) if symbol in BEATS]
        for _ in range(min(cfg.per_record, len(there))):
            # the rarest so far of what this record offers, so that neither a diagnosis nor its answer prevails
            name = min(rng.sample(there, len(there)), key=lambda name: taken[split, name, decided[name]])
            there.remove(name)
            taken[split, name, decided[name]] += 1
            chain = chain_of(BY_NAME[name], values, bool(decided[name]), beats, seconds, rng)
            window = Window(record, 0.0, seconds)
            evidence = ", ".join(_evidence(BY_NAME[name], values))
            for sample in questions(chain, f"{record}/{name}", window, patient, store.summary["corpus"], evidence):
                yield split, sample


def chain_of(
    rule: Rule, values: Mapping[str, float], holds: bool, beats: Sequence[float], seconds: float, rng: random.Random
) -> Chain:
    """The steps of a rule on a recording: finding, lead, wave, measurement, decision; beats: times of its R peaks, s.

    A lead, or a wave, is asked for where the rule has one and the recording an answer.
    """
    yes = (0,) if holds else (1,)
    steps = [Step("finding", rule.finding, YES_NO, yes)]
    if rule.leads:
        showing = tuple(n for n, shows in enumerate(rule.leads.values()) if shows(values))
        steps.append(Step("lead", rule.lead_question, tuple(rule.leads), showing, several=True))
    if rule.wave and (stretches := _stretches(beats, seconds, rng)):
        options, right = stretches
        steps.append(
            Step("wave", "In which of these stretches of time, in seconds, does a QRS complex lie?", options, right)
        )
    steps += [
        Step(
            "measurement",
            f"Which range does the {rule.quantity} fall into?",
            tuple(rule.ranges()),
            (rule.place(values),),
        ),
        Step("decision", f"Based on these findings, does this ECG show {rule.title}?", YES_NO, yes),
    ]
    return Chain(rule.name, holds, tuple(steps))


def _stretches(
    beats: Sequence[float], seconds: float, rng: random.Random
) -> tuple[tuple[str, ...], tuple[int, ...]] | None:
    """Stretches of 0.2 s in random order, the one around a beat, the others between beats; None where there are too few
    beats.
    """
    inside = [beat for beat in beats if HALF <= beat <= seconds - HALF]
    gaps = [(a + 0.55 * (b - a)) for a, b in pairwise(beats) if b - a > 5 * HALF]
    if not inside or len(gaps) < CHOICES - 1:
        return None
    centres = [rng.choice(inside), *rng.sample(gaps, CHOICES - 1)]
    options = [f"{centre - HALF:.2f}s - {centre + HALF:.2f}s" for centre in centres]
    return ordered(options, (0,), rng.sample(range(CHOICES), CHOICES))


def _evidence(rule: Rule, values: Mapping[str, float]) -> Iterator[str]:
    """What a perfect reader would measure for a rule."""
    yield f"{rule.quantity} {rule.value(values):.2f} {rule.unit}"
    for lead in rule.leads or ():
        for wave in ("st_level",) if rule.name.startswith("st_") else ("r_amplitude", "s_amplitude"):
            asked = quantity(f"{wave}_{lead}")
            if asked.name in values:
                yield f"{asked.title} {asked.write(values[asked.name])}"
