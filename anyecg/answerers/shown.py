"""An ECG as a model behind an endpoint is shown it: the image of a page, or measured numbers."""

from __future__ import annotations

import io

import numpy as np
from matplotlib.figure import Figure
from scipy.signal import find_peaks

from anyecg.plots.sheet import sheet
from anyecg.plots.trace import Panel, rhythm_leads, strips, twelve_leads
from anyecg.types import CANONICAL_LEADS

MISSING = "(this ECG is not shown)"
WIDTH, DPI = 250.0, 96  # mm and dots an inch of a page
PAGE_SECONDS, FEW = 12.0, 3  # s and leads that a clinical page takes
REFRACTORY = 0.25  # s between two beats, at least


def page(signal: np.ndarray, mask: np.ndarray, fs: float) -> bytes:
    """A PNG of an ECG on paper, from mV `[12, T]`: the clinical page of ten seconds, or strips of what is there."""
    few = int(mask.sum()) <= FEW or signal.shape[1] / fs > PAGE_SECONDS
    if few:
        leads = [int(lead) for lead in np.flatnonzero(mask)] if mask.sum() <= FEW else rhythm_leads(signal, mask)
        panel: Panel = strips(signal[leads], [CANONICAL_LEADS[lead] for lead in leads], fs=fs)
    else:
        panel = twelve_leads(signal, mask, fs=fs)
    figure: Figure = sheet([("", panel)], 1, WIDTH)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, metadata={"Software": None})
    return file.getvalue()


def numbers(signal: np.ndarray, mask: np.ndarray, fs: float) -> str:
    """What is measured without a delineation: length, leads, beats and their spacing, and each lead's range in mV."""
    if not mask.any():
        return MISSING
    steep = np.abs(np.gradient(signal[mask], axis=1)).sum(axis=0)
    smooth = np.convolve(steep, np.ones(max(1, round(0.08 * fs))), "same")
    peaks, _ = find_peaks(smooth, height=0.4 * np.percentile(smooth, 99), distance=max(1, round(REFRACTORY * fs)))
    gaps = np.diff(peaks) / fs * 1000
    rhythm = "too few beats to measure a rate"
    if len(gaps) > 1:
        rhythm = (
            f"{len(peaks)} beats, mean rate {60_000 / gaps.mean():.0f} a minute, RR interval {gaps.mean():.0f} ms "
            f"(shortest {gaps.min():.0f}, longest {gaps.max():.0f}, standard deviation {gaps.std():.0f})"
        )
    centred = signal - np.median(signal, axis=1, keepdims=True)
    ranges = ", ".join(
        f"{name} {trace.min():+.2f} to {trace.max():+.2f}"
        for name, trace, there in zip(CANONICAL_LEADS, centred, mask)
        if there
    )
    return f"(ECG of {signal.shape[1] / fs:.1f} s: {rhythm}; deflections from the median in mV: {ranges})"
