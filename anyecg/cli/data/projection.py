"""What building many more records would take, from what one build or two took."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from anyecg.data.dataset.built import facts
from anyecg.types import ConfigError, DataError


@dataclass(frozen=True)
class Build:
    """One build as it was measured.

    took: time in s; disk in bytes, without simulated sources; memory in bytes, the most of the main process and as
    often as there are workers the most of one (so it counts what they share again and again).
    """

    records: int
    workers: int
    sources: Sequence[str]
    took: Mapping[str, float]

    @classmethod
    def read(cls, folder: Path) -> Build:
        """The build of a dataset, from its measured.json; DataError where there is none."""
        sources, path = sorted(facts(folder)["sources"]), folder / "measured.json"
        try:
            found = json.loads(path.read_text())
            workers = found["workers"] if found["peak_bytes_worker"] else 1  # a small corpus is left to one process
            memory = found["peak_bytes"] + (workers * found["peak_bytes_worker"] if workers > 1 else 0)
            return cls(
                found["records"], workers, sources, {"time": found["seconds"], "disk": found["bytes"], "memory": memory}
            )
        except FileNotFoundError as error:
            raise DataError(
                f"{path} is missing: nothing says what the build took (was it stopped and gone on with, or imported?); "
                "build into a new folder to measure it"
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} is damaged ({error!r}); build into a new folder to measure again") from error

    def told(self) -> str:
        """ "2,000 records of mimic by 2 workers"."""
        return (
            f"{self.records:,} records of {', '.join(self.sources)} by {self.workers} worker{'s' * (self.workers > 1)}"
        )


@dataclass(frozen=True)
class Projection:
    """A build of so many records. fixed, each: what any build takes, and what each record adds, in the units of
    `Build.took`.
    """

    records: int
    builds: Sequence[Build]
    fixed: Mapping[str, float]
    each: Mapping[str, float]

    @property
    def takes(self) -> dict[str, float]:
        return {name: self.fixed[name] + self.each[name] * self.records for name in self.each}

    @property
    def note(self) -> str:
        if len(self.builds) > 1:
            return "A line through both builds: what any build takes (fixed), and what each record adds."
        return (
            "In proportion to one build, as if all it took were for its records: an upper bound, and for memory a "
            "useless one "
            "where the build was small. With --also SMALLER_DATASET, a line through both tells what is fixed."
        )

    def as_json(self) -> dict:
        measured = [{"records": build.records, **build.took} for build in self.builds]
        return {
            "records": self.records,
            "workers": self.builds[0].workers,
            **self.takes,
            "fixed": dict(self.fixed),
            "each_record": dict(self.each),
            "measured": measured,
            "note": self.note,
        }


def project(records: int, build: Build, other: Build | None = None) -> Projection:
    """In proportion to one build, or on the line through two (what shrinks from the smaller to the larger is taken not
    to grow).

    ConfigError for two that do not differ in their records alone.
    """
    if other is None:
        return Projection(
            records,
            [build],
            dict.fromkeys(build.took, 0),
            {name: value / build.records for name, value in build.took.items()},
        )
    small, large = sorted((build, other), key=lambda one: one.records)
    if small.records == large.records or (small.workers, small.sources) != (large.workers, large.sources):
        raise ConfigError(
            "stats: --also needs a dataset of fewer records of the same sources, built by as many workers (128 "
            "records keep one busy); "
            f"these have {build.told()} and {other.told()}"
        )
    each = {
        name: max(0.0, (large.took[name] - small.took[name]) / (large.records - small.records)) for name in large.took
    }
    return Projection(
        records, [small, large], {name: large.took[name] - each[name] * large.records for name in each}, each
    )
