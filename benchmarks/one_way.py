"""Which files of the package one sample and one question pass through: those in which a function runs.

A training sample from the store on disk to its loss, as `Trainer` draws it, and a question from the answerer's prompt
to the tables of a run, of an experiment whose data is there already or is built first. What is imported, and what
settles the stage before its first step, is not counted.

    python -m benchmarks.one_way [--stage stage2] experiments/anyecg_chat.yaml [key=value ...]
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyecg
from anyecg import config
from anyecg.evaluation.run import Run
from anyecg.training.assembly import build_model
from anyecg.training.job import StageJob

PACKAGE = Path(anyecg.__file__).parent


@contextlib.contextmanager
def traced() -> Iterator[set[str]]:
    """The package's files in which a function is called while the context lasts."""
    files: set[str] = set()

    def note(frame, event: str, argument: object) -> None:
        code = frame.f_code
        if event == "call" and code.co_name != "<module>" and code.co_filename.startswith(str(PACKAGE)):
            files.add(str(Path(code.co_filename).relative_to(PACKAGE)))

    sys.setprofile(note)
    try:
        yield files
    finally:
        sys.setprofile(None)


def of_a_sample(run: Run, stage: str, scratch: Path) -> set[str]:
    """From the store on disk to the loss."""
    experiment, cfg = run.experiment, run.experiment.stages[stage]
    job = StageJob(experiment, cfg, experiment.seed, run.model, run.data, run.text_encoder, scratch)
    objective = cfg.objective.build()
    batches = objective.batches(job).batches()
    module = objective.module(job, 1)
    run.model.train()
    with traced() as files:
        module.training_step(batches[0], 0)
    return files


def of_a_question(run: Run, folder: Path) -> set[str]:
    """From an untrained model's first prompt to the tables."""
    run.model.eval()
    run.stages, run.folder = [], folder  # no stage has a loss curve
    run.samples, run.tasks  # noqa: B018
    with traced() as files:
        run.evaluate()
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", default="stage2")
    parser.add_argument("experiment", type=Path)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_intermixed_args()
    experiment = config.load(options.experiment, options.overrides)
    run = Run.named(experiment, "one_way")
    run.model = build_model(experiment, run.data)
    with tempfile.TemporaryDirectory() as folder:
        print_way("a sample, from disk to its loss", of_a_sample(run, options.stage, Path(folder) / "scratch"))
        print_way("a question, from its prompt to the tables", of_a_question(run, Path(folder)))


def print_way(name: str, files: set[str]) -> None:
    print(f"{name}: {len(files)} files")
    for file in sorted(files):
        print(f"  {file}")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
