"""A reader for a user's own ECG, whatever common format it is in: WFDB, EDF, DICOM waveform, CSV, NumPy and others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anyecg.data.own.read import read_array, read_ecg

__all__ = ["read_array", "read_ecg"]


def __getattr__(name: str) -> Any:
    """The readers when they are asked for: the table of formats lies in this package too, and is read where nothing
    is.
    """
    if name in __all__:
        from anyecg.data.own import read

        return getattr(read, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
