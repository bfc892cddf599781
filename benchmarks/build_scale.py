"""Building and training on few records against many, and one worker against several; prints the ratios.

    python benchmarks/build_scale.py [--small 2000] [--large 40000] [--middle 10000] [--corpus DIR] [--workers 2]
    [--work DIR]

Simulates MIMIC-IV-ECG in two sizes (--corpus takes DIR as the large one), builds a dataset of each and trains on it.
What is measured runs in a process of its own, started from this one, which stays small: the kernel counts the memory of
the process that starts another as that other's. Memory is what `ps` calls RSS, with the pages of mapped files and
libraries in it;
"own" is the part that is not of files, which the kernel cannot take back.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
PAUSE = 0.1  # s between two looks at a process
RECORDS_PER_PATIENT = 2.77  # of the simulated MIMIC-IV-ECG, on average
STEPS, BATCH = 20, 16


@dataclass
class Usage:
    """What a process took. seconds: of the clock; main: its most memory; worker: that of the largest process below it;
    own: its most memory that is not of files; together: the most of all at one time, what they share counted in each
    (all in MiB)."""

    seconds: float = 0.0
    main: float = 0.0
    worker: float = 0.0
    own: float = 0.0
    together: float = 0.0

    @property
    def memories(self) -> tuple[float, ...]:
        return self.main, self.own, self.worker, self.together


def measure(command: list[str], log: Path) -> Usage:
    """Run a command, what it prints going to a file; SystemExit with the end of that file where it fails."""
    usage, began = Usage(), time.monotonic()
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT, cwd=REPOSITORY)
    while True:
        ended, status, rusage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        look(process.pid, usage)
        time.sleep(PAUSE)
    usage.seconds, usage.main = time.monotonic() - began, rusage.ru_maxrss / 1024
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(
            f"{' '.join(command)} failed; the end of {log}:\n" + "\n".join(log.read_text().splitlines()[-15:])
        )
    return usage


def look(pid: int, usage: Usage) -> None:
    """Bring the memory of a process and those below it up to date."""
    found = {one: status for one in family(pid) if (status := memory(one))}
    usage.own = max(usage.own, found.get(pid, {}).get("RssAnon", 0.0))
    usage.worker = max([usage.worker, *(status["VmHWM"] for one, status in found.items() if one != pid)])
    usage.together = max(usage.together, sum(status["VmRSS"] for status in found.values()))


def family(pid: int) -> list[int]:
    """A process and all below it, as far as they are still there."""
    members = [pid]
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                members += family(int(child))
    return members


def memory(pid: int) -> dict[str, float]:
    """MiB under the kernel's names for them; nothing where the process has ended."""
    with suppress(OSError):
        lines = (line.split() for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.endswith(" kB"))
        return {name.rstrip(":"): int(size) / 1024 for name, size, _ in lines}
    return {}


def python(*arguments: object) -> list[str]:
    return [sys.executable, *map(str, arguments)]


def data(*arguments: object) -> list[str]:
    return python("-m", "anyecg.data", *arguments)


def build(corpus: Path, folder: Path, workers: int) -> list[str]:
    return data(
        "build",
        "--to",
        folder,
        "--root",
        f"mimic={corpus}",
        "--workers",
        workers,
        *(f"tasks.{name}=null" for name in ("localization", "classification", "ecg_qa")),
    )


def train(dataset: str, cache: str) -> None:
    """A few steps of the first two stages on a dataset, through the pipeline, with a model that is small beside its
    data.
    """
    from anyecg import config
    from anyecg.cli.terminal import quieten
    from anyecg.training import pipeline
    from anyecg.training.assembly import build_model, data_of

    stages = ("contrastive", "stage1")
    small = ["encoder.layers=1", "llm.layers=1", "text_encoder=lexical", "stages.language.tasks.localization_short=0"]
    settings = {"samples": STEPS * BATCH, "batch_size": BATCH, "micro_batch": BATCH}
    sizes = [f"stages.{name}.{key}={value}" for name in stages for key, value in settings.items()]
    experiment = config.load(
        REPOSITORY / "experiments" / "anyecg_chat.yaml", [f"dataset={dataset}", f"cache={cache}", *small, *sizes]
    )
    quieten()
    data = data_of(experiment)
    model, text_encoder = build_model(experiment, data), experiment.text_encoder.build()
    for stage in pipeline.plan(experiment, data.fingerprint):
        if stage.name in stages:
            pipeline.train(experiment, stage, model, data, text_encoder)


PARTS: dict[str, Callable[..., None]] = {"train": train}  # what this file runs in processes of its own


def part(name: str, *arguments: object) -> list[str]:
    return python(Path(__file__).resolve(), name, *arguments)


def read_through(corpus: Path) -> None:
    """Read every file once, so that both corpora come from the page cache, as far as it reaches."""
    for path in corpus.rglob("*"):
        if path.is_file():
            path.read_bytes()


