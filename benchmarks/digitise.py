"""The digitiser on pages of ours whose signal is known: SNR and correlation by layout, resolution and wear."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from anyecg.data.chance import chance
from anyecg.data.clips.page import draw
from anyecg.data.clips.page.distort import distort
from anyecg.data.own.digitise import FS, SECONDS, digitise
from anyecg.simulate.record import ecg
from anyecg.types import DataError

FINDINGS = ((), ("atrial_fibrillation",), ("left_bundle_branch_block",), ("premature_ventricular_contraction",))
EVERY = np.ones(12, bool)
RATE = 500.0


@dataclass(frozen=True)
class Kind:
    """A kind of page. style: its look; dpi: of the scan; strength: of distortions, 0 for none."""

    name: str
    style: draw.Style = draw.Style()
    dpi: int = 200
    strength: float = 0.0


KINDS = (
    *(Kind(f"{layout}, 200 dpi", draw.Style(layout=layout)) for layout in ("12x1", "6x2", "3x4", "3x4+1", "3x4+3")),
    *(Kind(f"3x4+1, {dpi} dpi", dpi=dpi) for dpi in (300, 150, 100, 61)),
    *(Kind(f"3x4+1, {grid} grid", draw.Style(grid=grid)) for grid in ("green", "blue", "grey", "none")),
    Kind("3x4+1, 5 mm/mV", draw.Style(gain=5)),
    Kind("3x4+1, distorted at 0.3", strength=0.3),
    Kind("3x4+1, distorted at 1", strength=1.0),
    Kind("12x1, distorted at 0.3", draw.Style(layout="12x1"), strength=0.3),
)


def page(signal: np.ndarray, kind: Kind, number: int) -> np.ndarray:
    """A page of mV `[12, T]` at `RATE`."""
    pixels = draw.draw(signal, EVERY, RATE, kind.style, kind.dpi * 10_000 // 254)
    return distort(pixels, chance(0, "digitise", number), kind.strength) if kind.strength else pixels


def compared(read: np.ndarray, signal: np.ndarray) -> tuple[float, float]:
    """(SNR in dB, correlation) of what was read, mV `[12, T]` at `FS` with NaN where nothing is shown, against mV
    `[12, T]` at `RATE`: of each lead about its median, over all leads together.
    """
    moments = (np.arange(read.shape[1]) + 0.5) / FS
    true = np.stack([np.interp(moments, np.arange(signal.shape[1]) / RATE, lead) for lead in signal])
    there = ~np.isnan(read)
    true = np.where(there, true, np.nan)
    ones, others = (x - np.nanmedian(x, axis=1, keepdims=True) for x in (read, true))
    error = np.nansum((ones - others) ** 2)
    snr = 10 * np.log10(np.nansum(others**2) / max(error, 1e-12))
    return float(snr), float(np.corrcoef(ones[there], others[there])[0, 1])


def measured(kind: Kind, pages: int) -> Iterator[tuple[float, float] | str]:
    """What becomes of each page of a kind: its SNR and correlation, or why it was not read."""
    for number in range(pages):
        signal = ecg(FINDINGS[number % len(FINDINGS)], seconds=SECONDS, fs=RATE, seed=number)[0]
        try:
            yield compared(digitise(page(signal, replace(kind), number)).signal, signal)
        except DataError as error:
            yield str(error)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--pages", type=int, default=8, help="of each kind")
    options.add_argument("--why", action="store_true", help="print why pages were not read")
    chosen = options.parse_args()
    print("| page | read | SNR, dB: median [least] | correlation: median [least] | s a page |\n|---|---|---|---|---|")
    for kind in KINDS:
        began = time.process_time()
        found = list(measured(kind, chosen.pages))
        seconds = (time.process_time() - began) / chosen.pages
        read = np.array([one for one in found if not isinstance(one, str)]).reshape(-1, 2)
        cells = [f"{np.median(column):.2f} [{column.min():.2f}]" for column in read.T] if len(read) else ["–", "–"]
        print(f"| {kind.name} | {len(read)} of {chosen.pages} | {' | '.join(cells)} | {seconds:.1f} |")
        if chosen.why:
            for why in sorted({one for one in found if isinstance(one, str)}):
                print(f"  {why}")


if __name__ == "__main__":
    main()
