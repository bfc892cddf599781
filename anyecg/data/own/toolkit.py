"""Formats that the library ecgdatakit reads: its leads as channels, its warnings as notes."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from anyecg.data.own.channels import Channel
from anyecg.data.own.extras import extra
from anyecg.data.own.formats import Request


def parsed(path: Path, module: str, parser: str, request: Request) -> Any:
    """The record that a parser of ecgdatakit makes of a file; whatever it warns of is noted."""
    extra("ecgdatakit", path)
    kind = getattr(extra(f"ecgdatakit.parsing.parsers.{module}", path), parser)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        record = kind().parse(path)
    for warning in caught:
        text = str(warning.message).strip().rstrip(".")
        if "median" not in text and "representative beat" not in text:
            request.note(text)
    return record


def channels(leads: list, fs: float | None = None) -> list[Channel]:
    """Its rhythm leads in the unit of their resolution; fs: Hz, where the library rounds it."""
    return [
        Channel(
            lead.label,
            lead.resolution_unit or lead.adc_resolution_unit,
            float(fs or lead.sampling_rate),
            partial(_values, lead.samples, lead.resolution, lead.offset),
        )
        for lead in leads
    ]


def _values(samples: np.ndarray, resolution: float, offset: float) -> np.ndarray:
    return np.asarray(samples, float) * resolution + offset
