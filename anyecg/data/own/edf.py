"""EDF, EDF+ and BDF files."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

from anyecg.data.own.channels import Channel, Leads
from anyecg.data.own.extras import extra
from anyecg.types import DataError


def read(path: Path, leads: Leads) -> list[Channel]:
    """The signals, annotations left out; a signal is read from disk when its values are asked for.

    DataError where the file is shorter or longer than its header says, or has gaps in time.
    """
    edfio = extra("edfio", path)
    open_file = edfio.read_bdf if path.suffix.lower() == ".bdf" else edfio.read_edf
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # edfio mends a file cut short, and only warns of it
        file = open_file(path, header_encoding="latin-1")  # "µV" is no ASCII, and common
    if not file.is_continuous:
        raise DataError(f"{path}: has gaps in time (EDF+D); export it as one continuous recording")
    return [_channel(path, signal) for signal in file.signals]


def _channel(path: Path, signal) -> Channel:
    def values() -> np.ndarray:
        if signal.physical_min == signal.physical_max or signal.digital_min == signal.digital_max:
            raise DataError(f"{path}: the header gives {signal.label} an empty range of values")
        return signal.data

    return Channel(signal.label, signal.physical_dimension, signal.sampling_frequency, values)
