"""What a file says of its channels, joined with what the caller says: lead names, one sampling rate, mV."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anyecg.data.corpora.waveform import voltage
from anyecg.data.store.preprocess import UNNAMED, lead_rows
from anyecg.types import CANONICAL_LEADS, DataError

if TYPE_CHECKING:
    from anyecg.data.own.formats import Request

Leads = Sequence[str] | Mapping[str, str] | None  # one name a channel, or {a channel's name in its file: lead}

# What formats and devices write around a lead's name: "ECG II", "EKG-V1", "ECG_lead_II", "MDC_ECG_LEAD_V1",
# "Ableitung I".
PREFIX = re.compile(
    r"^(mdc_ecg_(lead|elec_potl)_|((ecg|ekg)(-|[\s_:]*))?((lead|ableitung|d[ée]rivation|derivaci[óo]n|derivazione|deriva[cç][ãa]o|afleiding|channel)[\s_]*)?)",
    re.IGNORECASE,
)
BRACKETS = re.compile(r"\s*[(\[]([^)\]]*)[)\]]\s*$")
SUFFIX = re.compile(r"\s*, augmented voltage.*$")  # "aVR, augmented voltage, right"
# What in a name says that the channel is not the lead, but made of it.
MADE = re.compile(
    r"\b(invert\w*|revers\w*|negativ\w*|turned|flipped|deriv(?!aci|atio|azi|aç)\w*|diff\w*|median|average|avg|mean|minus|"
    r"std|sd|quality|flag)\b",
    re.IGNORECASE,
)
NUMBERED = {"1": "I", "2": "II", "3": "III"}  # "Lead 1", "Ableitung 1"
ASSUMED = ("II", "V1")  # what leads called "ECG" and no more are taken for, in order, unless leads= says otherwise
CLOSE = 1e-3  # relative: two words for a sampling rate that differ by less agree
MOST = 12  # names in a message
SLOWEST, FASTEST = 10.0, 100_000.0  # Hz: what ECGs are sampled at, from trend recorders to those of research


@dataclass(frozen=True)
class Channel:
    """One signal as its file describes it; "" or None where the file does not say.

    name, unit: in the file's words; fs: Hz; values: gives float `[T]` in that unit, NaN where invalid;
    assumed: the unit where neither the file nor the caller says one; certain: whether the name is the file's own (a
    name that a program gave, such as R's V1, yields to the caller's).
    """

    name: str
    unit: str
    fs: float | None
    values: Callable[[], np.ndarray]
    assumed: str = ""
    certain: bool = True


def lead_name(text: str) -> str | None:
    """A channel's name without what a format writes around it, as `preprocess.lead_rows` knows it; None if it does
    not, or if it says that the channel is made of the lead ("aVR (inverted)").
    """
    text = text.strip().strip("'\"")
    if MADE.search(text):
        return None
    text = SUFFIX.sub("", text)
    inside = BRACKETS.search(text)
    if inside:
        outer, inner = _bare(text[: inside.start()]), _bare(inside[1])
        if inner is None or inner.lower() in UNNAMED:
            return outer
        if outer is None or outer.lower() in UNNAMED or _same(outer, inner):
            return inner
        return None  # "II (V5)": two leads
    return _bare(text)


def _bare(text: str) -> str | None:
    bare = PREFIX.sub("", text)
    if bare != text and bare.strip() in NUMBERED and not text.lower().startswith(("ecg", "ekg", "channel")):
        return NUMBERED[bare.strip()]
    unnamed = f"ECG{bare}" if text.lower().startswith(("ecg", "ekg")) else bare
    return next((name for name in (bare, unnamed, text) if lead_rows((name,), ASSUMED)[0]), None)


def _same(one: str, other: str) -> bool:
    return lead_rows((one,))[0].keys() == lead_rows((other,))[0].keys()


def named(path: Path, channels: Sequence[Channel], request: Request) -> list[tuple[str, Channel]]:
    """The channels that are leads, each with its name; the others are named in a note.

    DataError where `leads` does not fit the file or says otherwise, and where no name is known.
    """
    leads = request.leads
    found = short([channel.name or "unnamed" for channel in channels])
    kept, left = [], []
    for channel, word in zip(channels, _words(path, channels, leads, found)):
        own, name = lead_name(channel.name), lead_name(word or channel.name)
        if (
            word
            and own
            and channel.certain
            and own.lower() not in UNNAMED
            and (name is None or lead_rows((own,))[0].keys() != lead_rows((name,), ASSUMED)[0].keys())
        ):
            raise DataError(
                f"{path}: the file calls a channel {channel.name!r}, leads= calls it {word!r}; mend leads= or leave "
                f"it out"
            )
        if name is None or (leads is not None and not word and not channel.certain):
            left.append(word or channel.name or "unnamed")
        else:
            kept.append((name, channel))
    if not kept:
        raise DataError(
            f"{path}: none of its channels is a lead by its name ({short(left) or 'it has none'}); "
            "pass leads=, one name a channel or {channel: lead}"
        )
    _once(path, kept, request)
    if assumed := [channel.name or name for name, channel in kept if name.lower() in UNNAMED]:
        request.note(
            f"{' and '.join(assumed[: len(ASSUMED)])} taken for lead {' and '.join(ASSUMED[: len(assumed)])} "
            "(leads= can say otherwise)"
        )
    if left:
        request.note(f"left out {short(left)}: no lead has such a name (leads= can give it one)")
    return kept


def short(names: Sequence[str]) -> str:
    """Names with commas between them, the twelfth and those after it counted, the long ones cut."""
    shown = [name if len(name) <= 40 else f"{name[:37]}..." for name in names[:MOST]]
    return ", ".join(shown) + (f" and {len(names) - MOST} more" if len(names) > MOST else "")


def _once(path: Path, kept: Sequence[tuple[str, Channel]], request: Request) -> None:
    """DataError where `leads` names a lead twice; a note where the file does, of which the first channel is then
    used.
    """
    first: dict[int, str] = {}
    for name, channel in kept:
        lead = next(iter(lead_rows((name,), ASSUMED)[0]))
        if name.lower() in UNNAMED or lead not in first:
            first.setdefault(lead, channel.name or name)
        elif request.leads is not None:
            raise DataError(
                f"{path}: leads= makes two channels lead {CANONICAL_LEADS[lead]} "
                f"({short([name for name, _ in kept])}); name each lead once"
            )
        else:
            request.note(f"{first[lead]} and {channel.name} are both lead {CANONICAL_LEADS[lead]}; the first is used")


def _words(path: Path, channels: Sequence[Channel], leads: Leads, found: str) -> Sequence[str]:
    """The caller's name of each channel, "" where there is none."""
    if leads is None:
        return [""] * len(channels)
    if isinstance(leads, Mapping):
        absent = set(leads) - {channel.name for channel in channels}
        if absent:
            raise DataError(f"{path}: leads= names {short(sorted(absent))}; its channels are {found}")
        return [leads.get(channel.name, "") for channel in channels]
    if len(leads) != len(channels):
        raise DataError(
            f"{path}: leads= gives {len(leads)} names ({short(leads)}) to {len(channels)} channels ({found})"
        )
    return leads


