"""Figures of localization: Figure 2's bars by subset and abnormality, and examples on their traces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from anyecg.data.store.store import Stores
from anyecg.plots.charts import STYLE, grouped, save
from anyecg.plots.trace import TRUE, rhythm_leads, strips
from anyecg.plots.views import in_order
from anyecg.tasks.base import Task
from anyecg.types import CANONICAL_LEADS, DataError, ECGSample

EXAMPLES, POSITIVE = 4, 3  # localizations drawn, and how many of them have something to find, where there are as many
LONGEST = 20  # s of a localization that is drawn
LEADS = 3  # of it at most
UNIT = 100  # of a trace, to a mV: whole numbers
SAID = "#d95f02"
PRINT = 0.8  # of the size on paper


def iou_bars(
    task: Mapping[str, Any], target: str | Path, metric: str = "iou_balanced", floor: float | None = 0.5
) -> list[Path]:
    """Figure 2: localization by subset and by abnormality, a bar a view with its 95 % interval, those with one lead
    withheld among them.

    task: `metrics.json`'s entry of localization; floor: what the metric gives a model that never finds anything, drawn
    as a line. A panel a breakdown ("subset", "abnormality"). Returns the PNG and the PDF; DataError where no group has
    the metric.
    """
    views = in_order(task["views"])
    panels = {}
    for title in ("subset", "abnormality"):
        blocks = {view: task["views"][view]["blocks"].get(title, {}) for view in views}
        groups = [
            group
            for group in next(iter(blocks.values()), {})
            if any(metric in found.get(group, {}) for found in blocks.values())
        ]
        if groups:
            panels[title] = (groups, blocks)
    if not panels:
        raise DataError(f"localization has no breakdown with {metric} to draw")
    with rc_context(STYLE):
        heights = [len(groups) for groups, _ in panels.values()]
        row = 0.11 * len(views) + 0.13
        figure = Figure(figsize=(6.6, row * sum(heights) + 0.45 * len(heights) + 0.45), layout="constrained")
        axes = figure.subplots(len(panels), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
        for axis, (title, (groups, blocks)) in zip(axes, panels.items()):
            counts = [next(found[group]["n"] for found in blocks.values() if group in found) for group in groups]
            ends = {view: task["views"][view].get("block_intervals", {}).get(title, {}) for view in views}
            values, spreads = (
                {view: [found[view].get(group, {}).get(metric) for group in groups] for view in views}
                for found in (blocks, ends)
            )
            grouped(axis, groups, values, spreads, counts)
            if floor is not None:
                axis.axvline(floor, color="black", linewidth=0.8, linestyle=(0, (4, 3)), zorder=0.5)
            axis.set_title(f"by {title}", loc="left")
            axis.set_xlim(0, 1.08)
            axis.set_xticks(np.linspace(0, 1, 6))
        axes[-1].set_xlabel(metric + (f' (dashed: always "No X Found", {floor:g})' if floor is not None else ""))
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=min(3, len(names)))
        return save(figure, target)


def localization_example(example: Mapping[str, Any], target: str | Path) -> list[Path]:
    """A localization on its trace: each lead that is there, shaded where the truth is, over bars of truth and answer.

    example: as `examples` gives it. Returns the PNG and the PDF; DataError for an ECG without leads.
    """
    if not example["leads"]:
        raise DataError("a localization cannot be drawn on an ECG without leads")
    lanes = {"truth": (example["truth"], TRUE), "answer": (example["answer"], SAID)}
    # [L, T], mV
    panel = strips(
        np.array(example["signal"]) / UNIT, example["leads"], fs=example["fs"], shaded=example["truth"], lanes=lanes
    )
    with rc_context(STYLE):
        figure = Figure(figsize=(PRINT * panel.width / 25.4, PRINT * panel.height / 25.4))
        axes = figure.add_axes((0, 0, 1, 1))
        panel.draw(axes, panel.height, PRINT)
        axes.set_title(example["title"], loc="left")
        return save(figure, target)


def examples(
    samples: Sequence[ECGSample], task: Task, texts: Mapping[str, str], stores: Stores, seed: int
) -> list[dict[str, Any]]:
    """Localizations as they are drawn, chosen by seed and not by outcome: question, traces, truth and answer in
    seconds, None where it could not be read.

    texts: id -> the answer with the ECG; the traces are in 1/`UNIT` mV at `fs` Hz.
    """
    found = []
    for sample in chosen(samples, seed):
        signal, mask = stores.read(sample.records[0])  # [12, T], [12]
        leads = np.flatnonzero(mask).tolist() if mask.sum() <= LEADS else rhythm_leads(signal, mask, LEADS)
        said = task.parse(texts[sample.id], sample)
        found.append(
            {
                "title": f"{sample.subset}: {sample.meta['name']}",
                "leads": [CANONICAL_LEADS[lead] for lead in leads],
                "fs": stores.fs,
                "signal": np.rint(np.nan_to_num(signal[leads]) * UNIT).astype(int).tolist(),
                "truth": [[float(end) for end in interval] for interval in sample.meta["intervals"]],
                "answer": None if said is None else said.tolist(),
            }
        )
    return found


def chosen(samples: Sequence[ECGSample], seed: int) -> list[ECGSample]:
    """`EXAMPLES` samples short enough to be drawn, `POSITIVE` of them with something to find; fewer of one kind make
    room for more of the other.
    """
    short = sorted((sample for sample in samples if sample.meta["seconds"] <= LONGEST), key=lambda sample: sample.id)
    drawn = [short[place] for place in np.random.default_rng(seed).permutation(len(short))]
    positive, negative = (
        [sample for sample in drawn if bool(len(sample.meta["intervals"])) == there] for there in (True, False)
    )
    first = [*positive[:POSITIVE], *negative[: EXAMPLES - POSITIVE]]
    return [*first, *positive[POSITIVE:], *negative[EXAMPLES - POSITIVE :]][:EXAMPLES]
