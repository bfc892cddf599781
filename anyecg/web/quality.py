"""What is wrong with a recording before any model reads it: no ECG, flat, clipped, noisy, electrodes exchanged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import uniform_filter1d
from scipy.signal import butter, find_peaks, sosfiltfilt

from anyecg.types import CANONICAL_LEADS

FLAT = 0.02  # mV that a lead spans at least
STILL = 1.0  # s at one value that are no rest between beats
CLIPPED = 0.02  # s at a lead's greatest or least value, in runs of at least ...
RUN = 0.006  # ... so many s, where no rest of a signal lies
NOISE = 0.06  # mV, root mean square above 35 Hz between the beats
WANDER = 1.0  # mV that the baseline goes up and down
SUM = 0.15  # mV by which III may differ from II - I, root mean square
TURNED = -0.6  # correlation of the median beats of I and V6 where one is the other turned over
PROMINENT = 8.0  # how far a beat stands out of what lies between beats, in energy
LEAST, MOST = 20.0, 320.0  # beats a minute of a heart


@dataclass(frozen=True)
class Issue:
    """Something that is wrong. kind: a word; text: a sentence; leads: those meant, none where it is all of them."""

    kind: str
    text: str
    leads: tuple[str, ...] = ()


def issues(signal: np.ndarray, lead_mask: np.ndarray, fs: float) -> list[Issue]:
    """What is wrong with a recording, the worst first.

    signal: `[12, T]`, mV, canonical order, at `fs` Hz, NaN where invalid; lead_mask: bool `[12]`.
    """
    filled, live = prepared(signal, lead_mask)
    flat = [lead for lead in range(len(CANONICAL_LEADS)) if lead_mask[lead] and lead not in live]
    found: list[Issue] = []
    peaks = beats(filled[live], fs)
    if signal.shape[1] / fs < 1.0:
        found.append(Issue("short", f"only {signal.shape[1] / fs:.2f} s long: too short to show a beat"))
    elif peaks is None:
        found.append(Issue("no ECG", "no heartbeats can be seen in it: is this an ECG, in mV and at the right rate?"))
    found += _of("flat", "{}: flat, no signal", flat)
    found += _still(signal, live, fs)
    found += _of("clipped", "{}: cut off at the top or bottom, as by an amplifier that was driven too far", [
        lead for lead in live if _clipped(signal[lead], fs)
    ])  # fmt: skip
    if peaks is not None:
        noisy = [lead for lead in live if _noise(filled[lead], peaks, fs) > NOISE]
        found += _of("noisy", "{}: noise of more than " + f"{1000 * NOISE:.0f} µV between the beats", noisy)
        found += _limb(filled, lead_mask, peaks, fs)
    wander = [lead for lead in live if _wander(filled[lead], fs) > WANDER]
    found += _of("baseline", "{}: the baseline wanders by more than " + f"{WANDER:g} mV", wander)
    return found


def prepared(signal: np.ndarray, lead_mask: np.ndarray) -> tuple[np.ndarray, list[int]]:
    """The leads `[12, T]` in mV about their medians, 0 where invalid, and those that are there and not flat."""
    filled = np.nan_to_num(signal - np.nanmedian(np.where(lead_mask[:, None], signal, 0.0), axis=1, keepdims=True))
    return filled, [int(lead) for lead in np.flatnonzero(lead_mask) if np.ptp(filled[lead]) >= FLAT]


def beats(signal: np.ndarray, fs: float) -> np.ndarray | None:
    """Samples of the QRS complexes, int `[B]`, found in all leads `[L, T]` together; None where there are none.

    The energy between 8 and 25 Hz, each lead by its own scale, averaged over 100 ms: beats are what stands far out of
    the energy between them (17 times and more in LUDB and the simulator, less than 4 in noise, sines and random walks).
    """
    if not len(signal) or signal.shape[1] < fs:
        return None
    high = min(25.0, 0.45 * fs)
    if high <= 9.0:
        return None
    band = sosfiltfilt(butter(2, (8.0, high), "bandpass", fs=fs, output="sos"), signal, axis=1)
    scale = np.percentile(np.abs(band), 98, axis=1, keepdims=True)
    energy = uniform_filter1d(np.mean(np.square(band / np.maximum(scale, 1e-6)), axis=0), max(1, round(0.1 * fs)))
    # of a usual beat: the median of stretches that nearly all hold one, so that a wide beat is not the measure of all
    stretches = np.array_split(energy, max(1, len(energy) // max(1, round(1.5 * fs))))
    tall = float(np.median([stretch.max() for stretch in stretches]))
    places, _ = find_peaks(energy, height=0.25 * tall, distance=max(1, round(0.24 * fs)))
    if not len(places):
        return None
    heights = energy[places]
    rate = 60.0 * len(places) / (signal.shape[1] / fs)
    if np.median(heights) < PROMINENT * max(float(np.median(energy)), 1e-9) or not LEAST / 2 <= rate <= MOST:
        return None
    return places


def _of(kind: str, text: str, leads: list[int]) -> list[Issue]:
    names = tuple(CANONICAL_LEADS[lead] for lead in leads)
    return [Issue(kind, text.format(", ".join(names)), names)] if names else []


def _still(signal: np.ndarray, leads: list[int], fs: float) -> list[Issue]:
    """Leads that stand at one value for a while, or have no samples there."""
    found = []
    for lead in leads:
        row = signal[lead]
        start, end = _longest((np.diff(row) == 0) | np.isnan(row[1:]))
        if (end - start) / fs >= STILL:
            name = CANONICAL_LEADS[lead]
            text = f"{name}: no signal from {start / fs:.1f} s to {end / fs:.1f} s"
            found.append(Issue("lost", text, (name,)))
    return found


def _clipped(row: np.ndarray, fs: float) -> bool:
    """Whether a lead rests at its greatest or least value, again and again or for long."""
    row = row[np.isfinite(row)]
    for edge in (row.max(), row.min()):
        if abs(edge - np.median(row)) < 0.3:
            continue
        at = np.concatenate([[False], np.abs(row - edge) < 1e-6, [False]])
        turns = np.flatnonzero(np.diff(at))
        runs = turns[1::2] - turns[::2]
        if runs[runs >= max(3, RUN * fs)].sum() >= CLIPPED * fs:
            return True
    return False


def _noise(row: np.ndarray, peaks: np.ndarray, fs: float) -> float:
    """Root mean square in mV above 35 Hz, away from the beats."""
    if fs < 90.0:
        return 0.0
    high = sosfiltfilt(butter(2, 35.0, "highpass", fs=fs, output="sos"), row)
    quiet = np.ones(len(row), bool)
    for peak in peaks:
        quiet[max(0, peak - round(0.12 * fs)) : peak + round(0.12 * fs)] = False
    return float(np.sqrt(np.mean(np.square(high[quiet])))) if quiet.sum() > 0.2 * fs else 0.0


def _wander(row: np.ndarray, fs: float) -> float:
    low = uniform_filter1d(row, max(1, round(0.8 * fs)))
    return float(np.ptp(low))


def _limb(signal: np.ndarray, mask: np.ndarray, peaks: np.ndarray, fs: float) -> list[Issue]:
    """What the limb leads say of their electrodes."""
    lead = {name: place for place, name in enumerate(CANONICAL_LEADS)}
    found = []
    if mask[:3].all():
        away = signal[lead["III"]] - (signal[lead["II"]] - signal[lead["I"]])
        if np.sqrt(np.mean(np.square(away - np.median(away)))) > SUM:
            found.append(
                Issue(
                    "limb leads",
                    "I + III is not II: one limb lead is of another gain, turned, or misnamed",
                    ("I", "II", "III"),
                )
            )
    side = "V6" if mask[lead["V6"]] else "V5"
    if mask[lead["I"]] and mask[lead[side]]:
        one, chest = (beat(signal[lead[name]], peaks, fs) for name in ("I", side))
        if one.std() > 0 and chest.std() > 0 and np.corrcoef(one, chest)[0, 1] < TURNED:
            text = f"P, QRS and T of I point the other way than those of {side}: the arm electrodes look exchanged"
            found.append(Issue("electrodes", text, ("I",)))
    return found


def beat(row: np.ndarray, peaks: np.ndarray, fs: float) -> np.ndarray:
    """The median beat, `[0.65 s]` in mV, from 0.25 s before the QRS complex on."""
    before, after = round(0.25 * fs), round(0.4 * fs)
    inside = [peak for peak in peaks if before <= peak < len(row) - after]
    if not inside:
        return np.zeros(before + after)
    return np.median([row[peak - before : peak + after] for peak in inside], axis=0)


def net(row: np.ndarray, peaks: np.ndarray, fs: float) -> float:
    """The QRS complex's greatest and least value added, mV, the median over beats: which way it points."""
    reach = round(0.06 * fs)
    inside = [peak for peak in peaks if reach < peak < len(row) - reach]
    if not inside:
        return 0.0
    values = []
    for peak in inside:
        part = row[peak - reach : peak + reach]
        part = part - np.median(row[max(0, peak - 3 * reach) : peak + 3 * reach])
        values.append(part.max() + part.min())
    return float(np.median(values))


def _longest(same: np.ndarray) -> tuple[int, int]:
    """Where the longest run of True begins and ends."""
    turns = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]])))
    if not len(turns):
        return 0, 0
    runs = turns[1::2] - turns[::2]
    best = int(runs.argmax())
    return int(turns[2 * best]), int(turns[2 * best + 1])
