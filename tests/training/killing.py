"""A run that is killed at chosen points, each time by a real SIGKILL of a process of its own, and started again.

    python -m tests.training.killing DATA TRACE '[["stage2", "batch", 3], ["", "seconds", 0.7], ...]' key=value ...

A point is a stage, an event there and its number, or some seconds after the process began. The processes are forked from one that has done the imports and nothing else. The last one is left to finish. Every
process appends a line a micro-batch to TRACE: stage, number of the micro-batch, questions.
"""

import json
import os
import signal
import sys
import time
import traceback
from pathlib import Path

import torch

from anyecg import config
from anyecg.objectives import contrastive
from anyecg.tasks.build import build_data
from anyecg.training import pipeline
from anyecg.training.assembly import build_model
from anyecg.training.resume import LAST
from anyecg.training.stage import Stage

contrastive.TOGETHER = 8  # reports a chunk, so that there are several


def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)


def half(path) -> None:
    """Half of a file, and dead."""
    Path(path).write_bytes(Path(path).read_bytes()[: Path(path).stat().st_size // 2])
    die()


class Killer:
    """Kills this process when `stage` comes to the `number`th `event`."""

    def __init__(self, stage: str, event: str, number: int = 0) -> None:
        self.stage, self.event, self.left, self.now = stage, event, number, ""

    def due(self, event: str) -> bool:
        if (self.now, event) != (self.stage, self.event):
            return False
        self.left -= 1
        return self.left < 0

    def around(self, owner, name: str, event: str, applies=lambda *_: True, before=die, after=None) -> None:
        """Die before a call of owner.name, or right after it where `after` says how."""
        plain = getattr(owner, name)

        def watched(*args, **kwargs):
            due = applies(*args) and self.due(event)
            if due and after is None:
                before()
            result = plain(*args, **kwargs)
            if due:
                after(*args)
            return result

        setattr(owner, name, watched)

    def install(self, trace: Path) -> None:
        plain_train, plain_step = pipeline.train, Stage.training_step

        def train(experiment, stage, *args):
            self.now = stage.name
            plain_train(experiment, stage, *args)

        def step(module, batch, index):
            if (self.now, self.event) == (self.stage, "batch") and index >= self.left:
                die()
            with trace.open("a") as file:
                file.write(json.dumps([self.now, index, batch.ids]) + "\n")
            return plain_step(module, batch, index)

        pipeline.train, Stage.training_step = train, step
        self.around(contrastive.PairCollator, "_embed", "embedded", after=die)
        self.around(torch, "save", "checkpoint", after=lambda checkpoint, file: (file.flush(), half(file.name)))
        self.around(os, "replace", "renaming", applies=lambda old, new: Path(new).name == LAST)
        self.around(os, "replace", "saved", applies=lambda old, new: Path(new).name == LAST, after=die)
        self.around(os, "replace", "finishing", applies=lambda old, new: Path(old).suffix == ".partial")
        self.around(pipeline, "save_stage", "trained")
        self.around(pipeline, "save_file", "output", after=lambda state, path: half(path))
        self.around(pipeline, "_finish", "told")
        self.around(pipeline, "load_stage", "next")


def run(data_cache: Path, trace: Path, point: list, overrides: list[str]) -> None:
    """The stages of the small recipe, or what of them there is until the kill."""
    killer = Killer(*point)
    killer.install(trace)
    experiment = config.load("experiments/anyecg_chat.yaml", overrides)
    text_encoder = experiment.text_encoder.build()
    killer.around(text_encoder, "encode", "embedding")
    data = build_data(experiment.corpora, experiment.tasks, data_cache, experiment.tasks_seed, progress=False)
    pipeline.run_stages(experiment, build_model(experiment, data), data, text_encoder)


def main() -> int:
    data_cache, trace, points, *overrides = sys.argv[1:]
    for point in [*json.loads(points), [""] * 2]:
        child = os.fork()
        if not child:
            try:
                run(Path(data_cache), Path(trace), point, overrides)
                os._exit(0)
            except BaseException:
                traceback.print_exc()
                os._exit(1)
        if point[1] == "seconds":
            time.sleep(point[2])
            os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        ended = -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
        expected = [-signal.SIGKILL] if point[0] else [0, -signal.SIGKILL] if point[1] == "seconds" else [0]
        print(point, ended, flush=True)
        if ended not in expected:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
