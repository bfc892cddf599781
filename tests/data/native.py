"""Small recordings in native layouts, for what the simulator does not get wrong on purpose."""

from pathlib import Path

import numpy as np
import pytest
import wfdb

from anyecg.types import ECGRecord

REAL = Path(__file__).parents[3] / "shared" / "data"
real_data = pytest.mark.skipif(not (REAL / "ptbxl").is_dir(), reason=f"no real data at {REAL}")


def beat_train(seconds=30.0, fs=360.0, leads=2, seed=0):
    """float32 [L, T], mV: a spike a second over a slow wave."""
    time = np.arange(round(seconds * fs)) / fs
    noise = np.random.default_rng(seed).normal(0, 0.01, (leads, time.size))
    return (np.exp(-(((time % 1.0) - 0.5) ** 2) / 2e-4) + 0.1 * np.sin(2 * np.pi * 0.3 * time) + noise).astype(
        np.float32
    )


def record(signal, fs=100.0, leads=("II", "V1"), id="c/r"):
    return ECGRecord(np.asarray(signal, dtype=np.float32), fs, tuple(leads), id, "c/p")


def write_annotated(
    root,
    name,
    signal=None,
    fs=360,
    leads=("MLII", "V1"),
    units="mV",
    gain=400.0,
    beats=((0.5, "N"), (1.5, "V"), (2.5, "N")),
):
    """One WFDB record with `.atr` beside it, as the annotated databases have them; NaN becomes WFDB's invalid
    sample.
    """
    root.mkdir(parents=True, exist_ok=True)
    signal = beat_train(fs=fs, leads=len(leads)) if signal is None else np.asarray(signal)
    digital = np.where(np.isnan(signal), -32768, np.rint(np.nan_to_num(signal) * gain)).astype(np.int64)
    count, unique = len(leads), [f"lead{k}" for k in range(len(leads))]  # wfdb writes no name twice, the sources do
    wfdb.wrsamp(
        name,
        fs,
        [units] * count,
        unique,
        d_signal=digital.T,
        fmt=["16"] * count,
        adc_gain=[gain] * count,
        baseline=[0] * count,
        write_dir=str(root),
    )
    header = root / f"{name}.hea"
    text = header.read_text()
    for placeholder, lead in zip(unique, leads):
        text = text.replace(placeholder, lead)
    header.write_text(text)
    if beats:
        samples = np.array([round(time * fs) for time, _ in beats])
        wfdb.wrann(name, "atr", samples, [symbol for _, symbol in beats], write_dir=str(root))
    return root
