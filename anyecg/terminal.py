"""What every command shares: errors told in one message without a traceback, and exit statuses."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable

from rich.console import Console

from anyecg.types import AnyECGError


def guarded(action: Callable[[], int | None]) -> int:
    """The exit status of a command: 2 for an error its user can mend, 130 for Ctrl-C; anything else is a bug and raises."""
    try:
        return action() or 0
    except AnyECGError as error:
        Console(stderr=True).print(f"[bold red]{type(error).__name__}[/]: ", end="")
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(f"The disk is full ({error.filename or 'see the log'}). Free some space and give the same command: it goes on from here.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 130
