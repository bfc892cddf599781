"""What a file says of its channels, joined with what the caller says: lead names, one sampling rate, mV."""

from __future__ import annotations

import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import numpy as np

from anyecg.data.corpora.base import MILLIVOLTS
from anyecg.data.store.preprocess import UNNAMED, lead_rows
from anyecg.types import CANONICAL_LEADS, DataError

log = logging.getLogger(__name__)

Leads = Sequence[str] | Mapping[str, str] | None  # one name a channel, or {a channel's name in its file: lead}

# What formats and devices write around a lead's name: "ECG II", "EKG-V1", "ECG_lead_II", "MDC_ECG_LEAD_V1".
PREFIX = re.compile(r"^(mdc_ecg_(lead|elec_potl)_|((ecg|ekg)(-|[\s_:]*))?(lead[\s_]*)?)", re.IGNORECASE)
SUFFIX = re.compile(r"\s*(\(.*\)|, augmented voltage.*)$")  # "Lead I (Einthoven)", "aVR, augmented voltage, right"
WORDS = {"microvolt": "uv", "millivolt": "mv", "volt": "v", "nanovolt": "nv"}
ASSUMED = ("II", "V1")  # what leads called "ECG" and no more are taken for, in order, unless leads= says otherwise
CLOSE = 1e-3  # relative: two words for a sampling rate that differ by less agree
SPAN = 50.0  # mV: no heart swings so far; a signal that does is in another unit


@dataclass(frozen=True)
class Channel:
    """One signal as its file describes it; "" or None where the file does not say.

    name, unit: in the file's words; fs: Hz; values: gives float `[T]` in that unit, NaN where invalid;
    assumed: the unit where neither the file nor the caller says one.
    """

    name: str
    unit: str
    fs: float | None
    values: Callable[[], np.ndarray]
    assumed: str = ""


def lead_name(text: str) -> str | None:
    """A channel's name without what a format writes around it, as `preprocess.lead_rows` knows it; None if it does
    not.
    """
    text = text.strip().strip("'\"")
    bare = PREFIX.sub("", SUFFIX.sub("", text))
    unnamed = f"ECG{bare}" if text.lower().startswith(("ecg", "ekg")) else bare
    return next((name for name in (bare, unnamed, text) if lead_rows((name,), ASSUMED)[0]), None)


def named(path: Path, channels: Sequence[Channel], leads: Leads) -> list[tuple[str, Channel]]:
    """The channels that are leads, each with its name; the others are named in a warning.

    DataError where `leads` does not fit the file or says otherwise, and where no name is known.
    """
    found = ", ".join(channel.name or "unnamed" for channel in channels)
    kept, left = [], []
    for channel, word in zip(channels, _words(path, channels, leads, found)):
        own, name = lead_name(channel.name), lead_name(word or channel.name)
        if (
            word
            and own
            and own.lower() not in UNNAMED
            and (name is None or lead_rows((own,))[0].keys() != lead_rows((name,), ASSUMED)[0].keys())
        ):
            raise DataError(
                f"{path}: the file calls a channel {channel.name!r}, leads= calls it {word!r}; mend leads= or leave "
                f"it out"
            )
        if name is None:
            left.append(word or channel.name or "unnamed")
        else:
            kept.append((name, channel))
    if not kept:
        raise DataError(
            f"{path}: none of its channels is a lead by its name ({', '.join(left) or 'it has none'}); "
            "pass leads=, one name a channel or {channel: lead}"
        )
    _once(path, kept, leads)
    if assumed := [channel.name or name for name, channel in kept if name.lower() in UNNAMED]:
        log.warning(
            "%s: %s taken for lead %s (leads= can say otherwise)",
            path,
            " and ".join(assumed[: len(ASSUMED)]),
            " and ".join(ASSUMED[: len(assumed)]),
        )
    if left:
        log.warning("%s: left out %s: no lead has such a name (leads= can give it one)", path, ", ".join(left))
    return kept


