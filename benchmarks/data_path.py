"""Reading a sample from the store against parsing WFDB and resampling in the loop, each in its own process; prints the
ratio.

python -m benchmarks.data_path [--records 300]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from itertools import islice
from pathlib import Path

from anyecg.config.schema import Slot
from anyecg.data.clips import clips
from anyecg.data.store.preprocess import canonical
from anyecg.data.store.shards import build_store
from anyecg.data.store.store import Store
from anyecg.tasks.build import open_corpus
from anyecg.types import InputSpec
from benchmarks.side import machine, report, run

SIDES = {"plain": "WFDB, resample, normalise, segment", "fast": "store, normalise, segment", "store": "store alone"}


def prepared(folder: Path, records: int):
    """A simulated corpus of 12 leads, 10 s at 500 Hz, and its entries."""
    corpus = open_corpus("mimic", Slot.of("corpus", "mimic", patients=records // 2), folder, progress=False)
    return corpus, list(islice(corpus.entries(), records))


def measure(side: str, folder: Path, records: int) -> None:
    """One side: milliseconds a record."""
    corpus, entries = prepared(folder, records)
    store = None if side == "plain" else Store.open(folder / "store")

    made = clips(InputSpec())

    def read(entry) -> None:
        signal, mask, _ = canonical(corpus.read(entry))
        made.make(signal, mask)

    def from_store(entry) -> None:
        signal, mask = store.read(f"mimic/{entry.id}")
        if side == "fast":
            made.make(signal, mask)

    take: Callable = read if side == "plain" else from_store
    take(entries[0])
    began = time.perf_counter()
    for entry in entries:
        take(entry)
    report(milliseconds=1e3 * (time.perf_counter() - began) / len(entries))


def main(arguments: list[str] | None = None) -> dict:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--records", type=int, default=300, help="simulated MIMIC-IV-ECG records (12 leads, 10 s, 500 Hz) to read"
    )
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.side:
        measure(options.side, options.work, options.records)
        return {}
    with tempfile.TemporaryDirectory() as work:
        build_store(prepared(Path(work), options.records)[0], Path(work) / "store", progress=False)
        found = {
            side: run("benchmarks.data_path", "--side", side, "--work", work, "--records", options.records)
            for side in SIDES
        }
    print(f"a sample of 12 leads, 10 s ({options.records} records, one process; {machine()})")
    for side, row in found.items():
        print(
            f"  {SIDES[side]:36} {row['milliseconds']:8.3f} ms  ratio "
            f"{found['plain']['milliseconds'] / row['milliseconds']:6.1f}  peak {row['peak']:.2f} GiB"
        )
    return {"ratio": found["plain"]["milliseconds"] / found["fast"]["milliseconds"]}


if __name__ == "__main__":
    main()
