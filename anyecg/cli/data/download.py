"""Download a source from PhysioNet, in its native layout, and check every file against the source's SHA256SUMS.txt.

What the licence asks for is printed first. Stopped, cut off or interrupted, the same command goes on: a file that is
there and right is not fetched again, one that is cut short or damaged is.
"""

from __future__ import annotations

import argparse
import filecmp
import hashlib
import posixpath
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from multiprocessing import TimeoutError as Stalled
from multiprocessing.pool import ThreadPool
from pathlib import Path, PurePosixPath

from rich.prompt import Confirm
from wfdb.io import download as wfdb

from anyecg.data.dataset.licences import LICENCES, SOURCES, Source
from anyecg.data.store.shards import locked
from anyecg.progress_bar import progress_bar
from anyecg.types import ConfigError, DataError

SUMS = "SHA256SUMS.txt"
CONNECTIONS = 2  # what PhysioNet is asked for at once, as wfdb does
WAITS = (2, 10, 30)  # s before each further try where a connection fails half-way
STALL = 1800  # s without one finished file: the server hangs
LISTED = 50  # files named in a message
AGAIN = "then the same command goes on from here"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name", nargs="?", choices=list(SOURCES), metavar="NAME", help=f"the source: {', '.join(SOURCES)}"
    )
    parser.add_argument("--to", type=Path, metavar="DIR", help="the folder to download to; made if it is not there")
    parser.add_argument(
        "--limit", type=int, metavar="N", help="only the first N records, and every index file: for a try"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask: the licence's terms are accepted")
    parser.add_argument("--list", action="store_true", help="the sources, their sizes and licences")


def run(options: argparse.Namespace) -> int | None:
    if options.list:
        for name, source in SOURCES.items():
            print(f"{name:20}{gigabytes(source.size):>8}  {source.licence:12}{source.title}")
        return None
    if options.name is None:
        raise ConfigError(
            "download: say which source (`--list` shows them), such as `download mit_bih_arrhythmia --to DIR`"
        )
    source = SOURCES[options.name]
    print(introduction(source))
    if not source.slug:
        raise DataError(
            f"{options.name} is not on PhysioNet: `git clone {source.hint}`, and use the folder ecg-qa/ecgqa"
        )
    if options.to is None:
        raise ConfigError("download: say where to with --to DIR")
    if options.limit is not None and options.limit < 1:
        raise ConfigError(f"download: --limit {options.limit} leaves no record; give 1 or more")
    if not (options.yes or agreed()):
        print("Nothing was downloaded.")
        return 1
    counts = download(source, options.to, options.limit)
    print(
        f"{counts.total()} files in {options.to}, each as {SUMS} says ({counts['fetched']} fetched, {counts['there']} "
        f"there already)"
    )
    print(
        f"build a dataset from them: python -m anyecg.data build --root {options.name}={options.to / source.folder} "
        f"--to DATASET"
    )
    return None


def introduction(source: Source) -> str:
    """What a source is and asks for, as printed before anything is fetched."""
    cited = "\n".join(f"          {work}" for work in source.cite)
    rows = {
        "source": f"{source.title}, version {source.version}\n          {source.page}",
        "size": f"about {gigabytes(source.size)}",
        "access": "open: no account and no credentials",
        "licence": f"{source.licence}: {LICENCES[source.licence]}",
        "cite": cited.strip(),
    }
    if source.slug and source.hint:
        rows["note"] = source.hint
    return "\n".join(f"{name:10}{text}" for name, text in rows.items())


def agreed() -> bool:
    """Whether the user accepts; DataError where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise DataError(
            "nobody is there to accept the licence's terms; read them above, then give the command with --yes"
        )
    return Confirm.ask("Accept these terms and download?", default=False)


def gigabytes(size: float) -> str:
    return f"{size:.1f} GB" if size >= 1 else f"{1000 * size:.0f} MB"


def download(source: Source, folder: Path, limit: int | None = None, progress: bool = True) -> Counter:
    """Bring a source, or its first `limit` records, into `folder`; how many files were "there" already and how many
    "fetched".

    wfdb fetches the files (by `dl_full_file`: its `dl_database` and `dl_files` take a project's newest version, not the
    one asked for, and check sizes only), each to NAME.part, which gets its name once its checksum is right.
    DataError where the server cannot be reached or hangs, the disk is full, or files stay wrong: all of them are named.
    """
    root = posixpath.join(wfdb.config.db_index_url, source.slug, source.version)
    counts: Counter[str] = Counter()
    wrong: dict[str, str] = {}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder), ThreadPool(CONNECTIONS) as pool:
            files = chosen(pool.apply_async(checksums, (root, folder)).get(STALL), source.folder, limit)
            done = pool.imap_unordered(partial(bring, root, folder), files)
            with progress_bar(progress) as bar:
                for _ in bar.track(files, description=f"{source.slug} {source.version}"):
                    path, state = done.next(STALL)
                    counts[state] += 1
                    if state not in ("there", "fetched"):
                        wrong[path] = state
    except Stalled as error:
        raise DataError(f"{root}: no file has come for {STALL // 60} minutes; check the network, {AGAIN}") from error
    except OSError as error:
        raise DataError(
            f"{error.filename or folder}: {error.strerror or error}; free some space or mend the path, {AGAIN}"
        ) from error
    if wrong:
        raise DataError(_wrong(wrong, counts.total(), folder, root))
    return counts


def checksums(root: str, folder: Path) -> list[tuple[str, str]]:
    """(path, SHA-256) of every file of a release, from its SHA256SUMS.txt, which is fetched anew and kept in
    `folder`.
    """
    kept, part = folder / SUMS, folder / f"{SUMS}.part"
    url = posixpath.join(root, SUMS)
    try:
        fetch(url, part)
    except FileNotFoundError as error:
        raise DataError(f"{url} is not on the server; has the release moved?") from error
    rows = [
        line.split(maxsplit=1)
        for line in part.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    if not rows or any(len(row) != 2 or len(row[0]) != 64 or not _inside(row[1]) for row in rows):
        raise DataError(
            f"{url} is no list of checksums; does something between here and the server answer in its place? See {part}"
        )
    if kept.exists() and not filecmp.cmp(kept, part, shallow=False):
        raise DataError(
            f"{kept} is another release's, or was edited: it is not {url}; choose another folder, or delete it if the "
            f"folder is right"
        )
    part.replace(kept)
    return [(path, digest) for digest, path in rows]


def chosen(sums: list[tuple[str, str]], folder: str, limit: int | None) -> list[tuple[str, str]]:
    """The files to bring: those in `folder` of the release and its licence; with a limit, of the first records only.

    A record is a header (.hea) and whatever shares its name; a file of no record (an index, a table) always comes.
    """
    files = [
        (path, digest) for path, digest in sums if PurePosixPath(path).is_relative_to(folder) or path == "LICENSE.txt"
    ]
    if limit is None:
        return files
    records = sorted(path.removesuffix(".hea") for path, _ in files if path.endswith(".hea"))
    left = set(records[limit:])
    return [(path, digest) for path, digest in files if posixpath.splitext(path)[0] not in left]


def bring(root: str, folder: Path, file: tuple[str, str]) -> tuple[str, str]:
    """(path, "there" or "fetched" or what is wrong with it) of one file; one that comes damaged is fetched once
    more.
    """
    path, digest = file
    target = folder / path
    if target.is_file() and sha256(target) == digest:
        return path, "there"
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    for _ in range(2):
        try:
            fetch(posixpath.join(root, path), part, WAITS)
        except FileNotFoundError:
            return path, "is not on the server"
        if (found := sha256(part)) == digest:
            part.replace(target)
            return path, "fetched"
    part.unlink()
    return path, f"came with checksum {found[:12]}..., listed is {digest[:12]}..."


def fetch(url: str, target: Path, waits: Sequence[float] = ()) -> None:  # noqa: RET503
    """One file by wfdb's downloader, tried again after each of `waits` (s) where the connection fails.

    FileNotFoundError where the server has no such file; DataError where it refuses or stays out of reach.
    """
    for wait in (*waits, None):
        try:
            return wfdb.dl_full_file(url, str(target))
        except OSError as error:  # of wfdb and requests, without errno; of this machine's disk, with one
            if error.errno is not None or isinstance(error, FileNotFoundError):
                raise
            if isinstance(error, PermissionError):
                raise DataError(
                    f"{url}: the server refuses ({error}); see on the data set's page what access it asks for"
                ) from error
            if wait is None:
                raise DataError(
                    f"{url} cannot be reached ({_reason(error)}); check the network (HTTPS_PROXY, if there is a "
                    f"proxy), {AGAIN}"
                ) from error
        time.sleep(wait)


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _inside(path: str) -> bool:
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts


def _reason(error: OSError) -> str:
    """What requests and urllib3 wrap, in one short line."""
    cause = error.args[0] if error.args else error
    return str(getattr(cause, "reason", cause)).rpartition("): ")[2][:200]


def _wrong(wrong: dict[str, str], total: int, folder: Path, root: str) -> str:
    lines = [f"{folder / path} {state}" for path, state in sorted(wrong.items())]
    more = [f"... and {len(lines) - LISTED} more"] if len(lines) > LISTED else []
    return "\n".join(
        [
            f"{len(lines)} of {total} files are not as {SUMS} says:",
            *lines[:LISTED],
            *more,
            "Give the same command: it fetches these only. If they stay wrong, the copies on the server differ from "
            "its own list:",
            f"tell PhysioNet ({root}); the recordings of such files are skipped, and listed, when the data set is "
            f"built.",
        ]
    )
