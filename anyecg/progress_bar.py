"""The progress bar of long work that is counted."""

from __future__ import annotations

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


def progress_bar(show: bool = True, elapsed: bool = False) -> Progress:
    """A bar a task: its description, how much is done, the time left and, with `elapsed`, the time taken; nothing
    unless `show`.
    """
    taken = [TimeElapsedColumn()] if elapsed else []
    columns = [TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), *taken, TimeRemainingColumn()]
    return Progress(*columns, disable=not show)
