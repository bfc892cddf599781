"""What a suite leaves: `table.md`, `table.csv`, the figure of differences, and `suite.yaml`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd
from rich.console import Console
from rich.progress import track

from anyecg.cli.suite.figures import suite_figures
from anyecg.cli.suite.file import Member, Suite
from anyecg.cli.suite.members import SuiteError
from anyecg.cli.suite.plan import Step, totals
from anyecg.evaluation import figures, published
from anyecg.evaluation.beside_paper import paper_grids
from anyecg.evaluation.comparison import Results, answerers_grid, config_diff, read_run, shared_tasks
from anyecg.evaluation.controls import BLIND, SHUFFLED, SIGNAL
from anyecg.evaluation.differences import (
    Cell,
    Setting,
    Spread,
    changes_grid,
    controls_grid,
    measure,
    signs_grid,
    views_grids,
)
from anyecg.evaluation.seeds import METHOD
from anyecg.evaluation.tables import Grid
from anyecg.evaluation.wins import highest_grids
from anyecg.files import atomic_write

WIDTH, PUBLISHED = 110, 200  # columns that the table of signs, and the published ones, need


def write_report(suite: Suite, finished: Sequence[Member], failed: Mapping[Member, str], steps: Sequence[Step]) -> None:
    """Write the table over the finished runs into the suite's folder and print its first part.

    SuiteError if the first experiment finished with no seed: there is nothing to compare with. DataError, naming ids,
    if runs were not asked the same questions.
    """
    runs = {member: read_run(Path(member.experiment.output) / member.folder) for member in finished}
    first = suite.members[0].experiment
    settings = _settings(runs)
    if settings[0].name != first.name:
        raise SuiteError(
            "\n".join(
                [
                    f"{first.name} failed with every seed, and there is nothing to compare the others with:",
                    *failed.values(),
                ]
            )
        )
    tasks, _ = shared_tasks(list(runs.values()))
    answered = {task: [setting for setting in settings if setting.answered(task)] for task in tasks}
    there = {task: [one for one in found if one.name not in suite.cfg.apart] for task, found in answered.items()}
    alone = {task: [one for one in found if one.name in suite.cfg.apart] for task, found in answered.items()}
    evaluation, table = first.evaluation, published.load()
    measured = {
        task: list(
            track(
                (
                    cell
                    for compared in ([there[task]] if there[task] else []) + [[one] for one in alone[task]]
                    for cell in measure(compared, task, table, n=evaluation.bootstrap, seed=evaluation.seed)
                ),
                f"comparing {task}",
                len(answered[task]),
                console=Console(stderr=True),
                transient=True,
            )
        )
        for task in tasks
    }
    cells = [cell for found in measured.values() for cell in found]
    signs = [signs_grid(cells, table.caption)] if len(settings) > 1 else []
    beside = paper_grids(list(runs.values())) if suite.cfg.published else []
    grids = [
        *beside,
        *signs,
        *(
            grid
            for task, found in measured.items()
            for grid in (
                changes_grid(found),
                controls_grid(found),
                *views_grids(found),
                *(highest_grids(there[task], task) if there[task] else []),
            )
        ),
        answerers_grid(list(runs.values())),
        changed_keys(runs),
        totals(steps),
        Grid(
            "Runs",
            ["run", "seed", "folder"],
            [
                [
                    m.experiment.name,
                    str(m.experiment.seed),
                    os.path.relpath(Path(m.experiment.output) / m.folder, suite.folder),
                ]
                for m in runs
            ],
        ),
    ]
    if failed:
        grids.append(
            Grid(
                "Failed",
                ["run", "why"],
                [[member.told, reason.replace("\n", " ")] for member, reason in failed.items()],
            )
        )
    rows = [
        (
            cell.setting,
            figures.panel(cell.task, cell.metric),
            cell.change[0],
            *(cell.change[1] or (None, None)),
            cell.paper_change,
        )
        for cell in cells
        if cell.change
    ]
    if rows:
        figures.ablation_differences(rows, suite.folder / "figures" / "differences")
    drawn = ["![Differences](figures/differences.png)", ""] if rows else []
    for name in suite_figures(suite, runs):
        drawn += [f"![{name}](figures/{name}.png)", ""]
    head = [
        f"# {suite.cfg.name}",
        "",
        suite.cfg.description,
        "",
        f"scale {first.scale}, seeds {', '.join(map(str, suite.cfg.seeds))}. {METHOD}",
        "",
        *drawn,
    ]
    _write(suite.folder / "table.md", "\n".join([*head, *(grid.markdown() for grid in grids)]))
    _write(suite.folder / "table.csv", pd.DataFrame([_record(cell, first.name) for cell in cells]).to_csv(index=False))
    _write(suite.folder / "suite.yaml", suite.dump())
    console = Console()
    for grid in beside:
        Console(width=max(console.width, PUBLISHED)).print(grid.rich())
    for grid in signs:
        Console(width=max(console.width, WIDTH)).print(grid.rich())


def _settings(runs: Mapping[Member, Results]) -> list[Setting]:
    """The runs by experiment, in the suite's order."""
    rows: dict[str, dict[int, Mapping]] = {}
    paper, blind, components = {}, {}, {}
    for member, run in runs.items():
        rows.setdefault(member.experiment.name, {})[member.experiment.seed] = run.rows
        paper[member.experiment.name], blind[member.experiment.name] = member.experiment.paper_row, run.trained_blind
        components[member.experiment.name] = run.components
    return [Setting(name, paper[name], by_seed, components[name], blind[name]) for name, by_seed in rows.items()]


