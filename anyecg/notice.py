"""A scheduler's notice that a process has to leave soon, as an exception in whatever the process does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from anyecg.types import Preempted

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)  # `--signal=USR1@90` and the like give notice by the second
Handler = Callable[[int], None]


@contextlib.contextmanager
def noticed() -> Iterator[None]:
    """Within it a scheduler's notice raises Preempted, as Ctrl-C raises KeyboardInterrupt: what is written is whole or
    not there, so any place is safe. While a stage trains, `training.preemption` takes the notice instead.
    """

    def leave(number: int) -> None:
        raise Preempted(f"told to stop by {signal.Signals(number).name}")

    with handling(leave):
        yield


@contextlib.contextmanager
def handling(handler: Handler) -> Iterator[None]:
    """Within it a notice calls the handler, in the process that entered; in one that was forked meanwhile, such as a
    worker, the signals do what they do by default. Nothing outside of the main thread, where Python handles none.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    owner = os.getpid()

    def handle(number: int, frame: FrameType | None) -> None:
        if os.getpid() == owner:
            handler(number)
            return
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, signal.SIG_DFL if old is None else old)
