"""The waveform of a DICOM file: its multiplex groups, their leads and scale."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np

from anyecg.data.own.channels import Channel, lead_name, short
from anyecg.data.own.extras import extra
from anyecg.data.own.formats import FileFormat, Request
from anyecg.types import CANONICAL_LEADS, DataError

# The last part of a lead's code, in ISO/IEEE 11073 ("2:61") and in SCP-ECG ("5.6.3-9-61"), for a meaning in another
# language.
CODES = dict(zip(("1", "2", "61", "62", "63", "64", "3", "4", "5", "6", "7", "8"), CANONICAL_LEADS))
LINEAR = {"SB", "UB", "SS", "US", "SL", "UL"}  # PS3.3 C.10.9.1.5: MB and AB are mu-law and A-law
BEATS = ("MEDIAN", "REPRESENTATIVE", "AVERAGE", "TEMPLATE")  # in the label of a group of one beat
FORCED = (b"\x02\x00", b"\x08\x00")  # the first group of a file without the preamble of 128 bytes


class DICOM(FileFormat):
    """DICOM waveforms (12-lead, general, ambulatory ECG): all groups of one rate and length that hold leads."""

    suffixes = (".dcm",)

    def recognises(self, path: Path, head: bytes) -> bool:
        return head[128:132] == b"DICM"

    def read(self, path: Path, request: Request) -> list[Channel]:
        """As `_read`; what pydicom warns of is not shown, since it quotes the values of a patient's elements."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return self._read(path, request)

    def _read(self, path: Path, request: Request) -> list[Channel]:
        """The channels of the group labelled RHYTHM, else of the longest that holds leads, and those of the other
        groups that go with it; DataError where there is no waveform.
        """
        pydicom = extra("pydicom", path)
        with path.open("rb") as file:
            start = file.read(132)
        if start[128:] != b"DICM" and start[:2] not in FORCED:
            raise DataError(f"{path}: does not begin as a DICOM file does; is it one, and whole?")
        data = pydicom.dcmread(path, force=True)
        groups = data.get("WaveformSequence")
        if not groups:
            kind = data.get("SOPClassUID", pydicom.uid.UID("")).name or "of no known kind"
            raise DataError(f"{path}: holds no waveform or is cut short; it is {kind}")
        _look(path, pydicom, data, request)
        return [
            channel for index in _chosen(groups, request) for channel in _channels(path, pydicom, data, index, request)
        ]


def _look(path: Path, pydicom, data, request: Request) -> None:
    """Note elements that DICOM has not: what follows a value of a wrong length is read as such."""
    strange = [
        str(element.tag)
        for part in (data, *data.WaveformSequence)
        for element in part
        if not element.tag.is_private and not pydicom.datadict.dictionary_has_tag(element.tag)
    ]
    if strange:
        raise DataError(f"{path}: is damaged: it has elements that DICOM does not know ({short(strange)})")


def _chosen(groups: Sequence, request: Request) -> list[int]:
    """Which groups are read: the main one, and those of its rate, length and kind with leads that it has not."""
    leads = [
        [lead_name(_name(channel)) for channel in group.get("ChannelDefinitionSequence") or ()] for group in groups
    ]
    label = [str(group.get("MultiplexGroupLabel", "")).upper() for group in groups]
    beat = [any(word in text for word in BEATS) for text in label]
    seconds = [_seconds(group) for group in groups]
    order = sorted(
        range(len(groups)),
        key=lambda index: (not any(leads[index]), beat[index], "RHYTHM" not in label[index], -seconds[index], index),
    )
    main, chosen = order[0], [order[0]]
    known = {lead for lead in leads[main] if lead}
    left = []
    for index in sorted(order[1:]):
        new = {lead for lead in leads[index] if lead} - known
        if not any(leads[index]):
            left.append(f"group {index + 1} ({label[index] or 'no label'}): no lead")
        elif beat[index] and not beat[main]:
            left.append(f"group {index + 1} ({label[index]}): one beat")
        elif (
            new
            and groups[index].SamplingFrequency == groups[main].SamplingFrequency
            and groups[index].NumberOfWaveformSamples == groups[main].NumberOfWaveformSamples
        ):
            chosen.append(index)
            known |= new
        else:
            left.append(f"group {index + 1} ({label[index] or 'no label'}): other rate or length, or the same leads")
    chosen.sort()
    offsets = {float(groups[index].get("MultiplexGroupTimeOffset") or 0) for index in chosen}
    if len(offsets) > 1:
        request.note(
            f"its {len(chosen)} groups of leads were recorded one after another (at "
            f"{', '.join(f'{offset:g}' for offset in sorted(offsets))} ms); they are set beside each other"
        )
    elif len(chosen) > 1:
        request.note(f"the leads of its {len(chosen)} groups are joined")
    if left:
        request.note(f"left out {short(left)}")
    return chosen


def _seconds(group) -> float:
    rate = float(group.get("SamplingFrequency") or 0)
    return float(group.get("NumberOfWaveformSamples") or 0) / rate if rate else 0.0


def _channels(path: Path, pydicom, data, index: int, request: Request) -> list[Channel]:
    group = data.WaveformSequence[index]
    kind = str(group.get("WaveformSampleInterpretation", ""))
    if kind not in LINEAR:
        raise DataError(
            f"{path}: its samples are {kind or 'of no said kind'}, which is no linear number ({_few(LINEAR)} are)"
        )
    count, samples = int(group.NumberOfWaveformChannels), int(group.NumberOfWaveformSamples)
    due = count * samples * int(group.WaveformBitsAllocated) // 8
    holds = len(group.WaveformData)
    if holds - due not in (0, due % 2):
        raise DataError(
            f"{path}: cut short or damaged: {count} channels of {samples:,} samples are {due:,} bytes, it holds "
            f"{holds:,}"
        )
    channels = list(group.ChannelDefinitionSequence)
    if len(channels) != count:
        raise DataError(f"{path}: damaged: it says {count} channels and describes {len(channels)}")
    for channel in channels:
        if channel.get("ChannelSensitivity") is not None and float(channel.ChannelSensitivity) == 0:
            raise DataError(f"{path}: a sensitivity of 0 makes every sample of {_name(channel)} 0; export it again")
    values = np.where(_padding(pydicom, data, index), np.nan, data.waveform_array(index))
    fs = float(group.SamplingFrequency)
    made = []
    for channel, column in zip(channels, values.T, strict=True):
        shift = _skew(channel, fs)
        if shift:
            request.note(f"{_name(channel)}: begins {shift} samples after the others (its skew)")
            column = _shifted(column, shift)
        made.append(Channel(_name(channel), _unit(channel), fs, partial(np.asarray, column)))
    return made


def _few(words: set[str]) -> str:
    return ", ".join(sorted(words))


def _skew(channel, fs: float) -> int:
    """Samples by which a channel begins after its group (PS3.3 C.10.9.1.4.2)."""
    samples = float(channel.get("ChannelSampleSkew") or 0)
    seconds = float(channel.get("ChannelTimeSkew") or 0) + float(channel.get("ChannelOffset") or 0)
    return round(samples + seconds * fs)


def _shifted(column: np.ndarray, shift: int) -> np.ndarray:
    moved = np.full(column.shape, np.nan)
    if abs(shift) < column.size:
        moved[max(shift, 0) : column.size + min(shift, 0)] = column[max(-shift, 0) : column.size - max(shift, 0)]
    return moved


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
