"""Numbers measured on a recording itself, to stand beside what a model says: rate, intervals, axis.

Beats are found by `quality.beats`. Onsets and ends of waves are neurokit2's (discrete wavelets, Martinez et al. 2004),
lead by lead; a beat's is a quantile over leads (`AMONG`), a recording's the median over beats. What too few beats or
leads show, or what they do not agree on, is not measurable, and is None.
"""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Mapping

import numpy as np

from anyecg.data.corpora.quantities import from_marks
from anyecg.types import CANONICAL_LEADS
from anyecg.web.quality import beats, net, prepared

TITLES = {
    "heart_rate": "Rate",
    "rr_interval": "RR",
    "pr_interval": "PR",
    "qrs_duration": "QRS",
    "qt_interval": "QT",
    "qtc_interval": "QTc (Bazett)",
    "qrs_axis": "Axis",
}
FEWEST = 3  # beats, and of these ...
SHARE = 0.5  # ... this share must show a mark
SPREAD = 40.0  # ms, between the quartiles of beats, that a mark may have about the QRS onset
LEADS = ("II", "V5", "V4", "V3", "I", "V6", "V2", "aVF", "V1")  # that are delineated: more take time and tell no more
MOST = 6  # of them
FEWEST_LEADS = 4  # that intervals are measured in: of two, a bad one moves the marks by far
NARROWEST = 60.0  # ms: no QRS complex is shorter
LONGEST = 30.0  # s that are delineated
SMALL = 0.1  # mV that I and aVF together show at least where there is an axis
# of the leads, where a beat's mark lies: a wave begins in some leads before it does in others (against LUDB's marks a
# median begins P waves 22 ms late and ends T waves 15 ms early)
AMONG = {"p_onset": 0.25, "qrs_onset": 0.4, "qrs_end": 0.6, "t_end": 0.75}
MARKS = {"p_onset": "ECG_P_Onsets", "qrs_onset": "ECG_R_Onsets", "qrs_end": "ECG_R_Offsets", "t_end": "ECG_T_Offsets"}


def delineates() -> bool:
    """Whether the library that finds onsets and ends of waves is installed (`pip install 'anyecg[web]'`)."""
    return importlib.util.find_spec("neurokit2") is not None


def measured(signal: np.ndarray, lead_mask: np.ndarray, fs: float) -> Mapping[str, float | None]:
    """Quantity -> value (bpm, ms, degrees), None where it is not measurable; of `TITLES`, without intervals where
    `delineates` is False.

    signal: `[12, T]`, mV, canonical order, at `fs` Hz, NaN where invalid; lead_mask: bool `[12]`.
    """
    names = [name for name in TITLES if delineates() or name in ("heart_rate", "rr_interval", "qrs_axis")]
    found: dict[str, float | None] = dict.fromkeys(names)
    filled, live = prepared(signal, lead_mask)
    peaks = beats(filled[live], fs)
    if peaks is None or len(peaks) < FEWEST:
        return found
    rr = 1000.0 * float(peaks[-1] - peaks[0]) / (len(peaks) - 1) / fs
    found["rr_interval"], found["heart_rate"] = rr, 60_000.0 / rr
    found["qrs_axis"] = axis(filled, lead_mask, peaks, fs)
    if delineates() and sum(CANONICAL_LEADS[lead] in LEADS for lead in live) >= FEWEST_LEADS:
        marks = _marks(filled, live, peaks, fs)
        values = from_marks(rr, *(marks[name] for name in MARKS))
        if values["qrs_duration"] < NARROWEST:  # the delineator took a part of a wide complex for all of it
            values = dict.fromkeys(values, math.nan)
        for name in ("pr_interval", "qrs_duration", "qt_interval", "qtc_interval"):
            found[name] = None if math.isnan(values[name]) else values[name]
    return found


def axis(signal: np.ndarray, lead_mask: np.ndarray, peaks: np.ndarray, fs: float) -> float | None:
    """The frontal axis of the QRS in degrees, from I and aVF (or II less half of I); None where they are not there or
    too small.
    """
    row = {name: place for place, name in enumerate(CANONICAL_LEADS)}
    if not lead_mask[row["I"]] or not (lead_mask[row["aVF"]] or lead_mask[row["II"]]):
        return None
    one = signal[row["I"]]
    foot = signal[row["aVF"]] if lead_mask[row["aVF"]] else signal[row["II"]] - one / 2
    left, down = net(one, peaks, fs), net(foot, peaks, fs) * 2 / math.sqrt(3)
    return None if math.hypot(left, down) < SMALL else math.degrees(math.atan2(down, left))


def _marks(signal: np.ndarray, live: list[int], peaks: np.ndarray, fs: float) -> dict[str, float]:
    """ms of each of `MARKS` after the QRS onset, NaN where it is not measurable."""
    order = [CANONICAL_LEADS.index(name) for name in LEADS if CANONICAL_LEADS.index(name) in live][:MOST]
    kept = peaks[peaks < LONGEST * fs]
    length = min(signal.shape[1], round(LONGEST * fs))
    each = np.stack([_delineated(signal[lead, :length], kept, fs) for lead in order])  # [leads, marks, beats], samples
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of beats that no lead shows
        placed = np.stack([np.nanquantile(each[:, row], AMONG[name], axis=0) for row, name in enumerate(MARKS)])
    placed *= 1000.0 / fs
    onset = placed[1]
    found = {"qrs_onset": 0.0}
    for row, name in enumerate(MARKS):
        if name == "qrs_onset":
            continue
        away = (placed[row] - onset)[np.isfinite(placed[row] - onset)]
        enough = len(away) >= max(FEWEST, SHARE * len(kept))
        steady = enough and float(np.subtract(*np.percentile(away, (75, 25)))) <= SPREAD
        found[name] = float(np.median(away)) if steady else math.nan
    return found


def _delineated(row: np.ndarray, peaks: np.ndarray, fs: float) -> np.ndarray:
    """`[marks, beats]` in samples, NaN where a lead does not show one."""
    import neurokit2  # an extra, and slow to import

    at = _refined(row, peaks, fs)
    missing = np.full((len(MARKS), len(peaks)), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            _, waves = neurokit2.ecg_delineate(row, at, sampling_rate=round(fs), method="dwt")
        except (ValueError, IndexError, KeyError, ZeroDivisionError):  # on a lead that shows no waves
            return missing
    for place, name in enumerate(MARKS.values()):
        values = np.asarray(waves.get(name, []), float)
        if len(values) == len(peaks):
            missing[place] = values
    return missing


def _refined(row: np.ndarray, peaks: np.ndarray, fs: float) -> np.ndarray:
    """The beats' places moved to the greatest deflection of a lead within 60 ms."""
    reach = max(1, round(0.06 * fs))
    moved = []
    for peak in peaks:
        first = max(0, peak - reach)
        part = row[first : peak + reach + 1]
        moved.append(first + int(np.abs(part - np.median(part)).argmax()))
    return np.array(moved)
