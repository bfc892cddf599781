"""LUDB 1.0.1: 200 twelve-lead ECGs of ten seconds whose P, QRS and T waves cardiologists delineated in each lead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import wfdb

from anyecg.data.corpora.base import Corpus, Entry, split_by_patient
from anyecg.data.corpora.quantities import BY_LEAD, GLOBAL, from_marks
from anyecg.data.corpora.waveform import BROKEN
from anyecg.types import CANONICAL_LEADS, DataError, ECGRecord

WAVES = {"p": "P", "N": "QRS", "t": "T"}  # the symbol of a wave's peak
FINDINGS = (  # columns of ludb.csv
    "Rhythms",
    "Electric axis of the heart",
    "Conduction abnormalities",
    "Extrasystolies",
    "Hypertrophies",
    "Cardiac pacing",
    "Ischemia",
    "Non-specific repolarization abnormalities",
    "Other states",
)
RHYTHM_LEAD = "II"  # whose annotations stand for the record's
FEWEST = 0.5  # share of the beats that must have a P wave for the record to have a PR interval


@dataclass(frozen=True)
class Wave:
    """A delineated wave: its kind ("P", "QRS", "T"), its onset, peak and end in samples."""

    kind: str
    onset: int
    peak: int
    end: int


def delineated(samples: list[int], symbols: list[str]) -> list[Wave]:
    """The whole waves of a lead's annotations, "(" peak ")" each; a wave without its onset or end is left out."""
    return [
        Wave(WAVES[symbol], samples[n - 1], samples[n], samples[n + 1])
        for n, symbol in enumerate(symbols[1:-1], start=1)
        if symbol in WAVES and symbols[n - 1] == "(" and symbols[n + 1] == ")"
    ]


def beats(waves: list[Wave]) -> list[tuple[Wave | None, Wave, Wave | None]]:
    """(P, QRS, T) of each beat of a lead: the P wave right before the QRS complex and the T wave right after it."""
    found = []
    for n, wave in enumerate(waves):
        if wave.kind == "QRS":
            before = waves[n - 1] if n and waves[n - 1].kind == "P" else None
            after = waves[n + 1] if n + 1 < len(waves) and waves[n + 1].kind == "T" else None
            found.append((before, wave, after))
    return found


def measure(signal: np.ndarray, fs: float, waves: Mapping[str, list[Wave]]) -> dict[str, float]:
    """Every quantity of a delineated recording.

    signal: `[12, T]` mV, NaN where invalid, canonical leads; fs: Hz; waves: lead -> its waves. An interval is the
    median over beats and leads, of onsets and ends in the same lead; an amplitude the median over beats, from the level
    at the QRS complex's onset. The P wave counts where half of the beats have one. Axes are from the net deflection of
    leads I and aVF.
    """
    parted = {lead: beats(found) for lead, found in waves.items()}
    peaks = [beat[1].peak for beat in parted.get(RHYTHM_LEAD, ())]
    rr = 1000 * float(np.diff(peaks).mean()) / fs if len(peaks) > 1 else np.nan
    every = [beat for found in parted.values() for beat in found]
    starts = [1000 * (qrs.onset - p.onset) / fs for p, qrs, _ in every if p]
    pr = _median(starts) if len(starts) >= FEWEST * len(every) else np.nan
    width = _median([1000 * (qrs.end - qrs.onset) / fs for _, qrs, _ in every])
    qt = _median([1000 * (t.end - qrs.onset) / fs for _, qrs, t in every if t])
    found = from_marks(rr, -pr, 0.0, width, qt)
    net = {}  # (part, lead) -> mV
    for row, lead in enumerate(CANONICAL_LEADS):
        sizes = [_sizes(signal[row], beat) for beat in parted.get(lead, ())]
        for name in ("r_amplitude", "s_amplitude", "st_level", "t_amplitude"):
            found[f"{name}_{lead}"] = _median([size[name] for size in sizes])
        for part in ("p", "qrs", "t"):
            net[part, lead] = _median([size[part] for size in sizes])
    enough = {"p": not np.isnan(pr), "qrs": True, "t": True}
    for part, there in enough.items():
        angle = np.degrees(np.arctan2(net[part, "aVF"] * 2 / np.sqrt(3), net[part, "I"]))
        found[f"{part}_axis"] = float(angle) if there else np.nan
    return found


