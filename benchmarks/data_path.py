"""Reading a sample from the store against parsing WFDB and resampling in the loop; prints the ratio.

    python benchmarks/data_path.py [--records 300]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from anyecg.data.build import open_corpus
from anyecg.data.corpora import corpora
from anyecg.data.preprocess import canonical, normalize, segment
from anyecg.data.shards import build_store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=300, help="simulated MIMIC-IV-ECG records (12 leads, 10 s, 500 Hz) to read")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        corpus = open_corpus("mimic", corpora["mimic"].Config(patients=options.records // 2), Path(folder), progress=False)
        entries = corpus.entries()[: options.records]
        store = build_store(corpus, Path(folder) / "store", progress=False)
        began = time.perf_counter()
        for entry in entries:
            signal, mask, _ = canonical(corpus.read(entry))
            segment(normalize(signal), mask)
        plain = (time.perf_counter() - began) / len(entries)
        ids = [f"mimic/{entry.id}" for entry in entries]
        began = time.perf_counter()
        for id in ids:
            signal, mask = store.read(id)
            segment(normalize(signal), mask)
        ours = (time.perf_counter() - began) / len(ids)
        began = time.perf_counter()
        for id in ids:
            store.read(id)
        read = (time.perf_counter() - began) / len(ids)
    print(f"a sample of 12 leads, 10 s ({len(ids)} records, one process)")
    print(f"  WFDB, resample, normalise, segment  {plain * 1e3:7.3f} ms")
    print(f"  store,          normalise, segment  {ours * 1e3:7.3f} ms   ratio {plain / ours:.0f}")
    print(f"  store alone                         {read * 1e3:7.3f} ms")


if __name__ == "__main__":
    main()
