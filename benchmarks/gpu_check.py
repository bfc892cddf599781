"""Everything that wants a GPU, in nine minutes: tests, training steps at Llama-3-8B's shape, generation, a short run.

    benchmarks/gpu_check.sh                     installs what was carried along (gpu_wheels.sh), then this
    python -m benchmarks.gpu_check --out DIR    on a machine that has everything
    python -m benchmarks.gpu_check --dry        the same code at toy sizes on a CPU; its figures mean nothing

Each part runs in a process of its own for as long as it may (`PARTS`), and what it measured before it failed, or ran
out of time, is kept. The folder holds at most eight files; `report.md` is a section for docs/performance.md with the
card's name. The exit status is 1 if anything failed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

TOTAL = 525  # seconds from the start of gpu_check.sh, which says it in BEGAN
BEGAN = "ANYECG_GPU_CHECK_BEGAN"
ROWS, REPORT, LOG = "rows.jsonl", "report.md", "log.txt"
LEAST = 5.0  # seconds that a part is begun with
PATIENT = 5.0  # times as long may the parts of a dry run take: a CPU may have much else to do
# what torch says in a forked process where the card was asked for before the fork
FORKED = "in forked subprocess"


@dataclass(frozen=True)
class Part:
    """A part: a function of `benchmarks.gpu_parts`, the seconds that it may take, and its heading."""

    name: str
    seconds: float
    title: str


PARTS = (
    Part("facts", 30, "The card"),
    Part("tests", 100, "Tests marked `gpu`"),
    Part("stage2", 110, "Stage 2's step, Llama-3-8B's shape, LoRA, ViT-base, bfloat16"),
    Part("generating", 45, "Generation, Llama-3-8B's shape"),
    Part("run", 130, "A short run at scale=gpu"),
    Part("stages", 40, "Stage 1 and the contrastive stage, 256 samples a step"),
    Part("compiled", 75, "Stage 2's step through torch.compile"),
)


class Clock:
    """Seconds that are left of all."""

    def __init__(self, total: float) -> None:
        self.end = float(os.environ.get(BEGAN, time.time())) + total

    def left(self) -> float:
        return self.end - time.time()


class Runner:
    """Runs parts, each in a forked process (the imports are done once), and stops those that take too long.

    Where the card cannot be used after a fork, `fresh` processes are started instead.
    """

    def __init__(self, out: Path, work: Path, dry: bool, clock: Clock, fresh: bool = False) -> None:
        self.out, self.work, self.dry, self.clock, self.fresh = out, work, dry, clock, fresh

    def record(self, part: str, **row: Any) -> None:
        """Keep a row, at once."""
        with (self.out / ROWS).open("a") as file:
            file.write(json.dumps({"part": part, **row}) + "\n")

    def rows(self, part: str) -> list[dict[str, Any]]:
        """What a part has recorded."""
        path = self.out / ROWS
        lines = path.read_text().splitlines() if path.exists() else []
        return [row for row in map(json.loads, lines) if row["part"] == part]

    def run(self, part: Part) -> bool:
        """Whether it ended well in its time."""
        limit = min(part.seconds, self.clock.left())
        if limit < min(LEAST, part.seconds):
            self.record(part.name, failed="not begun: no time was left")
            return False
        began = time.monotonic()
        status = self._await(self._begin(part), limit)
        if status is None:
            self.record(part.name, failed=f"stopped after {limit:.0f} s, its time")
        elif status:
            self.record(part.name, failed=self._last_words(status))
        self.record(part.name, took_s=round(time.monotonic() - began, 1))
        return status == 0

    def inside(self, name: str) -> int:
        """A part, in this process; its exit status."""
        from benchmarks import gpu_parts

        def record(**row: Any) -> None:
            self.record(name, **row)

        try:
            getattr(gpu_parts, name)(gpu_parts.Check(self.dry, self.out, self.work, record))
        except BaseException:  # noqa: BLE001 whatever it is, it is told in the log and the next part begins
            sys.stdout.flush()
            with (self.out / LOG).open("a") as log:
                traceback.print_exc(file=log)
            return 1
        return 0

    def _begin(self, part: Part) -> int:
        """Start it as the leader of a group of its own; its id."""
        with (self.out / LOG).open("a") as log:
            log.write(f"\n=== {part.name} ===\n")
            log.flush()
            if self.fresh:
                command = [sys.executable, "-m", "benchmarks.gpu_check", "--out", str(self.out), "--part", part.name]
                command += ["--work", str(self.work), *(["--dry"] if self.dry else [])]
                return subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True).pid
            child = os.fork()
            if child:
                return child
            os.setsid()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        status = 1
        try:
            status = self.inside(part.name)
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)

    def _await(self, child: int, limit: float) -> int | None:
        """Its exit status; None where it took too long and was killed with all that it had started."""
        end, done = time.monotonic() + limit, 0
        try:
            while time.monotonic() < end:
                done, status = os.waitpid(child, os.WNOHANG)
                if done:
                    return os.waitstatus_to_exitcode(status)
                time.sleep(0.1)
            return None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child, signal.SIGKILL)
            if not done:
                os.waitpid(child, 0)

    def _last_words(self, status: int) -> str:
        lines = [line for line in (self.out / LOG).read_text(errors="replace").splitlines() if line.strip()]
        return f"exit {status}: {lines[-1][:300] if lines else 'it said nothing'}"


def report(runner: Runner, parts: Sequence[Part], seconds: float) -> str:
    """The section for docs/performance.md."""
    facts = {key: value for row in runner.rows("facts") for key, value in row.items()}
    text = [
        f"## On {facts.get('card', 'a card that did not answer')}",
        "",
        f"`benchmarks/gpu_check.sh{' --dry' if runner.dry else ''}`, {seconds:.0f} s; torch {facts.get('torch', '?')}, "
        f"transformers {facts.get('transformers', '?')}; a bfloat16 product reached "
        f"{facts.get('product_tflops', 0):.0f} TFLOPS.",
    ]
    for part in parts:
        rows = [row for row in runner.rows(part.name) if "took_s" not in row]
        if part.name != "facts" or any("failed" in row for row in rows):
            text += ["", f"### {part.title}", "", *table(rows)]
    return "\n".join(text) + "\n"


COLUMNS = {  # of a row -> heading, format
    "setting": ("", "{}"),
    "outcome": ("outcome", "{}"),
    "samples_s": ("samples/s", "{:.2f}"),
    "questions_s": ("questions/s", "{:.2f}"),
    "tokens_s": ("tokens/s", "{:.0f}"),
    "tflops": ("TFLOPS", "{:.1f}"),
    "mfu": ("MFU", "{:.1%}"),
    "peak_gib": ("peak GiB", "{:.1f}"),
    "padding": ("padded / real", "{:.2f}"),
    "warm_up_s": ("warm-up s", "{:.1f}"),
    "ratio": ("ratio", "{:.2f}"),
    "seconds": ("s", "{:.1f}"),
    "failed": ("failed", "{}"),
    "why": ("why", "{}"),
}


def table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Rows as a Markdown table, of the columns that any of them has."""
    keys = [key for key in COLUMNS if any(row.get(key) is not None for row in rows)]
    if not keys:
        return ["nothing was recorded"]

    def cell(row: dict[str, Any], key: str) -> str:
        value = row.get(key)
        if value is None:
            return ""
        return COLUMNS[key][1].format(value).replace("|", "\\|").replace("\n", " ")

    lines = [f"| {' | '.join(COLUMNS[key][0] for key in keys)} |", f"|{'---|' * len(keys)}"]
    return lines + [f"| {' | '.join(cell(row, key) for key in keys)} |" for row in rows]


