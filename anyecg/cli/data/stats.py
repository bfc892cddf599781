"""Count a dataset's questions as the paper's Table 2 does, and project what building many more records would take.

    python -m anyecg.data stats data/anyecg
    python -m anyecg.data stats data/anyecg --project 800000 --also data/small

Table 2's own numbers stand beside ours, marked as the paper's. A projection goes by what each
dataset's build took, as its measured.json says; --also gives a second, smaller build to tell what is fixed from what
grows.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from anyecg.cli.data.projection import Build, Projection, project
from anyecg.data.dataset.built import facts, open_dataset
from anyecg.data.dataset.data import Data
from anyecg.evaluation.published import load
from anyecg.types import SPLITS, ConfigError

TOGETHER = 64  # record batches that are counted at once: 65,536 questions
ANSWERS = ("positive", "negative")
SPREADS = {
    "ecgs": "ECGs",
    "ecg_seconds": "recording, s",
    "leads": "leads",
    "window_seconds": "window, s",
    "answer_words": "answer, words",
}
MISSING = "–"
WIDE = 120  # characters of a line where there is no terminal


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="the folder that `build` made")
    parser.add_argument("--project", type=int, metavar="N", help="also say what building N records would take")
    parser.add_argument(
        "--also",
        type=Path,
        metavar="DATASET",
        help="a smaller dataset, built alike: the projection is then a line through both",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of tables")


def run(options: argparse.Namespace) -> None:
    projection = None
    if options.project is not None:
        if options.project < 1:
            raise ConfigError(f"stats: --project {options.project}: give 1 record or more")
        projection = project(
            options.project, *(Build.read(folder) for folder in (options.dataset, options.also) if folder)
        )
    elif options.also:
        raise ConfigError("stats: --also serves a projection; give --project N with it")
    tasks, sources, table2 = count(open_dataset(options.dataset)), facts(options.dataset)["sources"], load("table2")
    paper = {name: row.get("questions") for name, row in table2.rows.items()}  # a task, or TASK/SUBSET
    if options.json:
        print(
            json.dumps(
                as_json(tasks, sources, paper, projection) | {"paper": f"{table2.caption}; {table2.source}"},
                ensure_ascii=False,
                indent=1,
            )
        )
        return
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDE)
    console.print(questions_table(tasks, paper), spreads_table(tasks), sources_table(sources), sep="\n")
    console.print(f"paper: {table2.caption}; {table2.source}")
    if projection:
        console.print("", projection_table(projection), projection.note, sep="\n")


@dataclass
class Group:
    """Some questions: how often each value of what is counted occurs. Groups can be added, and medians stay exact."""

    split: Counter = field(default_factory=Counter)
    answer: Counter = field(default_factory=Counter)  # positive or negative, of questions with intervals
    ecgs: Counter = field(default_factory=Counter)  # of a question
    ecg_seconds: Counter = field(default_factory=Counter)  # of the whole recording
    leads: Counter = field(default_factory=Counter)
    window_seconds: Counter = field(default_factory=Counter)
    answer_words: Counter = field(default_factory=Counter)

    def __add__(self, other: Group) -> Group:
        return Group(*(mine + theirs for mine, theirs in zip(vars(self).values(), vars(other).values())))

    def __len__(self) -> int:
        return self.split.total()

    def as_json(self) -> dict:
        answers = {name: self.answer[name] for name in ANSWERS} if self.answer else {}
        spreads = {name: dict(zip(("least", "median", "most"), spread(getattr(self, name)))) for name in SPREADS}
        splits = {name: self.split[name] for name in SPLITS}
        return {"questions": len(self), **splits, **answers, **spreads, "by_ecgs": dict(sorted(self.ecgs.items()))}


Tasks = Mapping[str, Mapping[str, Group]]  # task -> subset -> its questions


def count(data: Data) -> Tasks:
    """Every question, counted column by column off the memory map, a few megabytes at a time."""
    tasks: dict[str, dict[str, Group]] = defaultdict(lambda: defaultdict(Group))
    records = pa.concat_tables(store.table(["id", "seconds", "lead_mask"]) for store in data.stores).combine_chunks()
    batches = data.questions.batches()
    while some := list(islice(batches, TOGETHER)):
        for table in _columns(pa.Table.from_batches(some), records):
            for name in table.column_names[2:]:
                counted = table.group_by(["task", "subset", name]).aggregate([([], "count_all")])
                for task, subset, value, number in zip(
                    *(counted[column].to_pylist() for column in ("task", "subset", name, "count_all"))
                ):
                    if value is not None:
                        getattr(tasks[task][subset], name)[value] += number
    return {task: dict(sorted(tasks[task].items())) for task in sorted(tasks)}


def _columns(rows: pa.Table, records: pa.Table) -> Iterator[pa.Table]:
    """Task, subset and what is counted: a row a question, and then a row an ECG of a question."""
    task, subset = (rows[name].combine_chunks() for name in ("task", "subset"))
    last_turns = np.cumsum(pc.list_value_length(rows["conversation"]).to_numpy()) - 1
    answers = pc.struct_field(pc.list_flatten(rows["conversation"]), "text").take(last_turns)
    # as `write_questions` writes it
    locating, negative = (pc.match_substring(rows["meta"], f'"intervals": {what}') for what in ("[", "[]"))
    ecgs = pc.list_value_length(rows["records"]).to_numpy()
    yield pa.table(
        {
            "task": task,
            "subset": subset,
            "split": rows["split"],
            "ecgs": ecgs,
            "answer_words": pc.add(pc.count_substring(answers, " "), 1),
            "answer": pc.if_else(locating, pc.if_else(negative, "negative", "positive"), pa.scalar(None, pa.string())),
        }
    )
    owner = np.repeat(np.arange(len(rows)), ecgs)
    windows = pc.list_flatten(rows["records"])
    shown = records.take(pc.index_in(pc.struct_field(windows, "record"), value_set=records["id"]))
    end = pc.coalesce(pc.struct_field(windows, "end"), shown["seconds"])
    yield pa.table(
        {
            "task": task.take(owner),
            "subset": subset.take(owner),
            "ecg_seconds": shown["seconds"],
            "leads": np.bitwise_count(shown["lead_mask"].to_numpy()),
            "window_seconds": pc.round(pc.subtract(end, pc.struct_field(windows, "start")), 2),
        }
    )


def spread(values: Counter) -> tuple[float, float, float]:
    """The least, the median and the most of counted values, of which there is one at least."""
    ordered = sorted(values)
    upto = np.cumsum([values[value] for value in ordered])
    middle = [ordered[np.searchsorted(upto, rank, side="right")] for rank in ((upto[-1] - 1) // 2, upto[-1] // 2)]
    return ordered[0], sum(middle) / 2, ordered[-1]


def as_json(
    tasks: Tasks, sources: Mapping[str, Mapping], paper: Mapping[str, float | None], projection: Projection | None
) -> dict:
    """All that the tables show, as data; times in s, sizes in bytes."""
    wholes = {task: sum(subsets.values(), Group()) for task, subsets in tasks.items()}
    return {
        "questions": sum(map(len, wholes.values())),
        "tasks": {
            task: {
                **whole.as_json(),
                "paper": paper.get(task),
                "subsets": {
                    subset: group.as_json() | {"paper": paper.get(f"{task}/{subset}")}
                    for subset, group in tasks[task].items()
                },
            }
            for task, whole in wholes.items()
        },
        "sources": {
            name: {"records": one["records"], "hours": round(one["seconds"] / 3600, 2), "skipped": one["skipped"]}
            for name, one in sources.items()
        },
        "projection": projection and projection.as_json(),
    }


def questions_table(tasks: Tasks, paper: Mapping[str, float | None]) -> Table:
    """How many, by split and by answer; the number of a task or subset in the paper beside it."""

    def cells(group: Group, name: str) -> list[str]:
        counts = (
            len(group),
            *(group.split[name] for name in SPLITS),
            *(group.answer[name] for name in ANSWERS),
            paper.get(name),
        )
        return [f"{number:,}" if number else MISSING for number in counts]

    return _filled(_grid("Questions", "", "questions", *SPLITS, *ANSWERS, "paper"), tasks, cells)


def spreads_table(tasks: Tasks) -> Table:
    """ECGs of a question, their length and leads, the windows shown of them, and the answers."""

    def cells(group: Group, _: str) -> list[str]:
        ends = [spread(getattr(group, name)) for name in SPREADS]
        return [
            " · ".join(f"{value:,.6g}" for value in (three if three[0] < three[2] else three[:1])) for three in ends
        ]

    return _filled(_grid("Least · median · most", "", *SPREADS.values()), tasks, cells)


def sources_table(sources: Mapping[str, Mapping]) -> Table:
    grid = _grid("Sources", "", "records", "hours", "skipped")
    for name, one in sources.items():
        grid.add_row(name, f"{one['records']:,}", f"{one['seconds'] / 3600:,.1f}", f"{one['skipped']:,}")
    return grid


def projection_table(projection: Projection) -> Table:
    """What was measured, and what it comes to."""
    workers, fitted = projection.builds[0].workers, len(projection.builds) > 1
    measured = [f"measured at {build.records:,}" for build in projection.builds]
    title = f"Building {projection.records:,} records, {workers} worker{'s' * (workers > 1)}"
    grid = _grid(title, "", *measured, *["fixed"] * fitted, "each record", "projected")
    for name, each in projection.each.items():
        values = [
            *(build.took[name] for build in projection.builds),
            *[projection.fixed[name]] * fitted,
            each,
            projection.takes[name],
        ]
        grid.add_row(name, *(_time(value) if name == "time" else _size(value) for value in values))
    return grid


def _grid(title: str, *columns: str) -> Table:
    grid = Table(title=title, title_justify="left")
    for place, name in enumerate(columns):
        grid.add_column(name, justify="right" if place else "left", no_wrap=True)
    return grid


def _filled(grid: Table, tasks: Tasks, cells: Callable[[Group, str], Sequence[str]]) -> Table:
    """A line a task and, under it, a line a subset; `cells(group, name)` gets "TASK/SUBSET" for a subset."""
    for task, subsets in tasks.items():
        grid.add_row(task, *cells(sum(subsets.values(), Group()), task), style="bold")
        for subset, group in subsets.items():
            grid.add_row(f"  {subset} ECGs" if subset.isdigit() else f"  {subset}", *cells(group, f"{task}/{subset}"))
        grid.add_section()
    return grid


def _time(seconds: float) -> str:
    for unit, length, least in (("h", 3600, 7200), ("min", 60, 120), ("s", 1, 1)):
        if abs(seconds) >= least:
            return f"{seconds / length:,.1f} {unit}"
    return f"{1000 * seconds:,.1f} ms"


def _size(size: float) -> str:
    return "-" * (size < 0) + decimal(round(abs(size)))
