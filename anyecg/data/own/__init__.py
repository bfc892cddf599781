"""A reader for a user's own ECG, whatever common format it is in: WFDB, EDF, DICOM waveform, CSV or NumPy."""

from anyecg.data.own.read import read_ecg

__all__ = ["read_ecg"]