def check(runner: Runner, parts: Sequence[Part]) -> bool:
    """Run all parts and write the report after each; whether all ended well."""
    from benchmarks import gpu_parts  # all imports, once for every fork

    began, well = time.monotonic(), True
    for part in parts:
        print(f"{part.name} ({min(part.seconds, max(0.0, runner.clock.left())):.0f} s at most)", flush=True)
        ended = runner.run(part)
        if not ended and not runner.fresh and FORKED in (runner.out / LOG).read_text(errors="replace"):
            runner.fresh = True
            ended = runner.run(part)
        well = well and ended
        gpu_parts.collect(gpu_parts.Check(runner.dry, runner.out, runner.work, lambda **row: None))
        (runner.out / REPORT).write_text(report(runner, parts, time.monotonic() - began))
    with (runner.out / LOG).open("a") as log:
        log.write(gpu_parts.smi())
    return well and not any("failed" in row or row.get("outcome") == "failed"
                            for part in parts for row in runner.rows(part.name))  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [part.name for part in PARTS]
    parser.add_argument("--out", type=Path, help="folder of what it leaves (default: $OUT, else runs/gpu_check)")
    parser.add_argument("--dry", action="store_true", help="toy sizes on a CPU")
    parser.add_argument("--only", help=f"parts with commas, of {', '.join(names)}")
    parser.add_argument("--seconds", type=float, default=TOTAL, help="of all parts together (default: %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="start each part anew, not by a fork")
    parser.add_argument("--part", choices=names, help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # asking whether there is a card must not begin to use it
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    out = options.out or Path(os.environ.get("OUT") or "runs/gpu_check")
    out.mkdir(parents=True, exist_ok=True)
    work = options.work or Path(tempfile.mkdtemp(prefix="gpu_check_"))
    clock = Clock(options.seconds * (PATIENT if options.dry else 1))
    runner = Runner(out.resolve(), work, options.dry, clock, options.fresh)
    if options.part:
        return runner.inside(options.part)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and with it the part that runs
    parts = [replace(part, seconds=part.seconds * (PATIENT if options.dry else 1)) for part in PARTS]
    for name in (ROWS, LOG):
        (out / name).unlink(missing_ok=True)
    wanted = options.only.split(",") if options.only else names
    well = check(runner, [part for part in parts if part.name in wanted])
    print((out / REPORT).read_text(), flush=True)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main())
