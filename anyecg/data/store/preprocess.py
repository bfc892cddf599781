"""From a recording as its source stores it to what a store holds: one rate, twelve canonical leads, mV."""

from __future__ import annotations

import math
import re
from fractions import Fraction

import numpy as np
from scipy.signal import resample_poly

from anyecg.types import CANONICAL_LEADS, DataError, ECGRecord, InputSpec

SLOWEST = 0.01  # Hz: what is sampled more slowly is no signal
VALID = 0.5  # share of a lead's samples that are valid where it is present
GAP = 1.0  # s: a longer gap may hide a beat, and the line drawn through it would say that there is none ...
GAP_SHARE = 0.05  # ... but of a long record no more is given up for a gap of less than this share of it

# A lead's name without case, blanks and underscores -> the canonical lead. Modified limb leads stand for the limb leads
# they imitate.
ALIASES = {
    **{name.lower(): name for name in CANONICAL_LEADS},
    "mli": "I",
    "mlii": "II",
    "mliii": "III",
    "ml1": "I",
    "ml2": "II",
    "ml3": "III",
    "d1": "I",
    "d2": "II",
    "d3": "III",
    "di": "I",
    "dii": "II",
    "diii": "III",
    "i(einthoven)": "I",
    "mv1": "V1",
    "mv2": "V2",
    "mv5": "V5",
    "mcl1": "V1",
    "mcl5": "V5",
    "cm2": "V2",
    "cm5": "V5",
}
UNNAMED = {"ecg", "ecg1", "ecg2", "ekg", "ekg1", "ekg2"}  # names that say of a lead only that it is one
BLANKS = re.compile(r"[\s_]+")
# "ECG II", "Lead V1", "MDC_ECG_LEAD_AVR": what comes before the lead's own name
KIND = re.compile(r"^(?:mdc)?(?:ecg|ekg)?(?:lead)?")


def lead_rows(leads: tuple[str, ...], assumed: tuple[str, ...] = ()) -> tuple[dict[int, int], list[str]]:
    """Which row of a recording holds which canonical lead: ({canonical index: row}, names nobody knows).

    "Lead II", "EKG II", "ecg_ii" and "MLII" are lead II; a turned lead ("-aVR") is none of the twelve. A lead that is
    named twice is taken once, the first time. assumed: the leads that those called "ECG" and no more are taken for, in
    order.
    """
    rows: dict[int, int] = {}
    unknown: list[str] = []
    unnamed = iter(assumed)
    for row, name in enumerate(leads):
        key = BLANKS.sub("", name.lower())
        lead = next(unnamed, None) if key in UNNAMED else ALIASES.get(KIND.sub("", key))
        if lead is None:
            unknown.append(name)
        else:
            rows.setdefault(CANONICAL_LEADS.index(lead), row)
    return rows, unknown


def canonical(record: ECGRecord, fs: float = InputSpec.fs) -> tuple[np.ndarray, np.ndarray, int]:
    """The recording at `fs` Hz in canonical lead order (the paper's preprocessing, which has 100 Hz).

    Returns float32 `[12, round(T * fs / record.fs)]` in mV, bool `[12]` (False: absent or broken, see `mended`), and
    how many broken samples were interpolated, linearly and before resampling. A flat lead is present. DataError where
    nothing is left to see.
    """
    rows, unknown = lead_rows(record.leads, record.assumed)
    if not rows:
        raise DataError(
            f"record {record.id}: none of its leads is known "
            f"({', '.join(name or 'one without a name' for name in unknown) or 'it has none'})"
        )
    samples = record.signal.shape[1]
    if samples == 0 or not SLOWEST <= record.fs < math.inf:
        raise DataError(f"record {record.id}: {samples} samples at {record.fs} Hz hold no signal")
    ratio = Fraction(fs).limit_denominator(1000) / Fraction(record.fs).limit_denominator(1000)
    length = round(samples * ratio)
    if length == 0:
        raise DataError(
            f"record {record.id}: {samples} samples at {record.fs} Hz are shorter than one sample at {fs:g} Hz"
        )
    mask = np.zeros(len(CANONICAL_LEADS), dtype=bool)
    present, broken = [], 0
    for lead, row in sorted(rows.items()):
        values, gaps = mended(record.signal[row], record.fs)
        if values is not None:
            mask[lead] = True
            broken += gaps
            present.append(values)
    if not present:
        raise DataError(
            f"record {record.id}: no lead has enough valid samples (half of them, and no gap of more than {GAP:g} s)"
        )
    values = np.stack(present)
    if ratio != 1:
        values = resample_poly(values, ratio.numerator, ratio.denominator, axis=1, padtype="line")
    signal = np.zeros((len(CANONICAL_LEADS), length), dtype=np.float32)
    signal[mask] = values[:, :length]
    return signal, mask, broken


def mended(lead: np.ndarray, fs: float) -> tuple[np.ndarray | None, int]:
    """float32 `[T]` with its invalid samples interpolated, and their number; None for a broken lead.

    A lead is broken where fewer than half of its samples are valid, or where they leave a gap of more than a second (in
    a record of more than 20 s: more than a twentieth of it).
    """
    valid = np.isfinite(lead)
    gaps = int(lead.size - valid.sum())
    if gaps == 0:
        return lead, 0
    if gaps > (1 - VALID) * lead.size or _longest(~valid) > max(GAP * fs, GAP_SHARE * lead.size):
        return None, gaps
    where = np.arange(lead.size)
    return np.interp(where, where[valid], lead[valid]).astype(np.float32), gaps


def _longest(gap: np.ndarray) -> int:
    """The length of the longest run of True."""
    edges = np.flatnonzero(np.diff(gap, prepend=False, append=False))  # where a run begins, where it ends, ...
    return int((edges[1::2] - edges[::2]).max(initial=0))
