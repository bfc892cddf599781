"""What every command shares: errors told in one message without a traceback, exit statuses, the log, and --root."""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from anyecg.types import AnyECGError, ConfigError


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


def roots(pairs: Iterable[str]) -> dict[str, Path]:
    """name -> folder, of --root NAME=DIR arguments; ConfigError for one of another form."""
    found = {}
    for pair in pairs:
        name, equals, root = pair.partition("=")
        if not (name and equals and root):
            raise ConfigError(f"--root {pair}: give NAME=DIR, such as --root ptbxl=/data/ptbxl")
        found[name] = Path(root)
    return found


class logging_to:
    """Within it, anyecg's log goes to the terminal and to a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.log = path, logging.getLogger("anyecg")

    def __enter__(self) -> None:
        file = logging.FileHandler(self.path)
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self.handlers = [RichHandler(show_path=False, show_level=False, markup=False, console=Console(stderr=True)), file]
        self.log.setLevel(logging.INFO)
        for handler in self.handlers:
            self.log.addHandler(handler)

    def __exit__(self, *exception) -> None:
        for handler in self.handlers:
            self.log.removeHandler(handler)
            handler.close()
