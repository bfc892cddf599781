"""The progress bar of long work that is counted."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


class Rate(ProgressColumn):
    """How much is done a second."""

    def render(self, task: Task) -> Text:
        # at its end the mean: steps that come many at a time have no speed between one and the next
        speed = task.completed / task.finished_time if task.finished_time else task.speed
        if not speed:
            return Text("")
        return Text(f"{speed:,.0f}/s" if speed >= 10 else f"{speed:.1f}/s")


def progress_bar(show: bool = True) -> Progress:
    """A bar a task, on stderr: its description, how much is done and how fast, and the time left or, at its end, taken;
    nothing unless `show`.
    """
    columns = [
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(elapsed_when_finished=True),
    ]
    return Progress(*columns, console=Console(stderr=True), disable=not show)