def changed_keys(runs: Mapping[Member, Results]) -> Grid:
    """The keys in which each experiment differs from the first, with the first seed that both finished."""
    by_seed: dict[int, dict[str, Results]] = {}
    for member, run in runs.items():
        by_seed.setdefault(member.experiment.seed, {})[member.experiment.name] = run
    first = next(iter(runs)).experiment.name
    rows: dict[str, list[list[str]]] = {}
    for found in by_seed.values():
        for name, run in found.items():
            if first in found and name != first and name not in rows:
                rows[name] = [[name, *row] for row in config_diff([found[first], run]).rows]
    return Grid(
        f"Keys that differ from {first}",
        ["run", "key", first, "here"],
        [row for found in rows.values() for row in found],
    )


def _record(cell: Cell, first: str) -> dict:
    """A line of the CSV."""

    def columns(name: str, spread: Spread | None) -> dict:
        value, ends = spread or (None, None)
        low, high = ends or (None, None)
        return {name: value, f"{name}_low": low, f"{name}_high": high}

    return {
        "run": cell.setting,
        "task": cell.task,
        "metric": cell.metric,
        "seeds": " ".join(map(str, cell.seeds)),
        "questions": sum(cell.questions),
        **{
            "unparsed" + (f"_{view}" if view != SIGNAL else ""): cell.unparsed.get(view)
            for view in (SIGNAL, BLIND, SHUFFLED)
        },
        **columns("value", cell.views.get(SIGNAL)),
        **columns("blind", cell.views.get(BLIND)),
        **columns("shuffled", cell.views.get(SHUFFLED)),
        **columns("minus_blind", cell.controls.get(BLIND)),
        **columns("minus_shuffled", cell.controls.get(SHUFFLED)),
        **{
            key: value
            for view, spread in cell.views.items()
            if view not in (SIGNAL, BLIND, SHUFFLED)
            for key, value in columns(view.replace(" ", "_"), spread).items()
        },
        **{
            key: value
            for view, spread in cell.controls.items()
            if view not in (BLIND, SHUFFLED)
            for key, value in columns(f"minus_{view.replace(' ', '_')}", spread).items()
        },
        **columns("minus_first", cell.change),
        "minus_first_by_seed": " ".join(f"{value:.6f}" for value in cell.by_seed),
        "paper": cell.paper,
        "paper_minus_first": cell.paper_change,
        "sign": cell.sign if cell.setting != first else "",
    }


def _write(path: Path, text: str) -> None:
    """Write a file, whole or not at all."""
    with atomic_write(path) as part:
        part.write_text(text, encoding="utf-8")
