"""MATLAB files without a WFDB header beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from scipy.io import loadmat

from anyecg.data.own.array import channels_of
from anyecg.data.own.channels import Channel
from anyecg.data.own.formats import FileFormat, Request
from anyecg.types import DataError


class Matlab(FileFormat):
    """MATLAB arrays of versions 4 to 7 (7.3 is HDF5): `val` of the challenges, or a structure with `data`."""

    suffixes = (".mat",)

    def recognises(self, path: Path, head: bytes) -> bool:
        return head.startswith(b"MATLAB 5.0 MAT-file")

    def read(self, path: Path, request: Request) -> list[Channel]:
        """The rows or columns of its signal; fs=, leads= and units= say what a `.mat` of the challenges leaves to its
        header.
        """
        found = dict(_arrays(loadmat(path, squeeze_me=False)))
        if not found:
            raise DataError(f"{path}: holds no array of numbers")
        return channels_of(path, found, request)


def _arrays(content: dict) -> Iterator[tuple[str, np.ndarray]]:
    """Names and arrays, those inside a structure too; 1x1 arrays as they are."""
    for key, value in content.items():
        if key.startswith("__") or not isinstance(value, np.ndarray):
            continue
        if value.dtype.names and value.size == 1:
            yield from _arrays({name: value[name].item() for name in value.dtype.names})
        elif value.dtype == object:
            yield key, np.array([str(np.ravel(cell)[0]) for cell in np.ravel(value) if np.size(cell)])
        elif value.size and ((value.dtype.kind in "iuf" and value.size > 1) or value.dtype.kind in "SU" or _says(key)):
            yield key, value


def _says(key: str) -> bool:
    return key.lower() in ("fs", "freq", "frequency", "sampling_rate", "rate", "hz", "sample_rate")