def of_one_rate(
    path: Path, kept: Sequence[tuple[str, Channel]], request: Request
) -> tuple[float, list[tuple[str, Channel]]]:
    """The sampling rate that most channels share, Hz, and those channels; the others are named in a note.

    DataError where neither the file nor `fs` says a rate, or they differ.
    """
    fs = request.fs
    told = Counter(channel.fs for _, channel in kept).most_common(1)[0][0]
    if told is not None and fs is not None and not math.isclose(told, fs, rel_tol=CLOSE):
        raise DataError(f"{path}: the file is sampled at {told:g} Hz, fs= says {fs:g} Hz; mend fs= or leave it out")
    rate = fs if told is None else told
    if rate is None:
        raise DataError(f"{path}: does not say its sampling rate; pass fs= (Hz)")
    if not (rate > 0 and math.isfinite(rate)):
        raise DataError(f"{path}: a sampling rate of {rate:g} Hz is none")
    if not SLOWEST <= rate <= FASTEST:
        source = "fs= says" if told is None else "it says"
        raise DataError(
            f"{path}: {source} a sampling rate of {rate:g} Hz, which no ECG has ({SLOWEST:g} to {FASTEST:,.0f} Hz); "
            f"{'is it kHz, or seconds a sample?' if rate < SLOWEST else 'is it another unit than Hz?'}"
        )
    others = [f"{name} ({channel.fs:g} Hz)" for name, channel in kept if channel.fs is not None and channel.fs != told]
    if others:
        request.note(f"left out {short(others)}: most leads are sampled at {rate:g} Hz")
    return float(rate), [(name, channel) for name, channel in kept if channel.fs == told]


def hertz(path: Path, fs: object) -> float | None:
    """`fs` as a number of Hz or None; DataError where it is none."""
    if fs is None or (isinstance(fs, Real) and not isinstance(fs, bool)):
        return fs if fs is None else float(fs)
    raise DataError(f"{path}: fs={fs!r} is no number of Hz; pass one such as fs=500")


def scales(path: Path, kept: Sequence[tuple[str, Channel]], request: Request) -> list[float]:
    """One of each channel's unit in mV.

    DataError where nobody says the unit of a channel, where it is no voltage, or where file and `units` differ. A word
    of the file that is no known unit yields to `units`, with a note.
    """
    said = [name for name, channel in kept if channel.unit]
    silent = [name for name, channel in kept if not channel.unit]
    if said and silent and request.units is None:
        units = sorted({channel.unit for _, channel in kept if channel.unit})
        raise DataError(
            f"{path}: says the unit of {short(said)} ({', '.join(units)}), does not say the unit of {short(silent)}; "
            f"pass units= or leads= without {'it' if len(silent) == 1 else 'them'}"
        )
    return [_millivolts(path, name, channel, request) for name, channel in kept]


def _millivolts(path: Path, name: str, channel: Channel, request: Request) -> float:
    units = request.units
    given = None if units is None else voltage(units)
    if units is not None and given is None:
        raise DataError(f"{path}: units={units!r} is no voltage; mV, uV, µV, nV and V are")
    if not channel.unit:
        assumed = given or voltage(channel.assumed)
        if assumed is None:
            raise DataError(f"{path}: does not say the unit of {name}; pass units= (mV, uV, µV, nV or V)")
        return assumed
    own = voltage(channel.unit)
    if own is None and given is None:
        raise DataError(
            f"{path}: the unit of {name}, {channel.unit!r}, is no voltage; is it an ECG? units= says what it means"
        )
    if own is None:
        request.note(f"the file's unit of {name}, {channel.unit!r}, is no voltage; units={units} is taken")
        return given or 0.0
    if given not in (None, own):
        raise DataError(f"{path}: {name} is in {channel.unit}, units= says {units}; mend units= or leave it out")
    return own
