"""`read_ecg`: which reader a file needs, and the record it makes of what file and caller say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from anyecg.data.own import array, dicom, edf, table, wfdb_record
from anyecg.data.own.channels import ASSUMED, Channel, Leads, millivolts, named, of_one_rate, warn_of_unit
from anyecg.types import AnyECGError, DataError, ECGRecord

Reader = Callable[[Path, Leads], list[Channel]]

READERS: dict[str, Reader] = {
    ".hea": wfdb_record.read,
    ".dat": wfdb_record.read,
    ".mat": wfdb_record.read,
    ".edf": edf.read,
    ".bdf": edf.read,
    ".dcm": dicom.read,
    ".csv": table.read,
    ".tsv": table.read,
    ".txt": table.read,
    ".npy": array.read,
    ".npz": array.read,
}


def read_ecg(
    path: Path | str,
    *,
    fs: float | None = None,
    leads: Leads = None,
    units: str | None = None,
    id: str | None = None,
    patient: str = "",
) -> ECGRecord:
    """An ECG of one's own: float32 `[L, T]` in mV at its own rate, NaN where samples are invalid; `canonical` takes it
    on.

    Args:
        path: WFDB (`.hea`, `.dat`, `.mat` beside a `.hea`, or the record's name), EDF or BDF, DICOM waveform, a table
            (`.csv`, `.tsv`, `.txt`: a row a sample, a column a lead) or NumPy (`.npy`, `.npz`: `[L, T]` or `[T, L]`).
        fs: Hz, where the file does not say it: NumPy, and a table without a column of time.
        leads: names, where the file does not say them: one a channel, in the file's order; or {channel: lead} to pick
            and name a few. Channels that are no lead by name are left out with a warning.
        units: mV, uV, µV or V, where the file does not say it; a table or an array is taken as mV.
        id: of the record; by default the file's name without suffix.
        patient: whom a split keeps together. The file's own patient name or number is never taken over: records end
            in stores, predictions and figures that are shared, so an identity is put there only by hand.

    Raises:
        DataError: the file is missing, cut short or broken; something it needs is not said; or the file says otherwise.
        AnyECGError: the format needs a library that is not installed.
    """
    path = Path(path)
    leads = (leads,) if isinstance(leads, str) else leads
    reader = _reader(path)
    with _naming(path):
        channels = reader(path, leads)
    rate, kept = of_one_rate(path, named(path, channels, leads), fs)
    scales = [millivolts(path, name, channel, units) for name, channel in kept]
    with _naming(path):
        signal = np.stack(
            [np.asarray(channel.values() * scale, np.float32) for (_, channel), scale in zip(kept, scales)]
        )
    if signal.shape[1] == 0:
        raise DataError(f"{path}: holds no samples")
    signal[~np.isfinite(signal)] = np.nan
    if np.isnan(signal).all():
        raise DataError(f"{path}: not one of its samples is a finite number; is it the right file?")
    if units is None and not any(channel.unit for _, channel in kept):
        warn_of_unit(path, signal)
    stem = path.stem if path.suffix.lower() in READERS else path.name
    return ECGRecord(signal, rate, tuple(name for name, _ in kept), stem if id is None else id, patient, ASSUMED)


def _reader(path: Path) -> Reader:
    reader = READERS.get(path.suffix.lower())
    if path.is_file():
        reader = reader or (dicom.read if dicom.is_dicom(path) else None)
    elif reader or not Path(f"{path}.hea").is_file():
        raise DataError(f"there is no file {path}, nor a WFDB record of that name")
    if reader is None and Path(f"{path}.hea").is_file():
        reader = wfdb_record.read
    if reader is None:
        raise DataError(f"{path}: no known format; {', '.join(READERS)} and DICOM are read")
    return reader


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Whatever a library raises on a broken file becomes a DataError that names the file."""
    try:
        yield
    except AnyECGError:
        raise
    except Exception as error:
        raise DataError(
            f"{path}: cut short, broken or not in the format of its name ({type(error).__name__}: {error})"
        ) from error
