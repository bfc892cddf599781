"""Compare runs: `python -m anyecg.compare runs/A runs/B ...` prints what differs in them and what it did."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from rich.console import Console

from anyecg.evaluation.bootstrap import paired_interval, require_same_ids
from anyecg.evaluation.controls import BLIND, SHUFFLED, SIGNAL
from anyecg.evaluation.published import load as load_published
from anyecg.evaluation.tables import MISSING, PAPER, Grid, number, with_interval
from anyecg.tasks import tasks
from anyecg.types import AnyECGError, DataError

IDENTITY = ("name", "description", "paper_row", "output")  # keys that name a run and determine nothing


@dataclass(frozen=True)
class Run:
    """What a finished run left: its resolved configuration, its metrics, and task -> scored rows with the ECG."""

    name: str
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    rows: Mapping[str, pd.DataFrame]


def read_run(folder: str | Path) -> Run:
    """The run in a folder; DataError names the file that is missing or cannot be read."""
    folder = Path(folder)
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        scores = {task: pd.read_parquet(folder / "scores" / f"{task}.parquet") for task in metrics["tasks"]}
        rows = {task: part[part["view"] == SIGNAL] for task, part in scores.items()}
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise DataError(f"{folder} is not the folder of a finished run: {error}") from error
    if not isinstance(config, dict):
        raise DataError(f"{folder} is not the folder of a finished run: config.yaml holds no keys")
    return Run(folder.name, config, metrics, rows)


def compare(runs: Sequence[Run], resamples: int = 1000, seed: int = 0) -> list[Grid]:
    """The configuration's differences, then a table a task: each run, its paired difference to the first, the paper.

    Raises DataError, naming ids, where runs were not asked the same questions.
    """
    common = [task for task in runs[0].rows if all(task in run.rows for run in runs)]
    if not common:
        raise DataError(f"no task was evaluated in all of: {', '.join(run.name for run in runs)}")
    alone = sorted({task for run in runs for task in run.rows} - set(common))
    grids = [config_diff(runs), *(_task_grid(runs, task, resamples, seed) for task in common)]
    return [*grids, Grid("Tasks that not every run evaluated", ["task"], [[task] for task in alone])] if alone else grids


def config_diff(runs: Sequence[Run]) -> Grid:
    """The keys in which the runs' configurations differ, a column a run."""
    flat = [_flat(run.config) for run in runs]
    keys = list(dict.fromkeys(key for config in flat for key in config))
    rows = []
    for key in keys:
        values = [str(config[key]) if key in config else MISSING for config in flat]
        if len(set(values)) > 1 and key not in IDENTITY:
            rows.append([key, *values])
    return Grid("Configuration", ["key", *(run.name for run in runs)], rows, [] if rows else ["the configurations are the same"])


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> leaf; a list is a leaf."""
    if not isinstance(value, Mapping) or not value:
        return {prefix: value}
    return {k: v for name, part in value.items() for k, v in _flat(part, f"{prefix}.{name}" if prefix else str(name)).items()}


def _task_grid(runs: Sequence[Run], name: str, resamples: int, seed: int) -> Grid:
    task, first = tasks[name](), runs[0]
    primary, rows = task.primary, []
    for run in runs:
        found = run.metrics["tasks"][name]["views"]
        cells = [with_interval(found[SIGNAL]["metrics"].get(primary), found[SIGNAL]["intervals"].get(primary))]
        if run is first:
            cells.append(MISSING)
        else:
            require_same_ids(first.rows[name], run.rows[name], (first.name, run.name))
            paired = paired_interval(run.rows[name], first.rows[name], task.reduce, n=resamples, seed=seed)
            value, *ends = paired.get(primary, [None])
            cells.append(with_interval(value, ends, sign=True))
        cells += [number(found.get(view, {"metrics": {}})["metrics"].get(primary)) for view in (BLIND, SHUFFLED)]
        cells += [str(found[SIGNAL]["unparsed"]), _paper(run, name)]
        rows.append([run.name, *cells])
    head = first.metrics["tasks"][name]
    notes = [f"{head['n']} questions of {head['n_patients']} patients, the same in all runs", f"blind: no ECG; shuffled: another patient's; {PAPER}"]
    header = ["run", f"{primary} [95 %]", "− first [95 %]", BLIND, SHUFFLED, "unparsed", "paper"]
    return Grid(f"{name}: {task.metrics[primary]}", header, rows, notes)


def _paper(run: Run, task: str) -> str:
    row = run.config.get("paper_row")
    return number(load_published()[row].get(task)) if row else MISSING


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m anyecg.compare", description="Compare runs with the first one.")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="folder of a finished run; the others are compared with the first")
    parser.add_argument("--out", type=Path, metavar="FILE.md", help="write the tables there as well, as markdown")
    parser.add_argument("--bootstrap", type=int, default=1000, metavar="N", help="resamples of patients (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="of the bootstrap (default: 0)")
    options = parser.parse_args(arguments)
    try:
        if len(options.runs) < 2:
            raise DataError("give at least two runs to compare")
        grids = compare([read_run(folder) for folder in options.runs], options.bootstrap, options.seed)
        if options.out:
            options.out.write_text("\n".join(grid.markdown() for grid in grids), encoding="utf-8")
    except (AnyECGError, OSError) as error:
        print(f"anyecg.compare: {error}", file=sys.stderr)
        return 1
    for grid in grids:
        Console().print(grid.rich())
    return 0


if __name__ == "__main__":
    sys.exit(main())
