"""Localization: in which seconds of a window the beats of a class lie."""

from __future__ import annotations

import math
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from anyecg.config.checks import Checks, meant
from anyecg.data.chance import chance
from anyecg.data.corpora.annotated import EPISODE
from anyecg.data.corpora.base import BEATS
from anyecg.data.store.store import Store, Stores
from anyecg.tasks.phrasings import LOCALIZATION
from anyecg.tasks.subsample import within
from anyecg.types import MARKER, SPLITS, ECGSample, Turn, Window

# PhysioNet's names of its beat codes, as the released questions use them. Normal beats are never asked for, nor are
# those an annotator could not classify ("Q", "?").
NAMES = {
    "L": "Left bundle branch block beat",
    "R": "Right bundle branch block beat",
    "B": "Bundle branch block beat (unspecified)",
    "A": "Atrial premature beat",
    "a": "Aberrated atrial premature beat",
    "J": "Nodal (junctional) premature beat",
    "S": "Supraventricular premature or ectopic beat (atrial or nodal)",
    "V": "Premature ventricular contraction",
    "r": "R-on-T premature ventricular contraction",
    "F": "Fusion of ventricular and normal beat",
    "e": "Atrial escape beat",
    "j": "Nodal (junctional) escape beat",
    "n": "Supraventricular escape beat (atrial or nodal)",
    "E": "Ventricular escape beat",
    "/": "Paced beat",
    "f": "Fusion of paced and normal beat",
}
# Episodes that a source annotates by their begin and end ("(ST0-", "ST0-)"): ST or T, and which way.
EPISODES = {
    "ST+": "Episode of ST segment elevation",
    "ST-": "Episode of ST segment depression",
    "T+": "Episode of T wave elevation",
    "T-": "Episode of T wave depression",
}
SHORT, LONG = POOLS = ("localization_short", "localization_long")
TRIES = 30  # random windows looked at before a record is said to have none without the class


@dataclass(frozen=True)
class LocalizationConfig:
    """pools: windows of which kind are made, localization_short and localization_long; windows_per_record: positive
    questions for each record and each beat class it has, in each pool; windows: class -> that many in place of
    windows_per_record ({V: 600}); negatives_per_positive: "No <name> Found"
    questions; short_seconds,
    long_seconds:
    window lengths in s; sizes: subset (a corpus's key, or that with "_long") -> at most so many questions over all
    splits, all where it is not named (Table 2); classes: the beats and episodes that are asked for, keys of `NAMES`
    and `EPISODES` ("V", "ST-"), empty for all."""

    pools: list[str] = field(default_factory=lambda: list(POOLS))
    windows_per_record: int = 10
    windows: dict[str, int] = field(default_factory=dict)
    negatives_per_positive: float = 1.0
    short_seconds: float = 10.0
    long_seconds: list[float] = field(default_factory=lambda: [10.0, 60.0])
    sizes: dict[str, int] = field(default_factory=dict)
    classes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        with Checks(self) as check:
            check.among("pools", POOLS)
            check.among("classes", (*NAMES, *EPISODES))
            check.among("windows", (*NAMES, *EPISODES))
            check.number("windows_per_record", "windows", "negatives_per_positive", "sizes", least=0)
            check.number("short_seconds", above=0)
            if len(self.long_seconds) != 2 or not 0 < self.long_seconds[0] <= self.long_seconds[1]:
                check.wrong(
                    "long_seconds",
                    f"the shortest and the longest window in s, such as [10, 60], not {list(self.long_seconds)}",
                )


@dataclass(frozen=True)
class Strip:
    """An annotated record: its annotations in order of time (s), and what is asked of it."""

    id: str
    patient: str
    seconds: float
    times: np.ndarray
    symbols: np.ndarray

    def beats(self, start: float, end: float) -> str:
        """The beats of a window as text, "0.4s N, 1.2s V": seconds from the window's start."""
        first, last = np.searchsorted(self.times, (start, end))
        return ", ".join(
            f"{time - start:.1f}s {symbol}"
            for time, symbol in zip(self.times[first:last], self.symbols[first:last])
            if symbol in BEATS
        )


def spans(times: np.ndarray, symbols: np.ndarray, symbol: str, seconds: float) -> np.ndarray:
    """Where a class lies in a record of that many seconds: float64 `[n, 2]`, s.

    A labelled beat spans from the annotation before it to the one after it (to the record's edge where there is
    none); spans that touch are one. Every annotation bounds, a rhythm change too, as in the released data.
    """
    where = np.flatnonzero(symbols == symbol)
    edges = np.concatenate([[0.0], times, [seconds]])
    merged: list[list[float]] = []
    for begin, end in zip(edges[where], edges[where + 2]):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([begin, end])
    return np.array(merged, dtype=np.float64).reshape(-1, 2)


