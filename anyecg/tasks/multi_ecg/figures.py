"""Figure of questions over several ECGs: Figure 3's distributions of scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from anyecg.plots.charts import STYLE, colour, save
from anyecg.plots.views import in_order, short
from anyecg.tasks.multi_ecg.task import BINS, ECGS, SCORES
from anyecg.types import DataError

JUDGES = {"histogram": ("findings judge", "score"), "judge_histogram": ("LLM judge", "judge_score")}


def score_distributions(task: Mapping[str, Any], target: str | Path) -> list[Path]:
    """Figure 3: the distribution of scores over several ECGs, a column a number of ECGs, a row a judge, a bar a view.

    task: `metrics.json`'s entry of multi_ecg. Bars are shares of the answers that the judge scored; means are told in
    the panel. Returns the PNG and the PDF; DataError where there are no distributions.
    """
    views = in_order(task["views"])
    blocks = {view: task["views"][view]["blocks"].get(ECGS, {}) for view in views}
    numbers = sorted({number for found in blocks.values() for number in found}, key=int)
    judges = [
        name for name in SCORES.values() if any(name in group for found in blocks.values() for group in found.values())
    ]
    if not judges:
        raise DataError("there are no distributions of scores to draw; evaluate multi_ecg again")
    with rc_context(STYLE):
        figure = Figure(figsize=(1.75 * len(numbers) + 0.5, 1.75 * len(judges) + 0.75), layout="constrained")
        panels = figure.subplots(len(judges), len(numbers), squeeze=False, sharex=True, sharey=True)
        for line, judge in zip(panels, judges):
            name, mean = JUDGES[judge]
            for axis, number in zip(line, numbers):
                _distribution(axis, {view: blocks[view].get(number, {}) for view in views}, judge, mean)
            line[0].set_ylabel(f"{name}\nshare of answers")
        for axis, number in zip(panels[0], numbers):
            axis.set_title(
                f"{number} ECGs (n = {next(found[number]['n'] for found in blocks.values() if number in found)})"
            )
        for axis in panels[-1]:
            axis.set_xticks(range(len(BINS)), BINS, fontsize=7.5)
        figure.supxlabel("score (<2: from 1 up to 2)", fontsize=STYLE["font.size"])
        handles, names = panels[0][0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=len(names))
        return save(figure, target)


def _distribution(axis: Axes, groups: Mapping[str, Mapping[str, Any]], judge: str, mean: str) -> None:
    width, told = 0.84 / len(groups), []
    for place, (view, group) in enumerate(groups.items()):
        counts = np.array(group.get(judge, [0] * len(BINS)))
        axis.bar(
            np.arange(len(BINS)) - 0.42 + width * (place + 0.5),
            counts / max(1, counts.sum()),
            width=width,
            color=colour(view),
            label=short(view),
        )
        told.append(f"{group[mean]:.2f}" if mean in group else "–")
    axis.annotate(
        "mean " + " / ".join(told),
        (0.5, 1),
        (0, -1),
        xycoords="axes fraction",
        textcoords="offset points",
        ha="center",
        va="top",
        fontsize=7,
    )
    axis.tick_params(bottom=False)
    axis.margins(y=0.18)