class Work:
    """The folder of everything, and the clock: a line is told as each phase begins."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.began = folder, time.monotonic()

    def tell(self, what: str) -> None:
        print(f"[{(time.monotonic() - self.began) / 60:5.1f} min] {what}", file=sys.stderr, flush=True)

    def measure(self, what: str, command: list[str]) -> Usage:
        self.tell(what)
        return measure(command, self.log(what))

    def log(self, what: str) -> Path:
        return self.folder / f"{what.replace(' ', '_').replace(',', '')}.log"


def simulated(work: Work, records: int) -> Path:
    """A corpus of about so many records."""
    corpus = work.folder / f"mimic-{records}"
    work.measure(
        f"simulate {records} records",
        data("simulate", "mimic", corpus, "--patients", max(3, round(records / RECORDS_PER_PATIENT))),
    )
    return corpus


def compare(title: str, usages: list[Usage], records: list[int]) -> None:
    """A line a size, then the ratio of the larger to the smaller: of the seconds of a record, and of each memory."""
    print(
        f"{title}\n{'records':>12} {'seconds':>9} {'main':>9} {'own':>9} {'worker':>9} {'together':>9}  (MiB at most)"
    )
    for usage, count in zip(usages, records):
        print(f"{count:12,} {usage.seconds:9.1f}" + "".join(f" {value:9.0f}" for value in usage.memories))
    small, large = usages
    ratios = [(large.seconds / records[1]) / (small.seconds / records[0])]
    ratios += [more / less if less else 0.0 for less, more in zip(small.memories, large.memories)]
    print(
        f"{'ratio':>12}"
        + "".join(f" {ratio:9.2f}" if ratio else f" {'-':>9}" for ratio in ratios)
        + "  (seconds: a record)\n",
        flush=True,
    )


def scale(work: Work, corpora: tuple[Path, Path], workers: int) -> tuple[Path, Path]:
    """Both datasets, built and trained on."""
    folders, built, counts = (work.folder / "small", work.folder / "large"), [], []
    for corpus, folder in zip(corpora, folders):
        work.tell(f"read {corpus}")
        read_through(corpus)
        built.append(work.measure(f"build {folder.name}", build(corpus, folder, workers)))
        counts.append(json.loads((folder / "dataset.json").read_text())["sources"]["mimic"]["records"])
    compare(f"build, {workers} workers", built, counts)
    trained = [
        work.measure(f"train on {folder.name}", part("train", folder, work.folder / f"cache-{folder.name}"))
        for folder in folders
    ]
    compare(f"training, {STEPS} steps of {BATCH} samples in each of two stages", trained, counts)
    return folders


def speed(work: Work, corpus: Path, workers: int) -> None:
    """One worker against several on one corpus, each twice and in turns."""
    took: dict[str, dict[int, list[float]]] = {
        name: {1: [], workers: []} for name in ("store and questions", "with the start")
    }
    for number in (1, 2):
        for count in (1, workers):
            folder = work.folder / f"build-{count}-{number}"
            usage = work.measure(
                f"build by {count} worker{'s' * (count > 1)}, round {number}", build(corpus, folder, count)
            )
            took["store and questions"][count].append(json.loads((folder / "measured.json").read_text())["seconds"])
            took["with the start"][count].append(usage.seconds)
    print(f"one worker against {workers}, s")
    for name, seconds in took.items():
        one, several = (" ".join(f"{value:6.1f}" for value in part) for part in seconds.values())
        print(f"{name:>20} {one} against {several}   ratio {sum(seconds[1]) / sum(seconds[workers]):.2f}", flush=True)
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", type=int, default=2000, help="records of the small corpus (default 2000)")
    parser.add_argument("--large", type=int, default=40000, help="records of the large corpus (default 40000)")
    parser.add_argument(
        "--middle",
        type=int,
        default=10000,
        help="records of the corpus that one worker builds against several (default 10000)",
    )
    parser.add_argument("--corpus", type=Path, help="a MIMIC-IV-ECG folder to take as the large corpus")
    parser.add_argument(
        "--workers", type=int, default=len(os.sched_getaffinity(0)), help="processes of a build (default: one a core)"
    )
    parser.add_argument(
        "--work", type=Path, help="a folder in which everything is written and left (default: a temporary one)"
    )
    options = parser.parse_args()
    if options.work:
        options.work.mkdir(parents=True, exist_ok=True)
    with (
        nullcontext(tempfile.mkdtemp(prefix="build_scale-", dir=options.work))
        if options.work
        else tempfile.TemporaryDirectory() as folder
    ):
        work = Work(Path(folder).resolve())
        small = simulated(work, options.small)
        large = options.corpus.resolve() if options.corpus else simulated(work, options.large)
        folders = scale(work, (small, large), options.workers)
        if options.workers > 1:
            speed(work, simulated(work, options.middle))
        work.tell("project")
        subprocess.run(data("stats", folders[1], "--project", 800_000, "--also", folders[0]), cwd=REPOSITORY)  # noqa: PLW1510


if __name__ == "__main__":
    if sys.argv[1:2] and sys.argv[1] in PARTS:
        PARTS[sys.argv[1]](*sys.argv[2:])
    else:
        main()
