"""A reader for a user's own ECG, whatever common format it is in: WFDB, EDF, DICOM waveform, CSV, NumPy and others."""

from anyecg.data.own.read import read_array, read_ecg

__all__ = ["read_array", "read_ecg"]
