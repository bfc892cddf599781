"""Figures that papers publish, as data with their source, to stand beside ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from anyecg.types import ConfigError

FOLDER = Path(__file__).parents[2] / "experiments" / "published"
DEFAULT = FOLDER / "anyecg_chat.yaml"


@dataclass(frozen=True)
class PublishedTable:
    """A table of a paper: row -> task -> its figure, None where it is not known."""

    source: str
    caption: str
    rows: Mapping[str, Mapping[str, float | None]]

    def __getitem__(self, row: str) -> Mapping[str, float | None]:
        """The figures of a row; ConfigError names the known rows."""
        if row not in self.rows:
            raise ConfigError(f"'{row}' is no row of {self.caption} (known: {', '.join(self.rows)})")
        return self.rows[row]


def load(table: str = "table8", path: str | Path = DEFAULT) -> PublishedTable:
    """One table of a published-figures file; ConfigError, naming file and key, for anything that is no figure."""
    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        entry = content["tables"][table]
        source, caption, rows = str(content["source"]), str(entry["caption"]), dict(entry["rows"])
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{path}: no published table '{table}' can be read ({error!r})") from error
    for row, figures in rows.items():
        for task, value in figures.items():
            if value is not None and (isinstance(value, bool) or not isinstance(value, (int, float))):
                raise ConfigError(f"{path}: tables.{table}.rows.{row}.{task}: expected a number or null, got {value!r}")
    return PublishedTable(source, caption, rows)
