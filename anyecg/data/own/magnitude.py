"""Whether millivolts can be those of an ECG: values that stand for no sample, and spans that no heart has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anyecg.data.own.channels import short
from anyecg.data.own.formats import Request

FAR = 5.0  # mV between a value that stands for no sample and the samples nearest to it, at least ...
TIMES = 3.0  # ... and so many times the span of all other samples
HIGH = 20.0  # mV: what a lead spans (1st to 99th percentile) at most
LOW = 0.05  # mV: what the largest lead spans at least


def without_fill(signal: np.ndarray, leads: Sequence[str], request: Request) -> None:
    """Make NaN of values `[L, T]` (mV, in place) that stand for no sample, with a note.

    Such a value is a lead's lowest or highest, and lies far outside all others (the -32768 of 16 bits, in whatever
    unit).
    """
    filled: dict[str, list[str]] = {}
    for row, lead in zip(signal, leads):
        for end in (np.nanmin, np.nanmax):
            valid = np.isfinite(row)
            if not valid.any():
                break
            value = end(row[valid])
            same = valid & (row == value)
            rest = row[valid & ~same]
            if rest.size and np.abs(rest - value).min() > max(FAR, TIMES * float(np.ptp(rest))):
                row[same] = np.nan
                filled.setdefault(f"{value:g}", []).append(f"{lead} ({int(same.sum()):,} samples)")
    for value, where in filled.items():
        request.note(f"{value} mV stands for no sample in {short(where)}: taken as invalid")


def look(signal: np.ndarray, leads: Sequence[str], request: Request, said: bool) -> None:
    """Note where a signal `[L, T]` (mV) is none of an ECG: too large, too small, flat.

    said: whether file or caller says its unit.
    """
    spans, flat = [], []
    for row, lead in zip(signal, leads):
        valid = row[np.isfinite(row)]
        if not valid.size:
            continue
        if np.ptp(valid) == 0:
            flat.append(lead)
        else:
            low, high = np.percentile(valid, (1, 99))
            spans.append((float(high - low), float(np.ptp(valid)), lead))
    unit = "the unit or the gain that the file or units= gives is wrong" if said else "pass units= (uV? V?)"
    start = "" if said else "taken as mV, "
    large = [lead for span, _, lead in spans if span > HIGH]
    if large:
        request.note(
            f"{start}its leads span {max(span for span, _, _ in spans):.0f} mV ({short(large)}), which no ECG does: "
            f"{unit}"
        )
    elif spans and max(full for _, full, _ in spans) < LOW:
        request.note(
            f"{start}its largest lead spans {max(full for _, full, _ in spans):.2g} mV, which is too little for an "
            f"ECG: {unit}"
        )
    if flat:
        request.note(f"{short(flat)}: one value throughout, no signal")
