"""The scored rows of a task on disk, `scores/TASK.parquet`: of one version, each beside a fingerprint of its
question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from anyecg.config.fingerprint import fingerprint
from anyecg.files import atomic_write
from anyecg.types import DataError, ECGSample

FORMAT = "scores 3"  # another one where rows gain, lose or change a column
QUESTION = "question"  # the column with the fingerprint, an int64


def write_scores(path: Path, samples: Sequence[ECGSample], rows: Mapping[str, pd.DataFrame]) -> None:
    """Write the rows of `Task.score`, view -> a row a sample, with two columns more: `view` and `question`."""
    known = {sample.id: asked(sample) for sample in samples}
    table = pd.concat(
        [part.assign(view=view, **{QUESTION: part["id"].map(known).astype("int64")}) for view, part in rows.items()]
    )
    table.attrs = {"format": FORMAT}
    with atomic_write(path) as part:
        table.to_parquet(part, index=False)


def read_scores(path: Path) -> dict[str, pd.DataFrame]:
    """view -> its rows; DataError where another version of anyecg wrote them."""
    table = pd.read_parquet(path)
    if table.attrs.get("format") != FORMAT:
        raise DataError(
            f"{path} was written by another version of anyecg (this one reads '{FORMAT}'); delete "
            f"{path.parents[1] / 'finished'} and give the "
            "command that made the run again: it scores the answers that are there anew and asks the model nothing"
        )
    table.attrs = {}  # copied with every resample of a bootstrap otherwise
    return dict(iter(table.groupby("view")))


def asked(sample: ECGSample) -> int:
    """A number that changes with what is asked: the ECGs, their windows, the words, the true answer, and what it is
    scored by.
    """
    windows = [[window.record, window.start, window.end] for window in sample.records]
    turns = [[turn.role, turn.text] for turn in sample.conversation]
    return int(fingerprint(windows, turns, dict(sample.meta), length=15), 16)
