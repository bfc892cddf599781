"""Files that somebody gives to a page: bounded, confined to one folder, and read in a process of their own.

A broken file can take more than an exception: a library that never returns, or fills the memory. The process is killed
when its time is up, and its memory is limited.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import re
import resource
import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from anyecg.data.own.picture import is_picture
from anyecg.data.own.read import read_record
from anyecg.types import AnyECGError, DataError, ECGRecord

MEGABYTE = 1 << 20
START = 300.0  # s that the process may take to start, on a machine that does much else
COMPANIONS = (".dat", ".mat", ".atr", ".qrs", ".xws")  # that a WFDB header stands for
_SIGNAL_FILE = re.compile(r"^[\w.~-]+$")  # in a header: a name without a folder
_FIRST_LINE = re.compile(r"^[\w.-]+(?:/\d+)?$")  # a record's name, and how many segments it has


@dataclass(frozen=True)
class Limits:
    """What a page takes: files at once, MB of a file, seconds and MB of memory that reading them may take."""

    files: int = 12
    megabytes: int = 64
    seconds: float = 45.0
    memory: int = 4096


@dataclass(frozen=True)
class Words:
    """What the user says of files that do not say it themselves; empty where nothing is said."""

    fs: float | None = None
    units: str = ""
    leads: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What came of a file: a record, or why there is none. kind: its suffix; nothing of its name is kept."""

    kind: str
    record: ECGRecord | None = None
    error: str = ""


class Inbox:
    """A folder of its own for the files of one conversation, removed by `close`."""

    def __init__(self, limits: Limits | None = None, reader: Reader | None = None) -> None:
        self.limits = limits or Limits()
        self.reader = reader or Reader(self.limits)
        self.folder = Path(tempfile.mkdtemp(prefix="anyecg-chat-"))
        self.waiting: list[Path] = []  # copies that were not read yet, or not with what was said of them

    def take(self, paths: Sequence[str | Path]) -> list[Path]:
        """Copy files in; what is one recording together (`.hea` and `.dat`) lies together. Returns what is to be read.

        DataError where there are too many, one is too large, or none is a recording.
        """
        if len(paths) > self.limits.files:
            raise DataError(f"{len(paths)} files at once; this page takes {self.limits.files}")
        sources = [Path(path) for path in paths]
        for source in sources:
            if not source.is_file():
                raise DataError("a file did not arrive; drop it again")
            if source.stat().st_size > self.limits.megabytes * MEGABYTE:
                raise DataError(
                    f"a file of {source.stat().st_size / MEGABYTE:.0f} MB; this page takes {self.limits.megabytes} MB "
                    f"a file"
                )
        self.drop()
        copied: list[Path] = []
        for number, source in enumerate(sources):
            name = re.sub(r"[^\w.~-]", "_", source.name).lstrip(".") or "file"
            target = self.folder / name
            if target.exists():  # two files of one name: each in its own folder
                target = self.folder / f"{number}" / name
                target.parent.mkdir()
            shutil.copyfile(source, target)
            copied.append(target)
        headers = {path.with_suffix("") for path in copied if path.suffix.lower() == ".hea"}
        self.waiting = [
            path for path in copied if not (path.suffix.lower() in COMPANIONS and path.with_suffix("") in headers)
        ]
        return list(self.waiting)

    def read(self, words: Words | None = None) -> list[Outcome]:
        """Read what waits, in the reader's process; what was read is removed, what failed waits for other words."""
        paths = list(self.waiting)
        outcomes = [self.reader.read(path, words or Words()) for path in paths]
        if all(outcome.record is not None for outcome in outcomes):
            self.drop()
        else:
            self.waiting = [path for path, outcome in zip(paths, outcomes) if outcome.record is None]
        return outcomes

    def drop(self) -> None:
        """Remove all files."""
        self.waiting = []
        for path in self.folder.iterdir():
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


class Reader:
    """A process that reads files, started once and started anew where a file killed it or took too long.

    It is shared by all conversations, and reads one file at a time.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._lock = threading.Lock()
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None

    def warm(self) -> None:
        """Start the process, so that the first file need not wait for it."""
        with self._lock, contextlib.suppress(EOFError, OSError):  # the next file starts it again, and is told why not
            self._started()

    def read(self, path: Path, words: Words) -> Outcome:
        """What comes of a file within `limits.seconds`."""
        kind = path.suffix.lower()
        with self._lock:
            try:
                pipe = self._started()
                pipe.send((path, words))
                if pipe.poll(self.limits.seconds):
                    return pipe.recv()
                reason = f"took longer than {self.limits.seconds:g} s to read"
            except (EOFError, OSError):
                reason = "could not be read: it needs more memory than this page gives a file, or is damaged"
            self._end()
            return Outcome(kind, error=reason)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._end()

    def _started(self) -> Connection:
        if self._process is None or self._pipe is None or not self._process.is_alive():
            self._end()
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_work, args=(theirs, self.limits.memory), daemon=True)
            self._process.start()
            theirs.close()
            if not self._pipe.poll(START):
                raise OSError("the process that reads files did not start")
            self._pipe.recv()
        return self._pipe

    def _end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()
        if self._pipe is not None:
            self._pipe.close()
        self._process = self._pipe = None


def _work(pipe: Connection, memory: int) -> None:
    """The process: an outcome a file, until nobody asks any more."""
    resource.setrlimit(resource.RLIMIT_AS, (memory * MEGABYTE, memory * MEGABYTE))
    pipe.send("ready")
    while True:
        try:
            path, words = pipe.recv()
        except EOFError:
            return
        pipe.send(outcome(path, words))


def outcome(path: Path, words: Words) -> Outcome:
    """What comes of reading a file; never raises but for what ends a process."""
    kind = path.suffix.lower()
    try:
        if is_picture(path):
            raise DataError("is a picture or a PDF; give the recording itself (WFDB, EDF, DICOM, SCP, XML, CSV, ...)")
        if kind in COMPANIONS[:1] and not path.with_suffix(".hea").exists():
            raise DataError("is a signal without its header; drop the .hea file together with it")
        if kind == ".hea":
            _confined(path)
        record = read_record(path, fs=words.fs, leads=words.leads or None, units=words.units or None, id="ECG")
    except AnyECGError as error:
        return Outcome(kind, error=nameless(str(error), path))
    except MemoryError:
        return Outcome(kind, error="needs more memory than this page gives a file")
    except Exception as error:  # noqa: BLE001 - whatever a file makes a library raise, the page goes on
        return Outcome(kind, error=f"could not be read ({type(error).__name__})")
    notes = tuple(nameless(note, path) for note in record.notes)
    return Outcome(kind, replace(record, notes=notes, id="ECG", patient=""))


def nameless(text: str, path: Path) -> str:
    """A message without the path and the name of the file, which may be a patient's."""
    for name in (str(path), str(path.with_suffix("")), path.name, path.stem):
        if len(name) > 2:
            text = text.replace(name, "the file")
    return re.sub(r"^the file:\s*", "", text)


def _confined(header: Path) -> None:
    """DataError where a WFDB header names a file of another folder."""
    lines = [line.split() for line in header.read_text(errors="replace").splitlines() if line.strip()]
    lines = [words for words in lines if not words[0].startswith("#")]
    for place, words in enumerate(lines):
        if not (_FIRST_LINE if place == 0 else _SIGNAL_FILE).match(words[0]):
            raise DataError("its header names a file of another folder, which this page does not read")