def _once(path: Path, kept: Sequence[tuple[str, Channel]], leads: Leads) -> None:
    """DataError where `leads` names a lead twice; a warning where the file does, of which the first channel is then
    used.
    """
    first: dict[int, str] = {}
    for name, channel in kept:
        lead = next(iter(lead_rows((name,), ASSUMED)[0]))
        if name.lower() in UNNAMED or lead not in first:
            first.setdefault(lead, channel.name or name)
        elif leads is not None:
            raise DataError(
                f"{path}: leads= makes two channels lead {CANONICAL_LEADS[lead]} "
                f"({', '.join(name for name, _ in kept)}); name each lead once"
            )
        else:
            log.warning(
                "%s: %s and %s are both lead %s; the first is used",
                path,
                first[lead],
                channel.name,
                CANONICAL_LEADS[lead],
            )


def _words(path: Path, channels: Sequence[Channel], leads: Leads, found: str) -> Sequence[str]:
    """The caller's name of each channel, "" where there is none."""
    if leads is None:
        return [""] * len(channels)
    if isinstance(leads, Mapping):
        absent = set(leads) - {channel.name for channel in channels}
        if absent:
            raise DataError(f"{path}: leads= names {', '.join(sorted(absent))}; its channels are {found}")
        return [leads.get(channel.name, "") for channel in channels]
    if len(leads) != len(channels):
        raise DataError(
            f"{path}: leads= gives {len(leads)} names ({', '.join(leads)}) to {len(channels)} channels ({found})"
        )
    return leads


def of_one_rate(
    path: Path, kept: Sequence[tuple[str, Channel]], fs: float | None
) -> tuple[float, list[tuple[str, Channel]]]:
    """The sampling rate that most channels share, Hz, and those channels; the others are named in a warning.

    DataError where neither the file nor `fs` says a rate, or they differ.
    """
    if fs is not None and (isinstance(fs, bool) or not isinstance(fs, Real)):
        raise DataError(f"{path}: fs={fs!r} is no number of Hz; pass one such as fs=500")
    told = Counter(channel.fs for _, channel in kept).most_common(1)[0][0]
    if told is not None and fs is not None and not math.isclose(told, fs, rel_tol=CLOSE):
        raise DataError(f"{path}: the file is sampled at {told:g} Hz, fs= says {fs:g} Hz; mend fs= or leave it out")
    rate = fs if told is None else told
    if rate is None:
        raise DataError(f"{path}: does not say its sampling rate; pass fs= (Hz)")
    if not (rate > 0 and math.isfinite(rate)):
        raise DataError(f"{path}: a sampling rate of {rate:g} Hz is none")
    others = [f"{name} ({channel.fs:g} Hz)" for name, channel in kept if channel.fs != told]
    if others:
        log.warning("%s: left out %s: most leads are sampled at %g Hz", path, ", ".join(others), told)
    return float(rate), [(name, channel) for name, channel in kept if channel.fs == told]


def millivolts(path: Path, name: str, channel: Channel, units: str | None) -> float:
    """One of the channel's unit in mV; DataError where nobody says the unit, it is no voltage, or file and `units`
    differ.
    """
    scale = None if units is None else voltage(units)
    if units is not None and scale is None:
        raise DataError(f"{path}: units={units!r} is no voltage; mV, uV, µV and V are")
    if not channel.unit:
        if units is None and not channel.assumed:
            raise DataError(f"{path}: does not say the unit of {name}; pass units= (mV, uV, µV or V)")
        return scale or voltage(channel.assumed)
    own = voltage(channel.unit)
    if own is None:
        raise DataError(f"{path}: the unit of {name}, {channel.unit!r}, is no voltage; is it an ECG?")
    if scale not in (None, own):
        raise DataError(f"{path}: {name} is in {channel.unit}, units= says {units}; mend units= or leave it out")
    return own


def voltage(unit: str) -> float | None:
    """One of the unit in mV; None where it is no voltage."""
    word = unit.strip().lower().replace("μ", "µ")  # Greek mu and the micro sign look alike
    return MILLIVOLTS.get(WORDS.get(word.removesuffix("s"), word))


def warn_of_unit(path: Path, signal: np.ndarray) -> None:
    """A warning where a signal `[L, T]` whose unit nobody said cannot be in mV."""
    valid = signal[np.isfinite(signal)]
    span = np.ptp(np.percentile(valid, (1, 99))) if valid.size else 0.0
    if span > SPAN:
        log.warning("%s: taken as mV, its leads span %.0f mV; pass units= (uV?)", path, span)
