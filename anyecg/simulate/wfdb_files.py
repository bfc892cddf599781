"""WFDB signal files, written directly: `wfdb.wrsamp` takes ten times as long and refuses two signals of one name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Storage:
    """How a source stores samples.

    Attributes:
        fmt: 16 or 212.
        gain: adc units per mV.
        gain_text: the header's gain field, e.g. "1000.0(0)/mV".
        resolution, zero: of the converter, bits and adc units.
    """

    fmt: int
    gain: float
    gain_text: str
    resolution: int
    zero: int = 0

    @property
    def invalid(self) -> int:
        """The sample value that means "nothing recorded"."""
        return -(2**15) if self.fmt == 16 else -(2**11)

    def digital(self, signal: np.ndarray) -> np.ndarray:
        """mV to adc units, clipped to the format; NaN becomes `invalid`."""
        top = -self.invalid - 1
        units = np.clip(np.round(np.nan_to_num(signal) * self.gain) + self.zero, -top, top).astype(np.int64)
        return np.where(np.isnan(signal), self.invalid, units)


def write(
    folder: Path,
    name: str,
    signal: np.ndarray,
    fs: int,
    labels: Sequence[str],
    storage: Storage,
    when: datetime | None = None,
    comments: Sequence[str] = (),
) -> None:
    """Write `name.hea` and `name.dat`.

    Args:
        folder, name: where, and the record's name.
        signal: `[L, T]`, mV.
        fs: Hz.
        labels: `[L]` signal names, as the source spells them.
        storage: the source's format.
        when: the time the record begins.
        comments: header comments.
    """
    units = storage.digital(signal)
    samples = units.T.ravel()
    data = samples.astype("<i2").tobytes() if storage.fmt == 16 else _pack_212(samples)
    (folder / f"{name}.dat").write_bytes(data)
    began = f" {when:%H:%M:%S} {when:%d/%m/%Y}" if when else ""
    lines = [f"{name} {len(units)} {fs} {units.shape[1]}{began}"]
    lines += [
        f"{name}.dat {storage.fmt} {storage.gain_text} {storage.resolution} {storage.zero} {row[0]} "
        f"{row.sum() % 65536} 0 {label}"
        for row, label in zip(units, labels)
    ]
    lines += [f"# {comment}" for comment in comments]
    (folder / f"{name}.hea").write_text("\n".join(lines) + "\n")


def _pack_212(samples: np.ndarray) -> bytes:
    """Two 12-bit two's-complement samples in three bytes."""
    pairs = np.concatenate([samples, np.zeros(len(samples) % 2, np.int64)]).reshape(-1, 2) & 0xFFF
    first, second = pairs.T
    packed = np.stack([first & 0xFF, (first >> 8) | ((second >> 8) << 4), second & 0xFF], axis=1)
    return packed.astype(np.uint8).tobytes()
