"""Where in its data a stage goes on, on whatever number of devices."""

from __future__ import annotations

from typing import Any


def moved(loops: dict[str, Any], step: int, before: int, after: int) -> int:
    """Lightning's loop states of a checkpoint made for another number of batches a step; returns the batches a rank has
    had.

    loops: changed in place; step: optimizer steps done; before, after: batches a step and device when it was written,
    and now. The order of the data is a plan with the same samples in a step however many devices there are, so the
    position in it follows from the step; what the loader itself counted is dropped.
    """
    fit = loops["fit_loop"]
    fit["state_dict"].pop("combined_loader", None)
    for counts in ("total", "current"):
        progress = fit["epoch_loop.batch_progress"][counts]
        for key, value in progress.items():
            progress[key] = value + step * (after - before)
    return step * after
