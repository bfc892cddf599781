"""A WFDB record: a header beside its signal files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from anyecg.data.corpora.waveform import read_signals
from anyecg.data.own.channels import Channel
from anyecg.data.own.formats import FileFormat, Request
from anyecg.types import DataError

FILES = (".hea", ".dat", ".mat")  # of a record; a `.mat` without a header is MATLAB's own


class WFDB(FileFormat):
    """PhysioNet's format: a header (`.hea`) and signal files of any WFDB format, of one segment or several."""

    suffixes = (".hea", ".dat")

    def recognises(self, path: Path, head: bytes) -> bool:
        """A signal file beside the header of its name."""
        return path.suffix.lower() in FILES and path.with_suffix(".hea").is_file()

    def read(self, path: Path, request: Request) -> list[Channel]:
        """The signals of the record that `path` is a file of, or the name of; each at its own rate (samples a frame).

        Sizes, checksums, MATLAB headers and segments are compared with the header.
        """
        name = path.with_suffix("") if path.suffix.lower() in FILES else path
        if not Path(f"{name}.hea").is_file():
            raise DataError(f"{path}: a WFDB signal needs its header, and there is no {name}.hea beside it")
        signals, notes = read_signals(name, request.fs)
        for note in notes:
            request.note(note)
        return [Channel(signal.name, signal.unit, signal.fs, partial(np.asarray, signal.values)) for signal in signals]
