"""The waveform of a DICOM file: one multiplex group, its leads and its scale."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from anyecg.data.own.channels import Channel, Leads, lead_name
from anyecg.data.own.extras import extra
from anyecg.types import CANONICAL_LEADS, DataError

# The last part of a lead's code, in ISO/IEEE 11073 ("2:61") and in SCP-ECG ("5.6.3-9-61"), for a meaning in another
# language.
CODES = dict(zip(("1", "2", "61", "62", "63", "64", "3", "4", "5", "6", "7", "8"), CANONICAL_LEADS))


def is_dicom(path: Path) -> bool:
    """Whether the file begins as DICOM files do, whatever its suffix."""
    with path.open("rb") as file:
        return file.read(132)[128:] == b"DICM"


def read(path: Path, leads: Leads) -> list[Channel]:
    """The channels of the multiplex group labelled RHYTHM, else of the longest; DataError where there is no
    waveform.
    """
    pydicom = extra("pydicom", path)
    data = pydicom.dcmread(path)
    groups = data.get("WaveformSequence")
    if not groups:
        kind = data.get("SOPClassUID", pydicom.uid.UID("")).name or "of no known kind"
        raise DataError(f"{path}: holds no waveform or is cut short; it is {kind}")
    seconds = [group.NumberOfWaveformSamples / group.SamplingFrequency for group in groups]
    rhythm = ["RHYTHM" in str(group.get("MultiplexGroupLabel", "")).upper() for group in groups]
    chosen = max(range(len(groups)), key=lambda index: (rhythm[index], seconds[index]))
    group = groups[chosen]
    values = np.where(_padding(pydicom, data, chosen), np.nan, data.waveform_array(chosen))
    return [
        Channel(_name(channel), _unit(channel), float(group.SamplingFrequency), partial(np.asarray, column))
        for channel, column in zip(group.ChannelDefinitionSequence, values.T, strict=True)
    ]


def _padding(pydicom, data, index: int) -> np.ndarray:
    """bool `[T, L]`: where the group holds the value that stands for no sample."""
    raw = pydicom.waveforms.multiplex_array(data, index, as_raw=True)
    padding = data.WaveformSequence[index].get("WaveformPaddingValue")
    if not padding:
        return np.zeros(raw.shape, dtype=bool)
    return raw == np.frombuffer(padding[: raw.itemsize], raw.dtype)[0]


def _name(channel) -> str:
    """What the source's code means, else the lead that the code stands for, else the channel's label."""
    source = next(iter(channel.get("ChannelSourceSequence") or ()), {})
    meaning, label = str(source.get("CodeMeaning", "")), str(channel.get("ChannelLabel", ""))
    code = ""
    if source.get("CodingSchemeDesignator") in ("MDC", "SCPECG"):
        code = CODES.get(str(source.get("CodeValue", "")).replace(":", "-").rpartition("-")[2], "")
    return next((name for name in (meaning, code, label) if lead_name(name)), meaning or label)


def _unit(channel) -> str:
    units = next(iter(channel.get("ChannelSensitivityUnitsSequence") or ()), {})
    return str(units.get("CodeValue", "") or units.get("CodeMeaning", ""))
