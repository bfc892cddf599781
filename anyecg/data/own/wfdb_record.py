"""A WFDB record: a header beside its signal files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import wfdb

from anyecg.data.own.channels import Channel, Leads
from anyecg.types import DataError

SUFFIXES = (".hea", ".dat", ".mat")


def read(path: Path, leads: Leads) -> list[Channel]:
    """The signals of the record that `path` is a file of, or the name of; each at its own rate (samples a frame)."""
    name = path.with_suffix("") if path.suffix.lower() in SUFFIXES else path
    if not Path(f"{name}.hea").is_file():
        raise DataError(f"{path}: a WFDB signal needs its header, and there is no {name}.hea beside it")
    signals = wfdb.rdrecord(str(name), return_res=32, smooth_frames=False)
    return [
        Channel(lead or "", unit or "", float(signals.fs) * frame, partial(np.asarray, values))
        for lead, unit, frame, values in zip(
            signals.sig_name, signals.units, signals.samps_per_frame, signals.e_p_signal, strict=True
        )
    ]