def episodes(times: np.ndarray, symbols: np.ndarray, kind: str, seconds: float) -> np.ndarray:
    """Where the episodes of a kind of `EPISODES` lie, in any lead: float64 `[n, 2]`, s.

    One without a begin or an end in the record reaches to its edge; those that overlap (of two leads, or one within
    another) are one.
    """
    open_since: dict[tuple[str, str], float] = {}
    found: list[tuple[float, float]] = []
    for time, symbol in zip(times, symbols):
        match = EPISODE.fullmatch(symbol)
        if match is None or match[2] + match[4][0] != kind:
            continue
        key = (match[3], match[4])
        if match[1]:
            open_since.setdefault(key, float(time))
        else:
            found.append((open_since.pop(key, 0.0), float(time)))
    found += [(begin, seconds) for begin in open_since.values()]
    merged: list[list[float]] = []
    for begin, end in sorted(found):
        if merged and begin <= merged[-1][1]:
            merged[-1][1] = max(end, merged[-1][1])
        else:
            merged.append([begin, end])
    return np.array(merged, dtype=np.float64).reshape(-1, 2)


def anchors(strip: Strip, symbol: str, where: np.ndarray) -> list[float]:
    """The times (s) around which positive windows are drawn: the beats of a class; where an episode begins or ends."""
    if symbol not in EPISODES:
        return strip.times[strip.symbols == symbol].tolist()
    return [time for time in where.ravel().tolist() if 0 < time < strip.seconds]


def clipped(spans: np.ndarray, start: float, end: float) -> list[tuple[float, float]]:
    """The spans inside a window, in seconds from its start to one decimal; none that rounds to nothing, and those that
    touch once rounded (a rhythm label lies a few hundredths before its beat) are one."""
    first = np.searchsorted(spans[:, 1], start, side="right")
    last = np.searchsorted(spans[:, 0], end, side="left")
    inside = np.clip(spans[first:last], start, end) - start
    rounded = [(float(a), float(b)) for a, b in np.round(inside, 1)]  # halves to even, as the release has them
    merged: list[tuple[float, float]] = []
    for a, b in rounded:
        if merged and a <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(b, merged[-1][1]))
        elif b > a:
            merged.append((a, b))
    return merged


def untouched(begins: list[float], ends: list[float], start: float, end: float) -> bool:
    """Whether `clipped` leaves nothing of a window: the same arithmetic without an array, as most windows that are
    tried are thrown away.
    """
    for n in range(bisect_right(ends, start), bisect_left(begins, end)):
        if round(10 * (min(ends[n], end) - start)) > round(10 * (max(begins[n], start) - start)):
            return False
    return True


def answer_text(name: str, intervals: list[tuple[float, float]]) -> str:
    """ "Duration: 0.4s-3.7s, 4.6s-9.3s", or "No <name> Found"."""
    if not intervals:
        return f"No {name} Found"
    return "Duration: " + ", ".join(f"{a:.1f}s-{b:.1f}s" for a, b in intervals)


def name_of(symbol: str) -> str:
    """What a question calls a beat class or a kind of episode."""
    return NAMES[symbol] if symbol in NAMES else EPISODES[symbol]


def localization_questions(
    stores: Stores, cfg: LocalizationConfig, seed: int, dropped: Counter
) -> Iterator[tuple[str, ECGSample]]:
    """(split, question) for the windows of each annotated record with and without each class of its corpus.

    Short windows make the pool localization_short and the subset of the corpus's name, long ones localization_long
    and the name with "_long" (Table 2); of a subset in `cfg.sizes` no more are taken than it says. Positives
    and negatives of a class are paired within a split, and a negative has the length of its positive, so neither the
    class nor the length gives the answer away.
    """
    if not cfg.sizes:
        yield from _windows(stores, cfg, seed, dropped)
        return
    yield from within(lambda dropped: _windows(stores, cfg, seed, dropped), cfg.sizes, seed, dropped)


def unknown_sizes(cfg: LocalizationConfig, corpora: Iterable[str]) -> list[tuple[str, str]]:
    """(setting, what is wrong with it) of each size of a subset that none of the corpora (keys) can have."""
    known = [f"{corpus}{long}" for corpus in corpora for long in ("", "_long")]
    return [
        (f"sizes.{subset}", f"no corpus of the experiment has such a subset{meant(subset, known)}")
        for subset in cfg.sizes
        if subset not in known
    ]


def _windows(stores: Stores, cfg: LocalizationConfig, seed: int, dropped: Counter) -> Iterator[tuple[str, ECGSample]]:
    """Every question of every subset."""
    for store in stores:
        corpus = store.summary["corpus"]
        for split in SPLITS:
            strips = list(_strips(store, split))
            present = {symbol for strip in strips for symbol in set(strip.symbols)}
            present |= {match[2] + match[4][0] for symbol in present if (match := EPISODE.fullmatch(symbol))}
            asked = cfg.classes or (*NAMES, *EPISODES)
            for symbol in (symbol for symbol in (*NAMES, *EPISODES) if symbol in present and symbol in asked):
                find = spans if symbol in NAMES else episodes
                where = [find(strip.times, strip.symbols, symbol, strip.seconds) for strip in strips]
                for pool in POOLS:
                    if pool in cfg.pools:
                        subset = corpus if pool == SHORT else f"{corpus}_long"
                        for sample in _class_questions(strips, where, symbol, pool, subset, cfg, seed, dropped):
                            yield split, sample


