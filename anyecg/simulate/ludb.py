"""Writes LUDB 1.0.1's layout: `data/1.{hea,dat}`, an annotation file a lead with every wave's onset, peak and end, and
`ludb.csv`.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import wfdb

from anyecg.findings import BY_KEY
from anyecg.simulate import wfdb_files
from anyecg.simulate.beat import end, onset
from anyecg.simulate.dataset import Simulator
from anyecg.simulate.faults import Faults
from anyecg.simulate.heart import LEADS
from anyecg.simulate.patient import draw, source
from anyecg.simulate.record import Recording, record

FS, SECONDS = 500, 10.0
STORAGE = wfdb_files.Storage(16, 1000.0, "1000(0)/mV", 16)
SYMBOLS = (("P", "p"), ("QRS", "N"), ("T", "t"))  # a part of the beat and what marks its peak
COLUMNS = {  # of ludb.csv -> the kinds of `anyecg.findings` that it holds
    "Rhythms": ("rhythm",),
    "Electric axis of the heart": ("axis",),
    "Conduction abnormalities": ("conduction",),
    "Extrasystolies": ("ectopy",),
    "Hypertrophies": ("voltage",),
    "Cardiac pacing": (),
    "Ischemia": ("infarct", "st"),
    "Non-specific repolarization abnormalities": ("t_wave",),
    "Other states": (),
}


class LUDB(Simulator):
    """LUDB 1.0.1: one ECG a patient."""

    name = "ludb"

    def records(self, seed: int, index: int) -> int:
        """One record a patient."""
        return 1

    def write(self, root: Path, seed: int, index: int, first: int, seconds: float | None) -> list[dict]:
        """Write one patient's record and its delineation; returns the row of `ludb.csv`."""
        rng = source(seed, self.name, index)
        patient = draw(index, rng, (1.0,), 2018, 1)
        faults = Faults.draw(rng, mains_hz=50.0)
        drawn = record(patient.visits[0].findings, patient.anatomy, faults, seconds or SECONDS, FS, rng)
        folder, name = root / "data", str(index + 1)
        folder.mkdir(exist_ok=True)
        wfdb_files.write(folder, name, drawn.signal, FS, [lead.lower() for lead in LEADS], STORAGE)
        for row, lead in enumerate(LEADS):
            samples, symbols = delineation(drawn, row)
            # wfdb writes extensions of letters only, and LUDB's are lead names
            wfdb.wrann(name, "lead", samples, symbol=symbols, fs=FS, write_dir=str(folder))
            (folder / f"{name}.lead").rename(folder / f"{name}.{lead.lower()}")
        found = {"ID": index + 1, "Sex": "M\n" if patient.male else "F\n", "Age": f"{patient.age}\n"}
        for column, kinds in COLUMNS.items():
            keys = [key for key in sorted(drawn.findings) if BY_KEY[key].kind in kinds]
            heading = f"{column}: " if column.startswith("Electric") else ""
            names = [BY_KEY[key].name for key in keys] or (["normal"] if heading else [])
            found[column] = "".join(f"{heading}{name[0].upper()}{name[1:]}\n" for name in names)
        return [found]

    def finish(self, root: Path, rows: list[dict]) -> None:
        """Write `ludb.csv` and `RECORDS`."""
        pd.DataFrame(rows).to_csv(root / "ludb.csv", index=False)
        (root / "RECORDS").write_text("".join(f"data/{row['ID']}\n" for row in rows))


def delineation(drawn: Recording, lead: int) -> tuple[np.ndarray, list[str]]:
    """Samples and symbols of the waves of each conducted beat that lies in the record as a whole: onset "(", peak "p",
    "N" or "t", end ")". A wave's peak is the largest deflection of the heart's signal in that lead.
    """
    parts = {wave.part for wave in drawn.beat}
    samples, symbols = [], []
    length = drawn.clean.shape[1]
    spans = [(symbol, onset(drawn.beat, part), end(drawn.beat, part)) for part, symbol in SYMBOLS if part in parts]
    reach = max(stop for _, _, stop in spans)
    for number, (time, kind) in enumerate(zip(drawn.times, drawn.kinds)):
        following = drawn.times[number + 1] if number + 1 < len(drawn.times) else np.inf
        first, last = round((time + spans[0][1]) * drawn.fs), round((time + reach) * drawn.fs)
        if kind != "N" or first < 1 or last >= length:
            continue
        for symbol, start, stop in spans:
            if symbol == "t" and time + stop > following:
                continue  # the next beat comes before the T wave has ended
            begin, finish = round((time + start) * drawn.fs), round((time + stop) * drawn.fs)
            peak = begin + int(np.abs(drawn.clean[lead, begin : finish + 1] - drawn.clean[lead, begin]).argmax())
            peak = min(max(peak, begin + 1), finish - 1)
            samples += [begin, peak, finish]
            symbols += ["(", symbol, ")"]
    order = np.argsort(samples, kind="stable")
    return np.array(samples)[order], [symbols[n] for n in order]
