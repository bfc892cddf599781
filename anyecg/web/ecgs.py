"""One ECG of a conversation: its millivolts as the file has them, what is wrong with it, what was measured on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from anyecg.data.store.preprocess import lead_rows
from anyecg.plots.layout import Layout, lay_out
from anyecg.session import Reading
from anyecg.types import CANONICAL_LEADS, DataError, ECGRecord, InputSpec
from anyecg.web.measure import measured
from anyecg.web.quality import Issue, issues

SCALED = {  # what a scaling leaves of a recording's voltages
    True: "each lead scaled by itself: voltages and the axis are gone",
    False: "scaled as '{}'",
}


@dataclass(frozen=True)
class View:
    """How an ECG is drawn: layout, mm/s, mm/mV, the first second shown, and leads that are hidden."""

    layout: str = "3x4"
    speed: float = 25.0
    gain: float = 10.0
    start: float = 0.0
    hidden: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Shown:
    """An ECG of a conversation. record: as its file has it; date: what the user says, or "". DataError where none of
    its leads is one of the twelve.
    """

    record: ECGRecord
    date: str = ""

    def __post_init__(self) -> None:
        if not self.mask.any():
            raise DataError("none of its leads is one of the twelve, or none has a valid sample")

    @property
    def fs(self) -> float:
        return self.record.fs

    @property
    def seconds(self) -> float:
        return self.record.signal.shape[1] / self.record.fs

    @cached_property
    def signal(self) -> np.ndarray:
        """Float `[12, T]`, mV, canonical order, at the file's own rate; NaN where invalid or absent."""
        rows, _ = lead_rows(self.record.leads, self.record.assumed)
        signal = np.full((len(CANONICAL_LEADS), self.record.signal.shape[1]), np.nan, np.float32)
        for lead, row in rows.items():
            signal[lead] = self.record.signal[row]
        return signal

    @cached_property
    def mask(self) -> np.ndarray:
        """Bool `[12]`: leads with a valid sample."""
        return np.isfinite(self.signal).any(axis=1)

    @property
    def leads(self) -> tuple[str, ...]:
        return tuple(lead for lead, there in zip(CANONICAL_LEADS, self.mask) if there)

    @cached_property
    def issues(self) -> list[Issue]:
        return issues(self.signal, self.mask, self.fs)

    @cached_property
    def measured(self) -> Mapping[str, float | None]:
        return measured(self.signal, self.mask, self.fs)

    def layout(self, view: View) -> Layout:
        """How it stands on paper."""
        return lay_out(
            self.signal,
            self.mask,
            self.fs,
            layout=view.layout,
            speed=view.speed,
            gain=view.gain,
            start=view.start,
            hidden=view.hidden,
        )

    def without(self, hidden: Collection[str]) -> ECGRecord:
        """The record less the hidden leads; DataError where none is left."""
        rows, _ = lead_rows(self.record.leads, self.record.assumed)
        kept = [row for lead, row in sorted(rows.items()) if CANONICAL_LEADS[lead] not in hidden]
        if not kept:
            raise DataError("every lead is hidden; show one again, so that there is an ECG to ask about")
        names = {row: CANONICAL_LEADS[lead] for lead, row in rows.items()}
        return replace(
            self.record, signal=self.record.signal[kept], leads=tuple(names[row] for row in kept), assumed=()
        )


def given(shown: Shown, spec: InputSpec, reading: Reading) -> str:
    """One sentence on what a model gets of an ECG."""
    seconds = min(shown.seconds, reading.max_seconds)
    clips = max(1, round(np.ceil((seconds - 0.1) / spec.seconds)))
    leads = [lead for lead in spec.leads if lead in shown.leads]
    absent = [lead for lead in spec.leads if lead not in shown.leads]
    parts = [f"{spec.fs:g} Hz", f"{len(leads)} of {len(spec.leads)} leads", f"{clips} x {spec.seconds:g} s"]
    if spec.kind == "signal":
        parts.append(SCALED[spec.scaling.startswith("lead")].format(spec.scaling))
    else:
        parts.append("drawn as a page")
    sentence = f"The model gets: {', '.join(parts)}."
    if shown.seconds > reading.max_seconds:
        sentence += f" Only the first {reading.max_seconds:g} s of {shown.seconds:.0f} s."
    if absent and len(absent) < len(spec.leads):
        sentence += f" Not there: {', '.join(absent)}."
    return sentence
