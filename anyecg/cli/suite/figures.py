"""The figures that a suite's file asks for, and those of its runs' views in growing measure."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from anyecg.cli.suite.file import FigureConfig, Member, Suite
from anyecg.evaluation.across import along, side_by_side
from anyecg.evaluation.comparison import Results
from anyecg.evaluation.sweeps import axes_of, sweep_figure
from anyecg.training.projection import outline
from anyecg.types import AnyECGError, DataError

log = logging.getLogger(__name__)


def suite_figures(suite: Suite, runs: Mapping[Member, Results]) -> Iterator[str]:
    """The names of the figures that could be drawn into the suite's folder, each as it is drawn.

    Of each experiment the first seed that finished is drawn; a run that did not finish is left out.
    """
    members: dict[str, Member] = {}
    for member in runs:
        members.setdefault(member.experiment.name, member)
    wanted: dict[str, Callable[[Path], list[Path]]] = {
        name: partial(_drawn, figure, {run: (one, runs[one]) for run in figure.runs if (one := members.get(run))})
        for name, figure in suite.cfg.figures.items()
    }
    for name, member in members.items():
        metrics = runs[member].metrics
        for key, task in metrics["tasks"].items():
            for axis in axes_of(task):
                title = f"{name}_{key}_{axis.replace(' ', '_')}"
                wanted[title] = partial(sweep_figure, task, axis, metrics.get("references", ()))
    for name, draw in wanted.items():
        try:
            draw(suite.folder / "figures" / name)
        except AnyECGError as error:
            log.warning("figure %s of the suite is left out: %s", name, error)
        else:
            yield name


def _drawn(figure: FigureConfig, runs: Mapping[str, tuple[Member, Results]], target: Path) -> list[Path]:
    tasks = {run: results.metrics["tasks"] for run, (_, results) in runs.items()}
    name = figure.task or next((task for found in tasks.values() for task in found), "")
    summaries: dict[str, Any] = {run: found[name] for run, found in tasks.items() if name in found}
    if not summaries:
        raise DataError(f"none of {', '.join(figure.runs)} has finished and answered {name or 'a task'}")
    if not figure.over:
        return side_by_side(summaries, figure.metrics, figure.group, target)
    sizes = {
        run: sum(p.numel() for p in outline(runs[run][0].experiment).llm.parameters()) for run in summaries
    }
    return along(summaries, sizes, "parameters of the LLM", figure.metrics, figure.group, target)
