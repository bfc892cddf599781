"""The window moved by some seconds: an answer that says where must move with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from anyecg.config.checks import Checks
from anyecg.evaluation.views.base import Pair, Setup, View
from anyecg.tasks.base import Task
from anyecg.types import ECGSample


class TimeShift(View):
    """The same record from another second (`Task.shifted`), scored by what is true of the moved window."""

    @dataclass(frozen=True)
    class Config(View.Config):
        """seconds: that the window begins later, or earlier where the record ends before."""

        seconds: float = 2.0

        def __post_init__(self) -> None:
            with Checks(self) as check:
                check.number("seconds", above=0)

    label = short = "window moved by 2 s"
    colour = "#4f7cac"
    measures = {
        "moved": "mean IoU of the two answers in the record's own time, over the seconds that both windows show, where "
        "either says an interval there, 0 to 1: near 1 where the answer moves with the window",
        "stayed": "the same in the window's time: near 1 where the answer does not move at all",
    }

    def put(self, samples: Sequence[ECGSample], setup: Setup) -> dict[str, ECGSample]:
        if setup.stores is None:
            return {}
        moved = setup.task.shifted(samples, self.cfg.seconds, setup.stores)
        return {sample.id: moved[sample.id] for sample in samples if sample.id in moved}

    def truth(self, sample: ECGSample, shown: ECGSample) -> ECGSample:
        return shown

    def columns(self, task: Task, pairs: Sequence[Pair]) -> dict[str, list[float]]:
        found = [task.followed(p.sample, p.text, p.shown, p.shown_text) for p in pairs]
        return {"moved": [one for one, _ in found], "stayed": [other for _, other in found]}