def _strips(store: Store, split: str) -> Iterator[Strip]:
    columns = ["id", "patient", "split", "seconds", "annotation_times", "annotation_symbols"]
    for record, patient, where, seconds, times, symbols in store.rows(columns):
        if times and where == split:
            yield Strip(
                record, patient, seconds, np.asarray(times, dtype=np.float64), np.asarray(symbols, dtype=object)
            )


def _class_questions(
    strips: list[Strip],
    where: list[np.ndarray],
    symbol: str,
    pool: str,
    subset: str,
    cfg: LocalizationConfig,
    seed: int,
    dropped: Counter,
) -> Iterator[ECGSample]:
    """The positives of one class in one split, each followed by its negatives, half of them from records with the
    class.
    """
    around = [anchors(strip, symbol, found) for strip, found in zip(strips, where, strict=True)]
    have = [n for n, times in enumerate(around) if times]
    lack = [n for n, found in enumerate(where) if not len(found)]
    bounds = [(found[:, 0].tolist(), found[:, 1].tolist()) for found in where]
    debt, taken = 0.0, Counter()
    for n in have:
        for number in range(cfg.windows.get(symbol, cfg.windows_per_record)):
            key = f"{pool}/{strips[n].id}/{symbol}/{number}"
            rng = chance(seed, key)
            seconds = _length(strips[n].seconds, pool, cfg, rng)
            if seconds is None:
                dropped[pool, "record shorter than a window"] += 1
                continue
            start = _around(around[n], strips[n].seconds, seconds, rng)
            yield _question(strips[n], where[n], symbol, start, seconds, key, pool, subset, rng)
            debt += cfg.negatives_per_positive
            while debt >= 1:
                debt -= 1
                order = [rng.sample(have, len(have)), rng.sample(lack, len(lack))]
                found = _without(strips, bounds, sum(order if rng.random() < 0.5 else order[::-1], []), seconds, rng)  # noqa: RUF017
                if found is None:
                    dropped[pool, f"no window without {name_of(symbol)} for a positive one"] += 1
                    continue
                m, start = found
                taken[m] += 1
                key = f"{pool}/{strips[m].id}/no{symbol}/{taken[m]}"
                yield _question(strips[m], where[m], symbol, start, seconds, key, pool, subset, rng)


def _length(record_seconds: float, pool: str, cfg: LocalizationConfig, rng: random.Random) -> float | None:
    """A window's length in s, whole tenths (so that no rounded answer leaves it); None where the record is shorter."""
    if pool == SHORT:
        low = high = cfg.short_seconds
    else:
        low, high = cfg.long_seconds
    if record_seconds < low:
        return None
    return math.floor(10 * rng.uniform(low, min(high, record_seconds))) / 10


def _around(times: list[float], record_seconds: float, seconds: float, rng: random.Random) -> float:
    """Where a window starts that has one of the times anywhere inside; no place of the window is likelier."""
    beat = rng.choice(times)
    return _fitted(beat - rng.random() * seconds, record_seconds, seconds)


def _without(
    strips: list[Strip],
    bounds: list[tuple[list[float], list[float]]],
    order: list[int],
    seconds: float,
    rng: random.Random,
) -> tuple[int, float] | None:
    """A record, in the order given, and the start of a window of it that no span of the class reaches into."""
    for m in order:
        if strips[m].seconds < seconds:
            continue
        for _ in range(TRIES):
            start = _fitted(rng.uniform(0, strips[m].seconds - seconds), strips[m].seconds, seconds)
            if untouched(*bounds[m], start, start + seconds):
                return m, start
    return None


def _fitted(start: float, record_seconds: float, seconds: float) -> float:
    return round(min(max(start, 0.0), record_seconds - seconds), 2)


def _question(
    strip: Strip,
    where: np.ndarray,
    symbol: str,
    start: float,
    seconds: float,
    key: str,
    pool: str,
    subset: str,
    rng: random.Random,
) -> ECGSample:
    name, end = name_of(symbol), round(start + seconds, 2)
    intervals = clipped(where, start, end)
    question = rng.choice(LOCALIZATION).format(name=name)
    return ECGSample(
        id=key,
        task="localization",
        pool=pool,
        subset=subset,
        patient=strip.patient,
        records=(Window(strip.id, start, end),),
        conversation=(Turn("user", f"{MARKER}\n{question}"), Turn("assistant", answer_text(name, intervals))),
        evidence=(strip.beats(start, end),),
        meta={"name": name, "symbol": symbol, "seconds": seconds, "intervals": [list(pair) for pair in intervals]},
    )
