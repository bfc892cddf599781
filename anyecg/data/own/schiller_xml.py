"""Schiller's XML (SEMA, `SchillerEDI`)."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from xml.etree.ElementTree import Element

import numpy as np

from anyecg.data.own.channels import Channel, short
from anyecg.data.own.extras import extra
from anyecg.data.own.formats import FileFormat, Request, root_element
from anyecg.types import DataError

AVERAGES = "AVERAGE"  # in the type of the waves of one beat


class SchillerXML(FileFormat):
    """Schiller SEMA XML: the rhythm's waves, the averaged beats apart."""

    suffixes = (".xml",)
    derives = True

    def recognises(self, path: Path, head: bytes) -> bool:
        return root_element(head).endswith("SchillerEDI")

    def read(self, path: Path, request: Request) -> list[Channel]:
        """The channels of the longest waves that are no averages; their samples are counted as the file says."""
        root = extra("defusedxml.ElementTree", path).fromstring(path.read_bytes())
        waves = {
            _text(wave, "type") or "of no type": wave
            for wave in root.iter("wavedata")
            if wave.find("channel") is not None
        }
        rhythm = {kind: wave for kind, wave in waves.items() if AVERAGES not in kind.upper()}
        if not rhythm:
            raise DataError(f"{path}: holds no rhythm ({short(list(waves)) or 'no waves at all'})")
        kind = max(rhythm, key=lambda kind: len(rhythm[kind].findtext("channel/data") or ""))
        if left := [other for other in rhythm if other != kind]:
            request.note(f"left out the waves {short(left)}: {kind} are read")
        return _channels(path, rhythm[kind])


def _channels(path: Path, wave: Element) -> list[Channel]:
    rate = _number(path, wave, "resolution/samplerate/value")
    exponent = _number(path, wave, "resolution/samplerate/exponent", 1.0)
    if exponent not in (0.0, 1.0):
        raise DataError(
            f"{path}: its sampling rate has the exponent {exponent:g}, which is not known; pass it elsewhere"
        )
    step, unit = _number(path, wave, "resolution/yres/unitperbit", 1.0), _text(wave, "resolution/yres/units")
    made = []
    for channel in wave.findall("channel"):
        name = _text(channel, "name")
        values = _samples(path, name, channel)
        count = _text(channel, "samplecount")
        if count and count != str(values.size):
            raise DataError(f"{path}: cut short or damaged: {name} has {values.size:,} samples, {count} are due")
        made.append(Channel(name, unit, rate, partial(np.multiply, values, step)))
    return made


def _samples(path: Path, name: str, channel: Element) -> np.ndarray:
    kind, text = _text(channel, "datastype"), _text(channel, "data")
    if kind not in ("COMMASEPARATE", ""):
        raise DataError(f"{path}: the samples of {name} are written as {kind}, which is not known; export it as text")
    try:
        return np.array(text.rstrip(", \n").split(",") if text else [], float)
    except ValueError as error:
        raise DataError(f"{path}: damaged: the samples of {name} are no numbers ({str(error)[:60]})") from None


def _text(element: Element, place: str) -> str:
    return (element.findtext(place) or "").strip()


def _number(path: Path, element: Element, place: str, absent: float | None = None) -> float:
    text = _text(element, place)
    try:
        return float(text.replace(",", ".")) if text or absent is None else absent
    except ValueError:
        raise DataError(f"{path}: its {place} is {text!r}, no number") from None
