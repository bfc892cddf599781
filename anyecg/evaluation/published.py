"""Figures that papers publish, as data with their source, to stand beside ours."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from anyecg.config.checks import meant
from anyecg.config.shipped import experiments
from anyecg.types import ConfigError

DEFAULT = experiments() / "published" / "anyecg_chat.yaml"


def file_of(name: str) -> Path:
    """The file of a paper's figures by its name, or a path to one of the user's own."""
    return Path(name) if name.endswith(".yaml") else DEFAULT.with_name(f"{name}.yaml")


@dataclass(frozen=True)
class PublishedTable:
    """A table of a paper: row -> column -> its figure, None where it is not known.

    task: whose metrics it has, "" where its columns are tasks; columns: column -> its title. A column is the name of a
    metric, or BREAKDOWN/GROUP/METRIC. metrics: of a column that is a task, metric -> what it means, where its figures
    are of a metric that is not the task's headline. marks: row -> where its figures are from, or column -> where from;
    none where all are from the paper's own text.
    """

    source: str
    caption: str
    rows: Mapping[str, Mapping[str, float | None]]
    task: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    marks: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)

    def __getitem__(self, row: str) -> Mapping[str, float | None]:
        """The figures of a row; ConfigError names the known rows."""
        if row not in self.rows:
            raise ConfigError(f"'{row}' is no row of {self.caption}{meant(row, self.rows)}")
        return self.rows[row]

    def beside(self, row: str, tasks: Mapping[str, Any]) -> dict[str, tuple[str, float | None]]:
        """Task -> the metric of ours that a row's figure stands beside, and the figure; tasks: of `metrics.json`."""
        known = {
            name: {metric for found in task["views"].values() for metric in found["metrics"]}
            for name, task in tasks.items()
        }
        return {
            name: (self.metric(name, known[name], task["primary"]), self[row].get(name)) for name, task in tasks.items()
        }

    def metric(self, task: str, known: Collection[str], primary: str) -> str:
        """The metric that a task's figures stand beside: the one they are of where `known` has it, else `primary`."""
        return next((metric for metric in self.metrics.get(task, ()) if metric in known), primary)


def load(table: str = "table8", path: str | Path = DEFAULT) -> PublishedTable:
    """One table of a published-figures file; ConfigError, naming file and key, for anything that is no figure."""
    content = _read(Path(path))
    try:
        return _table(content, table, Path(path))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(f"{path}: no published table '{table}' can be read ({error!r})") from error


def check_row(row: str) -> None:
    """ConfigError where the paper's ablations have no such row."""
    load()[row]


def of_tasks(path: str | Path = DEFAULT) -> list[PublishedTable]:
    """Those tables of a published-figures file that stand beside one task's metrics and have a figure at all."""
    try:
        names = [name for name, entry in _read(Path(path))["tables"].items() if entry.get("task")]
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: no published tables can be read ({error!r})") from error
    found = [load(name, path) for name in names]
    return [
        table
        for table in found
        if any(value is not None for figures in table.rows.values() for value in figures.values())
    ]


def of_benchmarks(path: str | Path = DEFAULT) -> list[PublishedTable]:
    """Those tables of a published-figures file whose columns are of several tasks: TASK/METRIC or TASK/GROUP/METRIC."""
    try:
        entries = _read(Path(path))["tables"].items()
    except (KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{path}: no published tables can be read ({error!r})") from error
    names = [
        name
        for name, entry in entries
        if not entry.get("task") and entry.get("columns") and all("/" in column for column in entry["columns"])
    ]
    return [load(name, path) for name in names]


def _read(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: no published figures can be read ({error!r})") from error


def _table(content: Any, name: str, path: Path) -> PublishedTable:
    entry = content["tables"][name]
    rows, columns = dict(entry["rows"]), {str(column): str(title) for column, title in entry.get("columns", {}).items()}
    for row, figures in rows.items():
        for column, value in figures.items():
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise ConfigError(
                    f"{path}: tables.{name}.rows.{row}.{column}: expected a number or null, got {value!r}"
                )
            if columns and column not in columns:
                raise ConfigError(
                    f"{path}: tables.{name}.rows.{row}.{column}: is no column of the table (known: "
                    f"{', '.join(columns)})"
                )
    metrics = {
        str(task): {str(metric): str(meaning) for metric, meaning in named.items()}
        for task, named in entry.get("metrics", {}).items()
    }
    return PublishedTable(
        str(content["source"]),
        str(entry["caption"]),
        rows,
        str(entry.get("task", "")),
        columns,
        metrics,
        entry.get("marks", {}),
    )
