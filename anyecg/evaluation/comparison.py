"""What finished runs left, read back and compared: what differs in them, and what it did."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from anyecg.evaluation.controls import SIGNAL
from anyecg.evaluation.differences import Setting, changes_grid, controls_grid, measure, views_grids
from anyecg.evaluation.published import load as load_published
from anyecg.evaluation.scores import read_scores
from anyecg.evaluation.tables import MISSING, Grid
from anyecg.evaluation.wins import highest_grids
from anyecg.types import DataError

IDENTITY = ("name", "description", "paper_row", "published", "output")  # keys that name a run and determine nothing


@dataclass(frozen=True)
class Results:
    """What a finished run left: its resolved configuration, its metrics, and task -> view -> scored rows."""

    name: str
    config: Mapping[str, Any]
    metrics: Mapping[str, Any]
    rows: Mapping[str, Mapping[str, pd.DataFrame]]

    @property
    def components(self) -> dict[str, str]:
        """Task -> the "module:Class" that scored it."""
        return {name: task["component"] for name, task in self.metrics.get("tasks", {}).items() if "component" in task}

    @property
    def answerer(self) -> str:
        """The name of what answered."""
        return str((self.config.get("answerer") or {}).get("name", MISSING))

    @property
    def trained_blind(self) -> bool:
        """Whether every stage of the curriculum was trained without the ECG."""
        stages = self.config.get("stages") or {}
        views = [stages.get(name, {}).get("view") for name in self.config.get("curriculum") or []]
        return bool(views) and all(view == "blind" for view in views)


def read_run(folder: str | Path) -> Results:
    """The run in a folder; DataError names the file that is missing or cannot be read."""
    folder = Path(folder)
    try:
        config = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        rows = {task: read_scores(folder / "scores" / f"{task}.parquet") for task in metrics["tasks"]}
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise DataError(f"{folder} is not the folder of a finished run: {error}") from error
    if not isinstance(config, dict):
        raise DataError(f"{folder} is not the folder of a finished run: config.yaml holds no keys")
    return Results(folder.name, config, metrics, rows)


def compare(runs: Sequence[Results], resamples: int = 1000, seed: int = 0) -> list[Grid]:
    """The configuration's differences, then for each task what each run changes, the paper beside it, the controls, and
    who scores highest.

    Raises DataError, naming ids, where runs were not asked the same questions.
    """
    settings = [
        Setting(run.name, run.config.get("paper_row"), {0: run.rows}, run.components, run.trained_blind) for run in runs
    ]
    common, alone = shared_tasks(runs)
    grids = [config_diff(runs), answerers_grid(runs)]
    for task in common:
        there = [setting for setting in settings if setting.answered(task)]
        cells = list(measure(there, task, load_published(), n=resamples, seed=seed))
        grids += [changes_grid(cells), controls_grid(cells), *views_grids(cells), *highest_grids(there, task)]
    return (
        [*grids, Grid("Tasks that not every run evaluated", ["task"], [[task] for task in alone])] if alone else grids
    )


def shared_tasks(runs: Sequence[Results]) -> tuple[list[str], list[str]]:
    """The tasks that any run evaluated with the ECG, those of the first run first, and those that not every run did;
    DataError if there are none. A task's first run is the one that its others are compared with.
    """
    there = {
        task: [run for run in runs if SIGNAL in run.rows.get(task, {})]
        for task in dict.fromkeys(task for run in runs for task in run.rows)
    }
    common = [task for task, found in there.items() if found]
    if not common:
        raise DataError(f"no task was evaluated with the ECG in any of: {', '.join(run.name for run in runs)}")
    return common, sorted(task for task, found in there.items() if len(found) < len(runs))


def answerers_grid(runs: Sequence[Results]) -> Grid:
    """Who answered in each run, and what it knew beforehand."""
    rows = [[run.name, run.answerer, run.metrics.get("answerer", {}).get("knows", MISSING)] for run in runs]
    return Grid("Answerers", ["run", "answerer", "knows beforehand"], rows)


def config_diff(runs: Sequence[Results]) -> Grid:
    """The keys in which the runs' configurations differ, a column a run."""
    flat = [flattened(run.config) for run in runs]
    keys = list(dict.fromkeys(key for config in flat for key in config))
    rows = []
    for key in keys:
        values = [str(config[key]) if key in config else MISSING for config in flat]
        if len(set(values)) > 1 and key not in IDENTITY:
            rows.append([key, *values])
    return Grid(
        "Configuration", ["key", *(run.name for run in runs)], rows, [] if rows else ["the configurations are the same"]
    )


def flattened(value: Any, prefix: str = "") -> dict[str, Any]:
    """Dotted key -> leaf; a list is a leaf."""
    if not isinstance(value, Mapping) or not value:
        return {prefix: value}
    return {
        k: v
        for name, part in value.items()
        for k, v in flattened(part, f"{prefix}.{name}" if prefix else str(name)).items()
    }
