"""A corpus in a folder of CSV files: a table of labels, and a file of samples for each ECG."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from anyecg.data.corpora.base import Corpus, Entry
from anyecg.types import DataError, ECGRecord


class CSVFolder(Corpus):
    """`labels.csv` (id, patient, split, label) beside `ID.csv`: a row a sample in mV, a column a lead, lead names
    first.
    """

    name: ClassVar[str] = "csv_folder"

    @dataclass(frozen=True)
    class Config(Corpus.Config):
        """fs: Hz of every file."""

        fs: float = 250.0

    def entries(self) -> Iterator[Entry]:
        rows = self.table("labels.csv", ["id", "patient", "split", "label"]).itertuples()
        return self.limited(
            Entry(row.id, row.id, row.patient, row.split, statements=(f"{row.label} rhythm",), labels=(row.label,))
            for row in rows
        )

    def info(self) -> Mapping:
        return {"labels": {"rhythm": {"slow": "slow rhythm", "fast": "fast rhythm"}}}

    def files(self, entry: Entry) -> list[Path]:
        return [self.root / f"{entry.path}.csv"]

    def read(self, entry: Entry) -> ECGRecord:
        path = self.root / f"{entry.path}.csv"
        try:
            leads = path.read_text().splitlines()[0].split(",")
            samples = np.loadtxt(path, delimiter=",", skiprows=1, dtype=np.float32, ndmin=2)
        except (OSError, ValueError, IndexError) as error:
            raise DataError(f"{path}: is no table of samples ({error})") from error
        return ECGRecord(
            samples.T.copy(), self.cfg.fs, tuple(leads), f"{self.key}/{entry.id}", f"{self.key}/{entry.patient}"
        )
