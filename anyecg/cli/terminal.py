"""What every command shares: errors told in one message without a traceback, exit statuses, the log, and --root."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import re
import sys
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler

from anyecg.notice import noticed
from anyecg.types import REQUEUE, AnyECGError, ConfigError, DataError, Preempted

UNWRITABLE = {  # what a user can mend about a disk
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the quota is used up",
    errno.EFBIG: "the disk takes no file of this size",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "no permission",
    errno.EPERM: "no permission",
}


def guarded(action: Callable[[], int | None]) -> int:
    """The exit status of a command: 2 for an error its user can mend, 130 for Ctrl-C, `types.REQUEUE` where a scheduler
    gave notice (SIGTERM, SIGUSR1); anything else is a bug and raises.
    """
    try:
        with noticed():
            return action() or 0
    except Preempted as error:
        print(f"\nStopped: {error}. The same command goes on from here.", file=sys.stderr)
        return REQUEUE
    except AnyECGError as error:
        Console(stderr=True).print(f"[bold red]{type(error).__name__}[/]: ", end="")
        print(error, file=sys.stderr)
        return 2
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.errno not in UNWRITABLE:
            raise
        print(
            f"{error.filename or 'A file'} cannot be written or read: {UNWRITABLE[error.errno]}. Mend that and give "
            f"the same command: it goes on from here.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.", file=sys.stderr)
        return 130


def quieten() -> None:
    """Keep the libraries' own notes out of the terminal."""
    import transformers  # slow to import, and most commands need none of it

    warnings.filterwarnings("ignore", module="lightning|torch|transformers")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    # accelerate imports DeepSpeed where it is installed, which then tells everybody without a GPU that there is none
    logging.getLogger("DeepSpeed").addFilter(lambda record: record.filename != "real_accelerator.py")
    transformers.utils.logging.disable_progress_bar()


def roots(pairs: Iterable[str]) -> dict[str, Path]:
    """name -> folder, of --root NAME=DIR arguments; ConfigError for one of another form, and for a name that is
    given twice.
    """
    found = {}
    for pair in pairs:
        name, equals, root = pair.partition("=")
        if not (name and equals and root):
            raise ConfigError(f"--root {pair}: give NAME=DIR, such as --root ptbxl=/data/ptbxl")
        if name in found:
            raise ConfigError(f"--root {pair}: {name} has the root {found[name]} already; give each name once")
        found[name] = Path(root)
    return found


def place(text: str) -> Path:
    """The folder or file that an argument of a command names; nothing is no place (it would be the folder one stands
    in).
    """
    if not text.strip():
        raise argparse.ArgumentTypeError("it is empty; give a folder or a file, . for the folder you are in")
    return Path(text)


def whole(least: int) -> Callable[[str], int]:
    """What reads an argument of a command as a whole number of at least so much."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\s*[-+]?\d+\s*", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number of at least {least}")
        return int(text)

    return read


def terminal_handler() -> logging.Handler:
    """Lines for a terminal as wide as it is; for a file, such as a scheduler's log, whole lines with their time."""
    console = Console(stderr=True)
    if console.is_terminal:
        return RichHandler(show_path=False, show_level=False, markup=False, console=console)
    plain = logging.StreamHandler()
    plain.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
    return plain


class logging_to:
    """Within it, anyecg's log goes to the terminal and to a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.log = path, logging.getLogger("anyecg")

    def __enter__(self) -> None:
        try:
            file = logging.FileHandler(self.path)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            raise DataError(
                f"{self.path}: no log can be written there ({error.strerror}); mend that, or choose another folder"
            ) from error
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        self.handlers = [terminal_handler(), file]
        self.log.setLevel(logging.INFO)
        for handler in self.handlers:
            self.log.addHandler(handler)

    def __exit__(self, *exception) -> None:
        for handler in self.handlers:
            self.log.removeHandler(handler)
            handler.close()