def _sizes(trace: np.ndarray, beat: tuple[Wave | None, Wave, Wave | None]) -> dict[str, float]:
    """What a beat of a lead `[T]`, mV, measures in mV from the level at the onset of its QRS complex."""
    p, qrs, t = beat
    level = trace[qrs.onset]
    inside = trace[qrs.onset : qrs.end + 1] - level
    top = int(np.argmax(inside)) if np.isfinite(inside).all() else 0
    sizes = {
        "r_amplitude": max(float(inside[top]), 0.0),
        "s_amplitude": max(float(-inside[top:].min()), 0.0),
        "st_level": float(inside[-1]),
        "t_amplitude": np.nan,
        "qrs": float(inside.max() + inside.min()),
        "p": np.nan,
        "t": np.nan,
    }
    if np.isnan(inside).any():
        return dict.fromkeys(sizes, np.nan)
    for part, wave in (("p", p), ("t", t)):
        if wave is not None:
            span = trace[wave.onset : wave.end + 1] - (trace[wave.onset] if part == "p" else level)
            sizes[part] = float(span.max() + span.min())
    if t is not None:
        span = trace[t.onset : t.end + 1] - level
        sizes["t_amplitude"] = float(span[np.argmax(np.abs(span))])
    return sizes


def _median(values: list[float]) -> float:
    kept = [value for value in values if not np.isnan(value)]
    return float(np.median(kept)) if kept else np.nan


class LUDB(Corpus):
    """LUDB 1.0.1: 200 ECGs of 200 people, 500 Hz, every wave of every lead delineated by cardiologists.

    As downloaded: data/ (the signals, and an annotation file a lead), ludb.csv. The annotations of lead II stand for
    the record's. Patients are split about 60/10/30 by a seeded hash.
    """

    name: ClassVar[str] = "ludb"
    layout: ClassVar[str] = "ludb"
    quantities: ClassVar[tuple[str, ...]] = (*GLOBAL, *BY_LEAD)
    rate = 500.0

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        pass

    def entries(self) -> Iterator[Entry]:
        """One entry a row of ludb.csv; its statements are the findings of its columns."""
        table = self.table("ludb.csv", ["ID", *FINDINGS])
        numbers = [str(number).strip() for number in table["ID"]]
        splits = split_by_patient(numbers, (0.6, 0.1, 0.3), self.cfg.seed)
        rows = zip(numbers, table[list(FINDINGS)].fillna("").itertuples(index=False))
        return self.limited(
            Entry(number, f"data/{number}", number, splits[number], statements=_statements(cells))
            for number, cells in rows
        )

    def files(self, entry: Entry) -> list[Path]:
        return [*super().files(entry), *(self._annotations(entry, lead) for lead in CANONICAL_LEADS)]

    def recorded(self, entry: Entry) -> list[tuple[float, str]]:
        """Onsets "(", peaks ("p", "N", "t") and ends ")" of the waves of lead II."""
        samples, symbols = self._marks(entry, RHYTHM_LEAD)
        return [(sample / self.rate, symbol) for sample, symbol in zip(samples, symbols)]

    def measurements(self, entry: Entry, record: ECGRecord) -> dict[str, float]:
        waves = {lead: delineated(*self._marks(entry, lead)) for lead in CANONICAL_LEADS}
        rows = {name.lower(): row for row, name in enumerate(record.leads)}
        absent = [lead for lead in CANONICAL_LEADS if lead.lower() not in rows]
        if absent:
            raise DataError(f"{self.root / entry.path}: has no lead {', '.join(absent)}")
        last = max((wave.end for found in waves.values() for wave in found), default=0)
        if last >= record.signal.shape[1]:
            raise DataError(f"{self.root / entry.path}: a wave ends at sample {last}, after the signal")
        return measure(record.signal[[rows[lead.lower()] for lead in CANONICAL_LEADS]], record.fs, waves)

    def _annotations(self, entry: Entry, lead: str) -> Path:
        return self.root / f"{entry.path}.{lead.lower()}"

    def _marks(self, entry: Entry, lead: str) -> tuple[list[int], list[str]]:
        """The samples and symbols of a lead's annotations; DataError where they cannot be read."""
        path = self._annotations(entry, lead)
        try:
            read = wfdb.rdann(str(self.root / entry.path), lead.lower())
        except BROKEN as error:
            raise DataError(f"{path}: cannot be read as WFDB annotations ({type(error).__name__}: {error})") from error
        return [int(sample) for sample in read.sample], list(read.symbol)


def _statements(cells: tuple[str, ...]) -> tuple[str, ...]:
    """The lines of a row's cells; "Electric axis of the heart: normal" keeps its heading, since "normal" says
    nothing.
    """
    lines = [line.strip(" .") for cell in cells for line in cell.splitlines()]
    heading = "Electric axis of the heart: "
    return tuple(line.removeprefix(heading) if "deviation" in line else line for line in lines if line)
