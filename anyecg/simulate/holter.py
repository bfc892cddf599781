"""Writes the long two-lead layouts with beat annotations: MIT-BIH Arrhythmia, MIT-BIH ST Change, European ST-T."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import wfdb

from anyecg.simulate import wfdb_files
from anyecg.simulate.beat import Anatomy
from anyecg.simulate.dataset import Simulator
from anyecg.simulate.faults import Faults
from anyecg.simulate.heart import LEADS
from anyecg.simulate.patient import burden, source
from anyecg.simulate.record import Recording, record
from anyecg.simulate.rhythm import Ectopy

SECONDS = 180.0
STORAGE = wfdb_files.Storage(212, 200.0, "200", 12)
RHYTHM_BEFORE = 0.06  # s between a rhythm label and the first beat of the rhythm


class Holter(Simulator):
    """A database of long two-lead records with beat annotations, one record a patient.

    fs: Hz; first: number of the first record, form: its file name; leads: choices of leads, each its chance and (name
    in the header, lead of `heart.LEADS`) a signal; supraventricular: the symbol of an atrial ectopic beat; rhythms:
    whether rhythm changes are annotated ("+"); storage: sample format; mains_hz: of the country.
    """

    fs: ClassVar[int]
    first: ClassVar[int]
    form: ClassVar[str] = "{}"
    leads: ClassVar[tuple[tuple[float, tuple[tuple[str, str], ...]], ...]]
    supraventricular: ClassVar[str] = "S"
    rhythms: ClassVar[bool] = False
    storage: ClassVar[wfdb_files.Storage] = STORAGE
    mains_hz: ClassVar[float] = 60.0

    def records(self, seed: int, index: int) -> int:
        """One record a patient."""
        return 1

    def write(self, root: Path, seed: int, index: int, first: int, seconds: float | None) -> list[dict]:
        """Write one patient's record; returns its name."""
        rng = source(seed, self.name, index)
        name = self.form.format(self.first + index)
        anatomy, (ventricular, atrial) = Anatomy.draw(rng), burden(rng)
        base = str(
            rng.choice(
                ["", "left_bundle_branch_block", "right_bundle_branch_block", "atrial_fibrillation"],
                p=[0.70, 0.11, 0.11, 0.08] if self.rhythms else [0.78, 0.11, 0.11, 0.0],
            )
        )
        findings = {base} if base else set()
        faults = Faults.draw(rng, broken=0.0, mains_hz=self.mains_hz)
        drawn = record(
            findings,
            anatomy,
            faults,
            seconds or SECONDS,
            self.fs,
            rng,
            ventricular,
            Ectopy() if base == "atrial_fibrillation" else atrial,
        )
        chances = [chance for chance, _ in self.leads]
        chosen = self.leads[rng.choice(len(chances), p=chances)][1]
        rows = [LEADS.index(lead) for _, lead in chosen]
        wfdb_files.write(root, name, drawn.signal[rows], self.fs, [label for label, _ in chosen], self.storage)
        samples, symbols, notes = self._annotations(drawn, rows[0])
        wfdb.wrann(name, "atr", samples, symbol=symbols, aux_note=notes, fs=self.fs, write_dir=str(root))
        return [{"name": name}]

    def finish(self, root: Path, rows: list[dict]) -> None:
        """Write `RECORDS`."""
        (root / "RECORDS").write_text("".join(f"{row['name']}\n" for row in rows))

    def _annotations(self, drawn: Recording, lead: int) -> tuple[np.ndarray, list[str], list[str]]:
        """Beats at their R peaks in the first signal, and the rhythm labels before the beats that begin a rhythm."""
        peaks, found = drawn.peaks(lead)
        kinds = [self.supraventricular if kind == "A" else str(kind) for kind in found]
        base = "(AFIB" if "atrial_fibrillation" in drawn.findings else "(N"
        entries = [(int(sample), kind, "") for sample, kind in zip(peaks, kinds)]
        if self.rhythms:
            now = None
            for i, (sample, _, _) in enumerate(list(entries)):
                label = "(VT" if _in_run(kinds, i) else base
                if label != now:
                    entries.append((max(sample - round(RHYTHM_BEFORE * drawn.fs), 1), "+", label + "\x00"))
                    now = label
            entries.sort()
        return (
            np.array([entry[0] for entry in entries]),
            [entry[1] for entry in entries],
            [entry[2] for entry in entries],
        )


def _in_run(kinds: list[str], i: int) -> bool:
    """Whether beat `i` belongs to three or more ventricular beats in a row."""
    if kinds[i] != "V":
        return False
    left = i
    while left and kinds[left - 1] == "V":
        left -= 1
    right = i
    while right + 1 < len(kinds) and kinds[right + 1] == "V":
        right += 1
    return right - left >= 2


class MITBIHArrhythmia(Holter):
    """MIT-BIH Arrhythmia Database."""

    name = "mit_bih_arrhythmia"
    fs, first = 360, 100
    leads = (
        (0.80, (("MLII", "II"), ("V1", "V1"))),
        (0.10, (("MLII", "II"), ("V5", "V5"))),
        (0.10, (("MLII", "II"), ("V2", "V2"))),
    )
    supraventricular, rhythms = "A", True
    storage = wfdb_files.Storage(212, 200.0, "200", 11, 1024)


class EuropeanSTT(Holter):
    """European ST-T Database."""

    name = "european_st_t"
    fs, first, form = 250, 103, "e{:04d}"
    leads = (
        (0.50, (("V4", "V4"), ("MLIII", "III"))),
        (0.30, (("V5", "V5"), ("MLIII", "III"))),
        (0.20, (("D3", "III"), ("V4", "V4"))),
    )
    mains_hz = 50.0


class MITBIHSTChange(Holter):
    """MIT-BIH ST Change Database."""

    name = "mit_bih_st_change"
    fs, first = 360, 300
    leads = ((1.0, (("ECG", "V5"), ("ECG", "II"))),)
